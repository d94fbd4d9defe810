"""One writer at a time, also while Tidegate is replaced: a gate before all that changes the engine.

Closed, it lets what is under way come to its end, and holds what comes after until it is open
again; whoever waits when the process ends was never begun.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Open at first."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._left = asyncio.Event()
        self._within = 0

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        while not self._open.is_set():
            await self._open.wait()
        self._within += 1
        try:
            yield
        finally:
            self._within -= 1
            self._left.set()

    async def close(self, patience: float) -> bool:
        """Nobody gets in any more. False when somebody is still within after `patience` seconds."""
        self._open.clear()
        try:
            async with asyncio.timeout(patience):
                while self._within:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            # On a machine that stood still the last one may have left in the same turn of the loop.
            return not self._within
        return True

    def open(self) -> None:
        self._open.set()
