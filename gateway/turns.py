"""What can wait is done a little in each turn of the loop, in the order in which it came.

However many ask for more of the loop's time, the others wait for a few small steps and not for all
of them: asyncio would run in one turn whatever was ready when it began.
"""

import asyncio
from collections import deque
from collections.abc import Callable

AT_ONCE = 4  # steps, of about 0.1 ms each


class Turns:
    """Steps that wait for a turn. Belongs to one event loop."""

    __slots__ = ("_asked", "_loop", "_steps")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._steps: deque[Callable[[], None]] = deque()
        self._asked = False

    def add(self, step: Callable[[], None]) -> None:
        """To be called once, in a later turn."""
        self._steps.append(step)
        self._ask()

    def _ask(self) -> None:
        if self._steps and not self._asked:
            self._asked = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._asked = False
        try:
            for _ in range(min(AT_ONCE, len(self._steps))):
                self._steps.popleft()()
        finally:
            self._ask()
