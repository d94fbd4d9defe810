"""An event loop whose clock jumps to the next timer when nothing is ready.

Hours pass in milliseconds and always in the same order. Only for code without real sockets,
threads or processes: those know nothing of this clock.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(Exception):
    """Nothing is ready and no timer is set: nothing can ever wake this loop again."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The standard loop on a clock of its own, in seconds, that starts at `start`."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Turns each wait of the loop into a jump of its clock."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Deadlock(f"nothing can ever wake: {_waiting(self._loop) or 'no task'}")
        self._loop.jump(timeout)
        return []


def run(work: Coroutine[Any, Any, T], *, start: float = 0.0) -> T:
    """Runs it to its end in virtual time. Raises Deadlock."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(start)) as runner:
        return runner.run(work)


def _waiting(loop: VirtualTimeLoop) -> str:
    """The tasks that wait and where, for the reader of a deadlock."""
    return "; ".join(sorted(_place(task) for task in asyncio.all_tasks(loop)))


def _place(task: asyncio.Task[Any]) -> str:
    frame = task.get_stack(limit=1)
    where = f"{frame[-1].f_code.co_filename}:{frame[-1].f_lineno}" if frame else "?"
    return f"{task.get_name()} at {where}"
