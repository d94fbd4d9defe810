"""Write-behind: what has changed is written a little later, and a little at a time.

The loop may be shared with requests, so no turn of it writes more than a few. What changed first is
written first, and what changes again while it waits is written once.
"""

import asyncio
from collections.abc import Callable
from itertools import islice

WRITE_EVERY = 10.0  # seconds from a change to the writing; what changed since is lost by a crash
AT_ONCE = 4  # in one turn of the loop: a millisecond for small files
PAUSE = 0.01  # seconds from turn to turn: most of the loop's time is left to others


class WriteBehind:
    """`write` is told a name, looks up what is known of it by then, and never raises."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._waiting: dict[str, None] = {}  # the oldest change first
        self._has_news = asyncio.Event()
        self._is_halted = False

    def changed(self, name: str) -> None:
        self._waiting[name] = None
        self._has_news.set()

    async def run(self) -> None:
        """For ever. What changes while others are written has its own time to wait."""
        while True:
            await self._has_news.wait()
            await asyncio.sleep(WRITE_EVERY)
            self._has_news.clear()
            for left in range(len(self._waiting), 0, -AT_ONCE):
                self._write_some(min(left, AT_ONCE))
                await asyncio.sleep(PAUSE)

    async def halt(self) -> None:
        """All that waits is written, and nothing more from then on until `begin`."""
        while self._waiting and not self._is_halted:
            self._write_some(AT_ONCE)
            await asyncio.sleep(0)
        self._is_halted = True

    def begin(self) -> None:
        """Again, with what has changed in the meantime."""
        self._is_halted = False
        if self._waiting:
            self._has_news.set()

    def _write_some(self, most: int) -> None:
        if self._is_halted:
            return
        for name in tuple(islice(self._waiting, most)):
            del self._waiting[name]
            self._write(name)
