"""Leases on one service: while one lasts, the service neither freezes nor stops.

Pure. A lease is a promise with an end, so that a client that dies keeps nothing awake for ever.
"""

from dataclasses import dataclass

LONGEST = 24 * 3600.0  # seconds
MOST = 100  # of one service at once
NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Lease:
    """`until` is loop time. With `replica` it also asks to spare that one in a scale-in."""

    id: str
    service: str
    until: float
    replica: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A lease as it outlives this process: `until` is in wall-clock seconds."""

    id: str
    service: str
    until: float
    replica: str | None = None


class Leases:
    """Those of one service; what has ended is forgotten at the next look."""

    __slots__ = ("_by_id",)

    def __init__(self) -> None:
        self._by_id: dict[str, Lease] = {}

    def add(self, lease: Lease, now: float) -> None:
        """Raises ValueError, with words for the operator, when it is too long or one too many."""
        if not 0 < lease.until - now <= LONGEST:
            raise ValueError("a lease must be longer than nothing and last at most 24h")
        if len(self.present(now)) >= MOST:
            raise ValueError(
                f"{lease.service} has {MOST} leases already: release one, or wait for an end"
            )
        self._by_id[lease.id] = lease

    def release(self, id: str, now: float) -> Lease | None:
        """None: there is no such lease, or it has ended."""
        self.present(now)
        return self._by_id.pop(id, None)

    def present(self, now: float) -> tuple[Lease, ...]:
        """In the order in which they were taken."""
        for id in [id for id, lease in self._by_id.items() if lease.until <= now]:
            del self._by_id[id]
        return tuple(self._by_id.values())

    def until(self, now: float) -> float:
        """When the last one ends (loop time); NEVER when there is none."""
        return max((lease.until for lease in self.present(now)), default=NEVER)

    def replicas(self, now: float) -> frozenset[str]:
        """Those that a lease asks to spare."""
        return frozenset(lease.replica for lease in self.present(now) if lease.replica)
