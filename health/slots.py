"""How many probes may be under way at once, and how many of them of one service.

One service whose replicas hang would otherwise hold every place until its timeouts, and the others
would be asked late. First come, first served.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator


class Slots:
    """`total` places; half of them for one service at most."""

    def __init__(self, total: int) -> None:
        self._all = asyncio.Semaphore(total)
        self._share = (total + 1) // 2
        self._services: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def of(self, service: str) -> AsyncIterator[None]:
        """A place for one probe. While there is one, the loop is not given away."""
        own = self._services.setdefault(service, asyncio.Semaphore(self._share))
        self._users[service] += 1
        try:
            async with own, self._all:
                yield
        finally:
            self._users[service] -= 1
            if not self._users[service]:
                del self._users[service], self._services[service]
