"""What failed, how often, and when the next start may be tried: one account per service.

Writes the *trouble* of a service, which tells clients and operators why it has no replica.
"""

import logging
from collections.abc import Callable

from cluster.backoff import Backoff
from cluster.events import Events
from cluster.lifecycle import State
from cluster.metrics import ClusterMetrics
from cluster.model import Replica, Trouble
from cluster.registry import Registry

LOOPING_AFTER = 3
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
    ) -> None:
        self._registry = registry
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._engine_owns_count = engine_owns_count
        self._backoff: dict[str, Backoff] = {}
        self._ready_since: dict[str, float] = {}
        self._causes: dict[str, tuple[str, str]] = {}
        self._blaming: set[str] = set()
        self._evicted: set[str] = set()
        registry.on_replica(self._follow)

    def wait(self, service: str) -> float:
        """Seconds until the next start of that service is due; 0 is now."""
        return self._backoff.get(service, _NONE).remaining(self._clock())

    def why(self, replica: str, code: str, detail: str = "") -> None:
        """The stable code of the failure that this replica is about to have, if one is known, and
        what the replica said."""
        self._causes[replica] = code, detail

    def evicted(self, service: str, replica: str, reason: str) -> None:
        """Health takes it out for good; should it be condemned later, it is not counted twice."""
        self._evicted.add(replica)
        self._metrics.evictions.labels(service, reason).inc()

    def forgive(self, service: str) -> None:
        """What runs has changed: former failures say nothing about it."""
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

    def _follow(self, replica: Replica) -> None:
        if replica.state is State.READY:
            self._ready_since.setdefault(replica.id, self._clock())
            self._registry.set_trouble(replica.service, None)
        elif replica.state is State.FAILED:
            self._record(replica)
        elif replica.state is State.STOPPED:
            self._ready_since.pop(replica.id, None)
            self._causes.pop(replica.id, None)
            self._evicted.discard(replica.id)
            if self._registry.completed(replica.service) is not None:
                self.forgive(replica.service)

    def _record(self, replica: Replica) -> None:
        now = self._clock()
        ready_since = self._ready_since.pop(replica.id, None)
        if self._engine_owns_count and self._can_be_spared(replica.service):
            return
        served_for = 0.0 if ready_since is None else now - ready_since
        backoff = self._backoff.get(replica.service, _NONE).failed(served_for, now)
        self._backoff[replica.service] = backoff
        known, detail = self._causes.pop(replica.id, ("", ""))
        code = known or ("start-failed" if ready_since is None else "replica-died")
        if replica.id not in self._evicted:
            self._metrics.evictions.labels(replica.service, code).inc()
        self._evicted.discard(replica.id)
        self._tell(replica, code, detail, backoff)

    def _can_be_spared(self, service: str) -> bool:
        """Such an engine takes surplus replicas away by itself: that is no failure."""
        present = self._registry.replicas(service)
        capable = sum(replica.state in (State.STARTING, State.READY) for replica in present)
        return capable >= self._registry.desired(service).replicas

    def _tell(self, replica: Replica, code: str, detail: str, backoff: Backoff) -> None:
        wait = backoff.remaining(self._clock())
        if backoff.failures >= LOOPING_AFTER and code in ("start-failed", "replica-died"):
            code = "crash-looping"
        message = replica.reason
        if backoff.failures > 1:
            message = f"{message} ({backoff.failures} failures in a row)"
        retry_after = wait + (self._registry.start_seconds(replica.service) or 1.0)
        trouble = Trouble(code, message, retry_after, detail)
        self._registry.set_trouble(replica.service, trouble)
        self._events.emit(
            "replica-failed",
            f"{replica.id} failed: {trouble}; next start in {wait:.0f} s",
            service=replica.service,
            replica=replica.id,
            level=logging.WARNING,
        )
