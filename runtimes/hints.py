"""Hints for whoever watches a runtime: where to look again, never what happened there.

A watcher that is slow gets one hint per service, however often it changed meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator

from cluster.runtime import Hint


class Hints:
    """Tells every watcher of one runtime."""

    def __init__(self) -> None:
        self._watchers: set[_Watcher] = set()

    def tell(self, service: str | None) -> None:
        for watcher in self._watchers:
            watcher.tell(service)

    def end(self) -> None:
        """Ends every watch."""
        for watcher in self._watchers:
            watcher.end()

    async def watch(self) -> AsyncIterator[Hint]:
        """The first hint names no service: what was listed before we listened may be stale."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            watcher.tell(None)
            while services := await watcher.next():
                for service in services:
                    yield Hint(service)
        finally:
            self._watchers.discard(watcher)


class _Watcher:
    def __init__(self) -> None:
        self._pending: dict[str | None, None] = {}  # a set that keeps its order
        self._news = asyncio.Event()
        self._ended = False

    def tell(self, service: str | None) -> None:
        self._pending[service] = None
        self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()

    async def next(self) -> list[str | None]:
        """Services to look at; empty once ended."""
        await self._news.wait()
        pending, self._pending = list(self._pending), {}
        if not self._ended:
            self._news.clear()
        return [] if self._ended else pending
