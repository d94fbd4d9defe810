"""How many requests may wait for replicas, of all services together, and what is fair of it.

Pure. A service may hold SHARE times as many places as are free (dynamic thresholds: Choudhury and
Hahne, Dynamic Queue Length Thresholds for Shared-Memory Packet Switches, 1998). So one alone gets
four fifths of all, and whoever holds more than others is refused before them. Nobody who was let in
is put out again; therefore the last tenth is only for services that hold fewer than ASSURED.
"""

from gateway.peers import Count

SHARE = 8
ASSURED = 16
_FOR_ALL = 0.9


class Held:
    """Of one gateway process. `everywhere`: those of all processes, when there are several."""

    __slots__ = ("_everywhere", "here", "limit")

    def __init__(self, everywhere: Count | None = None) -> None:
        self.limit = 0
        self.here = 0
        self._everywhere = everywhere

    def changed(self, by: int) -> None:
        """So many more, or fewer, wait here now."""
        self.here += by
        if self._everywhere is not None:
            self._everywhere.tell(self.here)

    def has_room(self, own: int) -> bool:
        """For one more of a service of which `own` wait. Told before it is asked for, so that of
        two processes that come to the last place at least one sees the other."""
        if not self.limit:
            return True
        if self._everywhere is None:
            return is_fair(own, self.here, self.limit)
        self._everywhere.tell(self.here + 1)
        fair = is_fair(own, self._everywhere.total() - 1, self.limit)
        if not fair:
            self._everywhere.tell(self.here)
        return fair


def is_fair(own: int, taken: int, limit: float) -> bool:
    """Whether a service that has `own` of the `taken` places may have one more."""
    if own < ASSURED:
        return taken < limit
    return own < SHARE * (limit * _FOR_ALL - taken)
