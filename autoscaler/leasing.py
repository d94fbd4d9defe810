"""Leases of all services: taken and given back by the API, acted on by the scaler.

They live in memory and by loop time: a reload keeps them, a restart of Tidegate ends them.
"""

from collections.abc import Callable, Mapping, Sequence

from autoscaler.leases import Lease, Leases
from autoscaler.scaler import Scaler
from cluster.events import Events
from config.service import Service
from config.units import format_duration


class Leasing:
    """`clock` is loop time; `new_id` names a lease."""

    def __init__(
        self,
        scaler: Scaler,
        events: Events,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._scaler = scaler
        self._events = events
        self._clock = clock
        self._new_id = new_id
        self._leases: dict[str, Leases] = {}

    def configure(self, specs: Mapping[str, Service]) -> None:
        """Leases on services that left the file end."""
        for service in [name for name in self._leases if name not in specs]:
            del self._leases[service]

    def take(self, service: str, seconds: float, *, wake: bool, replica: str | None) -> Lease:
        """Raises ValueError with words for the operator."""
        now = self._clock()
        lease = Lease(self._new_id(), service, now + seconds, replica)
        leases = self._leases.get(service) or Leases()
        leases.add(lease, now)
        self._scaler.keep_until(service, leases.until(now))
        self._leases[service] = leases
        if wake:
            self._scaler.rouse(service, "a lease")
        whose = f" by {replica}" if replica else ""
        self._events.emit(
            "leased", f"{service}: leased{whose} for {format_duration(seconds)}", service=service
        )
        return lease

    def release(self, service: str, id: str) -> Lease | None:
        """None: there is no such lease, or it has ended."""
        now = self._clock()
        leases = self._leases.get(service)
        lease = leases.release(id, now) if leases else None
        if leases and lease:
            # Until now it was in use.
            self._scaler.keep_until(service, max(now, leases.until(now)))
            self._events.emit(
                "lease-released", f"{service}: a lease was given back", service=service
            )
        return lease

    def present(self, service: str) -> Sequence[Lease]:
        leases = self._leases.get(service)
        return leases.present(self._clock()) if leases else ()

    def replicas(self, service: str) -> frozenset[str]:
        """The replicas of a service that leases ask to spare."""
        leases = self._leases.get(service)
        return leases.replicas(self._clock()) if leases else frozenset()
