"""Who is started next, of all replicas that wait for it: a host bears only so many starts at once.

Pure. First replicas go before further ones, because requests wait for them and for nothing else;
among those, services take turns, so that one which wants fifty delays nobody's next one by more
than a single start. Within a service it is first come, first served.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Queue:
    """Replicas by service; the service whose turn it is comes first."""

    waiting: OrderedDict[str, deque[str]] = field(default_factory=OrderedDict)

    def join(self, service: str, replica: str) -> None:
        self.waiting.setdefault(service, deque()).append(replica)

    def leave(self, service: str, replica: str) -> bool:
        line = self.waiting.get(service)
        if line is None or replica not in line:
            return False
        line.remove(replica)
        if not line:
            del self.waiting[service]
        return True

    def next(self) -> str | None:
        if not self.waiting:
            return None
        service, line = next(iter(self.waiting.items()))
        replica = line.popleft()
        if line:
            self.waiting.move_to_end(service)
        else:
            del self.waiting[service]
        return replica


class Turns:
    """`limit` starts may be under way at once; 0 is no limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._under_way: set[str] = set()
        self._first, self._further = _Queue(), _Queue()
        self._service_of: dict[str, str] = {}

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    @property
    def waiting(self) -> int:
        return len(self._service_of)

    def ask(self, service: str, replica: str, *, is_first: bool) -> bool:
        """Whether it may start at once; else it waits until `admit` names it."""
        if not self._service_of and self._has_room():
            self._under_way.add(replica)
            return True
        self._service_of[replica] = service
        (self._first if is_first else self._further).join(service, replica)
        return False

    def leave(self, replica: str) -> None:
        """It needs its place no more, or does not want one; unknown ones are ignored."""
        self._under_way.discard(replica)
        service = self._service_of.pop(replica, None)
        if service is not None and not self._first.leave(service, replica):
            self._further.leave(service, replica)

    def admit(self) -> list[str]:
        """Those whose turn has come."""
        admitted = []
        while self._service_of and self._has_room():
            replica = self._first.next() or self._further.next()
            assert replica is not None
            del self._service_of[replica]
            self._under_way.add(replica)
            admitted.append(replica)
        return admitted

    def _has_room(self) -> bool:
        return not self.limit or len(self._under_way) < self.limit
