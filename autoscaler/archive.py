"""The histories of all services, within a number of bytes.

Pure. Where there is no room, the history of the service that changed least lately is thinned to its
newest few changes; when all are thin, it goes altogether.
"""

from collections.abc import Iterator

from autoscaler.decision import Decision
from autoscaler.history import History
from autoscaler.record import Record
from autoscaler.result import Presence

# A hundred changes of some 1,500 services, or the newest few of 20,000.
MOST = 32 * 1024 * 1024
FEW = 5
# What a history takes beside its records, its name and its places here.
EMPTY = 700


class Archive:
    """`most` is in bytes, reckoned; what waits for its result comes on top."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._histories: dict[str, History] = {}
        # Names, those that changed least lately first: what may be thinned, and what was.
        self._full: dict[str, None] = {}
        self._thin: dict[str, None] = {}
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._histories))

    def add(self, service: str, decision: Decision, now: float) -> bool:
        """Whether it changed something. `decision.at` is wall-clock time, `now` the loop's."""
        history = self._histories.get(service)
        if history is None:
            history = self._histories[service] = History()
            self._size += EMPTY
        before = history.size
        if not history.add(decision, now):
            return False
        self._size += history.size - before
        self._thin.pop(service, None)
        self._full.pop(service, None)
        self._full[service] = None
        self._make_room()
        return True

    def observe(self, service: str, seen: Presence, now: float) -> None:
        """What has come of the latest change; to be asked for only while `is_open`."""
        if history := self._histories.get(service):
            before = history.size
            history.observe(seen, now)
            self._size += history.size - before

    def is_open(self, service: str) -> bool:
        """Whether a result is awaited."""
        history = self._histories.get(service)
        return history is not None and history.is_open

    def newest_first(self, service: str, now: float | None = None) -> list[Record]:
        history = self._histories.get(service)
        return history.newest_first(now) if history else []

    def latest(self, service: str, now: float | None = None) -> Record | None:
        history = self._histories.get(service)
        return history.latest(now) if history else None

    def rest(self, service: str) -> None:
        """Nothing about it is decided until it wakes."""
        if history := self._histories.get(service):
            history.rest()

    def forget(self, service: str) -> None:
        history = self._histories.pop(service, None)
        if history is not None:
            self._size -= history.size + EMPTY
            self._full.pop(service, None)
            self._thin.pop(service, None)

    def _make_room(self) -> None:
        while self._size > self._most and len(self._histories) > 1:
            if len(self._full) > 1 or not self._thin:
                self._make_thin(next(iter(self._full)))
            else:
                self.forget(next(iter(self._thin)))

    def _make_thin(self, service: str) -> None:
        del self._full[service]
        history = self._histories[service]
        before = history.size
        history.thin(FEW)
        self._size += history.size - before
        self._thin[service] = None
