"""What happened, for operators: a bounded log that others can follow.

Everybody may emit; nothing in Tidegate acts on an event.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

log = logging.getLogger("tidegate")
_LONGEST = 4000  # characters of a message; engines and replicas say what they like


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened. `at` is wall-clock seconds; `kind` is stable and bounded."""

    id: int
    at: float
    kind: str
    message: str
    service: str | None = None
    replica: str | None = None


class Events:
    """The last `keep` happenings, and whoever follows them."""

    def __init__(self, clock: Callable[[], float], keep: int = 2000) -> None:
        self._clock = clock
        self._recent: deque[Happening] = deque(maxlen=keep)
        self._followers: set[asyncio.Queue[Happening]] = set()
        self._next_id = 1

    def emit(
        self,
        kind: str,
        message: str,
        *,
        service: str | None = None,
        replica: str | None = None,
        level: int = logging.INFO,
    ) -> None:
        """Record it, tell the followers, and write it to the log."""
        message = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}…"
        happening = Happening(self._next_id, self._clock(), kind, message, service, replica)
        self._next_id += 1
        self._recent.append(happening)
        for follower in self._followers:
            _offer(follower, happening)
        log.log(level, message, extra={"kind": kind, "service": service, "replica": replica})

    def since(self, last_id: int = 0) -> list[Happening]:
        return [happening for happening in self._recent if happening.id > last_id]

    @contextlib.contextmanager
    def follow(self) -> Iterator[asyncio.Queue[Happening]]:
        """New happenings, from now on. A follower that falls behind loses the oldest."""
        queue: asyncio.Queue[Happening] = asyncio.Queue(maxsize=1000)
        self._followers.add(queue)
        try:
            yield queue
        finally:
            self._followers.discard(queue)

    async def stream(self, last_id: int = 0) -> AsyncIterator[Happening]:
        """The kept ones after `last_id`, then new ones for ever."""
        with self.follow() as queue:
            for happening in self.since(last_id):
                yield happening
            while True:
                yield await queue.get()


def _offer(queue: "asyncio.Queue[Happening]", happening: Happening) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(happening)
