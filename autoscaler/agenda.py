"""When to look at what again: one moment per name, one timer for all, none while it is empty.

Knows nothing of scaling.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable


class Agenda:
    """Moments are in the seconds of `clock`, which is loop time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moments: dict[str, float] = {}
        self._timer = math.inf
        self._changed = asyncio.Event()

    def plan(self, name: str, moment: float) -> None:
        """Look at it then, and not when planned before; infinity: not at all."""
        if moment == math.inf:
            self._moments.pop(name, None)
        else:
            self._moments[name] = moment
        if moment < self._timer or not self._moments:
            self._changed.set()

    def moment(self, name: str) -> float:
        """When it is looked at next; infinity: not at all."""
        return self._moments.get(name, math.inf)

    def hasten(self, name: str, moment: float) -> None:
        """Look at it then or when planned before, whatever comes first: what is due already, and
        only waits for its turn in the loop, is not put off by news."""
        if moment < self._moments.get(name, math.inf):
            self.plan(name, moment)

    async def next_due(self) -> float:
        """Waits until something is due. Returns now, never earlier than what is due."""
        while True:
            moment = min(self._moments.values(), default=math.inf)
            if await self._has_come(moment):
                # A coarse clock may fire a little early: what was due is due.
                return max(moment, self._clock())

    def take(self, now: float) -> list[str]:
        """All that is due, and no longer planned."""
        due = [name for name, moment in self._moments.items() if moment <= now]
        for name in due:
            del self._moments[name]
        return due

    async def _has_come(self, moment: float) -> bool:
        """Waits for it. False: something else may be the first now."""
        self._changed.clear()
        self._timer = moment
        delay = None if moment == math.inf else moment - self._clock()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._changed.wait()
            return False
        return True
