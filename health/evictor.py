"""Takes replicas out that fail their liveness: each alone, and never all of them at once.

An evicted replica gets no requests but stays until its replacement is ready, or returns when it
passes again first. Where nothing may run beside it, or nothing was ready in time, it is condemned:
it goes first. What the evictions of a service have come to is forgotten with its last replica.
"""

import logging
from collections.abc import Callable

from cluster.events import Events
from cluster.lifecycle import Event, State
from cluster.model import Replica
from cluster.plan import Surge, surge_of
from cluster.registry import Registry
from config.service import Service
from health.eviction import Guard, Hold, Ward
from health.metrics import HealthMetrics
from health.verdict import Verdict

Evicted = Callable[[str, str, str], None]
"""Service, replica, reason (a label of `tidegate_evictions_total`)."""

MayRun = Callable[[str], bool]
"""Whether there is room for one more replica of a service."""


class Evictor:
    def __init__(
        self,
        registry: Registry,
        events: Events,
        metrics: HealthMetrics,
        evicted: Evicted,
        may_run: MayRun,
    ) -> None:
        self._registry = registry
        self._events = events
        self._metrics = metrics
        self._evicted = evicted
        self._may_run = may_run
        self._guards: dict[str, Guard] = {}
        self._out: dict[str, float] = {}
        self._held: dict[str, set[str]] = {}
        registry.on_service(self._tidy)

    def is_out(self, replica: str) -> bool:
        return replica in self._out

    def is_guarding(self, service: str) -> bool:
        """Something was evicted since its replicas began, or would have been."""
        return service in self._guards

    def fails(
        self, replica: Replica, ward: Ward, spec: Service, verdict: Verdict, kind: str, now: float
    ) -> Verdict | None:
        """What becomes of a replica that failed often enough: taken out, condemned, or nothing."""
        since = self._out.get(replica.id)
        if since is not None:
            return self._overdue(verdict, now - since, spec)
        guard = self._guards.setdefault(replica.service, Guard())
        hold = guard.hold(ward, now)
        if hold is not None:
            self._hold(replica, ward, hold, verdict)
            return None
        guard.evicted(ward, now)
        self._out[replica.id] = now
        self._held.get(replica.service, set()).discard(replica.id)
        self._evicted(replica.service, replica.id, kind)
        if not self._may_run_beside(spec):
            return Verdict(Event.CONDEMNED, verdict.reason)
        self._tell_eviction(replica, verdict)
        return Verdict(Event.UNREADY, verdict.reason)

    def late(self, spec: Service) -> Event | None:
        """What becomes of an adopted replica that is not ready in time. It has served before, and
        its like may all be waiting for the same: none is removed before a replacement is ready, or,
        where nothing may run beside it, before the one that went first is replaced."""
        if self._may_run_beside(spec):
            return Event.UNREADY
        standing = sum(map(_stands, self._registry.replicas(spec.name)))
        lacking = self._registry.desired(spec.name).replicas - standing
        return Event.CONDEMNED if lacking < max(1, self._surge(spec).missing) else None

    def passes(self, replica: Replica, ward: Ward, began: float) -> None:
        """It passes its liveness; it began at that loop time."""
        guard = self._guards.get(replica.service)
        if guard is None:
            return
        self._out.pop(replica.id, None)
        guard.lives(began)
        held = self._held.get(replica.service)
        if held is not None:
            held.discard(replica.id)
            if not ward.failing:
                self._resume(replica.service)

    def _overdue(self, verdict: Verdict, waited: float, spec: Service) -> Verdict | None:
        if waited < spec.health.startup.deadline:
            return None
        reason = f"{verdict.reason}; no replacement was ready within {waited:.0f} s"
        return Verdict(Event.CONDEMNED, reason)

    def _may_run_beside(self, spec: Service) -> bool:
        """By its rollout, and by what the host has left where nothing runs beside it yet."""
        if not self._surge(spec).extra:
            return False
        wanted = self._registry.desired(spec.name).replicas
        return len(self._registry.replicas(spec.name)) > wanted or self._may_run(spec.name)

    def _surge(self, spec: Service) -> Surge:
        wanted = self._registry.desired(spec.name).replicas
        return surge_of(wanted, spec.rollout.max_surge, spec.rollout.max_unavailable)

    def _tidy(self, service: str) -> None:
        """Nothing is kept of a service that sleeps."""
        if service not in self._guards:
            return
        present = {replica.id for replica in self._registry.replicas(service)}
        for replica in [one for one in self._out if one not in present]:
            if self._registry.replica(replica) is None:
                del self._out[replica]
        if service in self._held:
            self._held[service] &= present
        if not present:
            del self._guards[service]
            self._held.pop(service, None)

    # Words

    def _hold(self, replica: Replica, ward: Ward, hold: Hold, verdict: Verdict) -> None:
        service = replica.service
        is_news = service not in self._held
        held = self._held.setdefault(service, set())
        if replica.id not in held:
            held.add(replica.id)
            self._metrics.held.labels(service).inc()
        if is_news:
            self._events.emit(
                "evictions-held",
                f"{ward.failing} of {ward.watched} replicas fail at the same time "
                f"({replica.id}: {verdict.reason}), as if the fault were in something that they "
                f"share: look at what {service} depends on. One is replaced at a time "
                f"({hold.why}); the others keep serving",
                service=service,
                level=logging.WARNING,
            )

    def _resume(self, service: str) -> None:
        del self._held[service]
        self._events.emit(
            "evictions-resumed",
            "no replica fails its liveness any more",
            service=service,
        )

    def _tell_eviction(self, replica: Replica, verdict: Verdict) -> None:
        self._events.emit(
            "replica-evicted",
            f"{replica.id}: {verdict.reason}; it gets no requests and is removed once its "
            f"replacement is ready, `tidegate logs {replica.service}` may say why it failed",
            service=replica.service,
            replica=replica.id,
            level=logging.WARNING,
        )


def _stands(replica: Replica) -> bool:
    """It is no replacement that is still to come."""
    is_starting = replica.state is State.STARTING
    return replica.state in (State.READY, State.UNHEALTHY) or (is_starting and replica.adopted)
