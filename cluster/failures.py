"""What failed, how often, and when the next start may be tried: one account per service.

Writes the *trouble* of a service, which tells clients and operators why it has no replica.
"""

import logging
import math
from collections.abc import Callable

from cluster.backoff import Backoff
from cluster.events import Events
from cluster.lifecycle import State
from cluster.metrics import ClusterMetrics
from cluster.missed import LONGEST, Missed
from cluster.model import Replica, Trouble
from cluster.registry import Registry

LOOPING_AFTER = 3
AWAY = "engine-unavailable"
HOST_FULL = "host-full"
ENDING = 5.0  # seconds that an engine may take to stop, when its replicas have ended already
_NONE = Backoff()


class Failures:
    def __init__(
        self,
        registry: Registry,
        events: Events,
        metrics: ClusterMetrics,
        clock: Callable[[], float],
        *,
        engine_owns_count: bool = False,
        jitter: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """`jitter`: about 1; what a pause before trying an engine again is multiplied with."""
        self._registry = registry
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._engine_owns_count = engine_owns_count
        self._backoff: dict[str, Backoff] = {}
        self._ready_since: dict[str, float] = {}
        self._causes: dict[str, tuple[str, str]] = {}
        self._blaming: set[str] = set()
        self._crowded: set[str] = set()
        self._evicted: set[str] = set()
        self._killed: set[str] = set()
        self._missed = Missed(jitter)
        self._on_forgiven: list[Callable[[str], None]] = []
        registry.on_replica(self._follow)

    def on_forgiven(self, listener: Callable[[str], None]) -> None:
        """Called with each service whose last failures turn out to be the engine's."""
        self._on_forgiven.append(listener)

    def wait(self, service: str) -> float:
        """Seconds until the next start of that service is due; 0 is now."""
        now = self._clock()
        backoff = self._backoff.get(service, _NONE).remaining(now)
        return max(backoff, self._missed.wait(service, now))

    def engine_answers(self, answers: bool) -> None:
        """Discovery says so after each look. What it missed is tried again when it is back."""
        now = self._clock()
        if not answers:
            if self._missed.went_away(now):
                self._forgive_since(now - ENDING)
        elif (back := self._missed.came_back(now)) is not None:
            since, services = back
            for service in services:
                self._clear(service, AWAY)
            self._forgive_since(since)
            for service in services:
                self._registry.touch(service)

    def _forgive_since(self, since: float) -> None:
        """What failed while the engine was in trouble, or just before, has failed because of that:
        an engine that is stopped ends its replicas first."""
        for service, backoff in list(self._backoff.items()):
            if max(backoff.last, backoff.killed_at) >= since > -math.inf:
                self.forgive(service)
                for listener in self._on_forgiven:
                    listener(service)

    def is_engines(self, service: str) -> bool:
        """Whether its last start was missed by the engine, which is no fault of the service."""
        return self._missed.has(service)

    def are_excused(self, service: str) -> bool:
        """Whether its starts are held back by the engine or by the host, not by what it is."""
        return self._missed.has(service) or service in self._crowded

    def why(self, replica: str, code: str, detail: str = "") -> None:
        """The stable code of the failure that this replica is about to have, if one is known, and
        what the replica said."""
        self._causes[replica] = code, detail

    def evicted(self, service: str, replica: str, reason: str) -> None:
        """Health takes it out for good; should it be condemned later, it is not counted twice."""
        self._evicted.add(replica)
        self._metrics.evictions.labels(service, reason).inc()

    def was_killed(self, replica: str) -> None:
        """Its end, of which we are about to hear, was made from outside."""
        self._killed.add(replica)

    def forgive(self, service: str) -> None:
        """What runs has changed: former failures say nothing about it."""
        self._missed.forget(service)
        if self._backoff.pop(service, None) is not None:
            self._registry.set_trouble(service, None)

    def blame(self, service: str, trouble: Trouble | None) -> None:
        """What others are to blame for: what this service depends on cannot be had. None: it can
        again, or nobody asks."""
        if trouble is not None:
            self._blaming.add(service)
            self._registry.set_trouble(service, trouble)
        elif service in self._blaming:
            self._blaming.discard(service)
            self._registry.set_trouble(service, None)

    def crowd_out(self, service: str, trouble: Trouble | None) -> None:
        """The host has no room for it. None: it has again, or nobody asks."""
        if trouble is not None:
            self._crowded.add(service)
            self._registry.set_trouble(service, trouble)
        elif service in self._crowded:
            self._crowded.discard(service)
            self._clear(service, HOST_FULL)

    def forget(self, service: str) -> None:
        """It has left the file: should it be added again, it is a new one."""
        self._missed.forget(service)
        self._backoff.pop(service, None)
        self._blaming.discard(service)
        self._crowded.discard(service)
        self._registry.set_trouble(service, None)

    def _follow(self, replica: Replica) -> None:
        if replica.state is State.READY:
            self._evicted.discard(replica.id)
            self._ready_since.setdefault(replica.id, self._clock())
            self._missed.forget(replica.service)
            self._registry.set_trouble(replica.service, None)
        elif replica.state is State.FAILED:
            if replica.service in self._registry.specs:
                self._record(replica)
            self._forget_replica(replica.id)
        elif replica.state is State.STOPPED:
            self._forget_replica(replica.id)
            if self._registry.completed(replica.service) is not None:
                self.forgive(replica.service)

    def _forget_replica(self, replica: str) -> None:
        self._ready_since.pop(replica, None)
        self._causes.pop(replica, None)
        self._evicted.discard(replica)
        self._killed.discard(replica)

    def _record(self, replica: Replica) -> None:
        now = self._clock()
        ready_since = self._ready_since.get(replica.id)
        if self._engine_owns_count and self._can_be_spared(replica.service):
            return
        known, detail = self._causes.get(replica.id, ("", ""))
        if known == AWAY:
            self._miss(replica, now)
            return
        self._missed.forget(replica.service)
        backoff = self._backoff.get(replica.service, _NONE)
        was_killed = replica.id in self._killed
        if ready_since is None:
            backoff = backoff.failed(0.0, now)
        elif was_killed:
            backoff = backoff.killed(now - ready_since, now)
        else:
            backoff = backoff.failed(now - ready_since, now)
        self._backoff[replica.service] = backoff
        code = known or ("start-failed" if ready_since is None else "replica-died")
        if replica.id not in self._evicted:
            self._metrics.evictions.labels(replica.service, code).inc()
        self._tell(replica, code, detail, backoff, had_served=ready_since is not None)

    def _miss(self, replica: Replica, now: float) -> None:
        """A waiting request is told once it lasts: an engine that is restarted is soon back."""
        miss = self._missed.add(replica.service, now)
        lasts = self._missed.lasts(replica.service, now)
        if lasts:
            self._registry.set_trouble(replica.service, Trouble(AWAY, replica.reason, LONGEST))
        if miss.count == 1:
            self._events.emit(
                "start-missed",
                f"{replica.id} was not started: {replica.reason}; "
                "it is tried again until the engine answers",
                service=replica.service,
                replica=replica.id,
                level=logging.WARNING,
            )

    def _clear(self, service: str, code: str) -> None:
        trouble = self._registry.trouble(service)
        if trouble is not None and trouble.code == code:
            self._registry.set_trouble(service, None)

    def _can_be_spared(self, service: str) -> bool:
        """Such an engine takes surplus replicas away by itself: that is no failure."""
        present = self._registry.replicas(service)
        capable = sum(replica.state in (State.STARTING, State.READY) for replica in present)
        return capable >= self._registry.desired(service).replicas

    def _tell(
        self, replica: Replica, code: str, detail: str, backoff: Backoff, *, had_served: bool
    ) -> None:
        """Not to clients, the first time that what served is lost: they can wait for a second."""
        wait = backoff.remaining(self._clock())
        if wait and backoff.failures >= LOOPING_AFTER and code in ("start-failed", "replica-died"):
            code = "crash-looping"
        message = replica.reason
        if backoff.failures > 1 and wait:
            message = f"{message} ({backoff.failures} failures in a row)"
        retry_after = wait + (self._registry.start_seconds(replica.service) or 1.0)
        soon = wait == 0 or (had_served and backoff.failures == 1)
        trouble = Trouble(code, message, retry_after, detail, at_once=soon)
        self._registry.set_trouble(replica.service, trouble)
        self._events.emit(
            "replica-failed",
            f"{replica.id} failed: {trouble}; next start in {wait:.0f} s",
            service=replica.service,
            replica=replica.id,
            level=logging.WARNING,
        )
