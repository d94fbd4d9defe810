"""Leases of all services: taken and given back by the API, acted on by the scaler.

They live by loop time, and in a book by wall-clock time: neither a reload nor a restart ends them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from autoscaler.leases import LONGEST, Kept, Lease, Leases
from autoscaler.scaler import Scaler
from cluster.events import Events
from config.service import Service
from config.units import format_duration


class Book(Protocol):
    """Where leases outlive this process. It never raises: what cannot be kept is told."""

    def read(self) -> Sequence[Kept]: ...
    def write(self, leases: Sequence[Kept]) -> None: ...


class Leasing:
    """`clock` is loop time, `wall` seconds since 1970; `new_id` names a lease."""

    def __init__(
        self,
        scaler: Scaler,
        events: Events,
        clock: Callable[[], float],
        wall: Callable[[], float],
        new_id: Callable[[], str],
        book: Book,
    ) -> None:
        self._scaler = scaler
        self._events = events
        self._clock = clock
        self._wall = wall
        self._new_id = new_id
        self._book = book
        self._leases: dict[str, Leases] = {}
        # Whoever takes one before these are restored must not write them out of the book.
        self._unrestored = book.read()

    def configure(self, specs: Mapping[str, Service]) -> None:
        """Leases on services that left the file, or that others run now, end."""
        for service in tuple(self._leases):
            if (spec := specs.get(service)) is not None and not spec.endpoints:
                continue
            del self._leases[service]
            self._keep()

    def restore(self, specs: Mapping[str, Service]) -> None:
        """Those of a former process, once what it left running was adopted. What sleeps sleeps on,
        as under any lease."""
        now, since_boot = self._clock(), self._wall() - self._clock()
        unrestored, self._unrestored = self._unrestored, ()
        for kept in unrestored:
            spec, until = specs.get(kept.service), kept.until - since_boot
            if spec is None or spec.endpoints or not 0 < until - now <= LONGEST:
                continue
            leases = self._leases.setdefault(kept.service, Leases())
            leases.add(Lease(kept.id, kept.service, until, kept.replica), now)
            self._scaler.keep_until(kept.service, leases.until(now))

    def take(self, service: str, seconds: float, *, wake: bool, replica: str | None) -> Lease:
        """Raises ValueError with words for the operator."""
        now = self._clock()
        lease = Lease(self._new_id(), service, now + seconds, replica)
        leases = self._leases.get(service) or Leases()
        leases.add(lease, now)
        self._scaler.keep_until(service, leases.until(now))
        self._leases[service] = leases
        self._keep()
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
            self._keep()
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

    def _keep(self) -> None:
        now, since_boot = self._clock(), self._wall() - self._clock()
        present = [lease for leases in self._leases.values() for lease in leases.present(now)]
        taken = [Kept(one.id, one.service, one.until + since_boot, one.replica) for one in present]
        self._book.write([*self._unrestored, *taken])
