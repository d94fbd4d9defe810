"""An event loop whose clock jumps to the next timer when nothing is ready.

Hours pass in milliseconds and always in the same order. Only for code without real sockets,
threads or processes: those know nothing of this clock. A player has the time between two timers:
what happens millions of times is not worth a timer each.
"""

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Deadlock(Exception):
    """Nothing is ready and no timer is set: nothing can ever wake this loop again."""


class Player(Protocol):
    """Has events of its own, each at a moment of the loop's clock."""

    def play(self, loop: "VirtualTimeLoop") -> None:
        """Live through the events up to `loop.horizon`, which may come nearer meanwhile, but no
        further than the one that stirs the loop. Sets `loop.now` to the moment of each."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The standard loop on a clock of its own, in seconds, that starts at `start`.

    `horizon` is when the next timer is due; `stirred` says that the loop itself has work at once.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        self.horizon = math.inf
        self.stirred = False
        self.player: Player | None = None
        self._until_settled: list[asyncio.Future[None]] = []
        self._until_jumped: list[asyncio.Future[None]] = []
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self.now

    def jump(self, seconds: float) -> None:
        self.now += seconds

    def settled(self) -> asyncio.Future[None]:
        """Done when all that happens at this moment has happened."""
        self._until_settled.append(settled := self.create_future())
        return settled

    def jumped(self) -> asyncio.Future[None]:
        """Done when the clock has gone on."""
        self._until_jumped.append(jumped := self.create_future())
        return jumped

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:  # fmt: skip
        self.stirred = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:  # fmt: skip
        self.horizon = min(self.horizon, when)
        return super().call_at(when, callback, *args, context=context)

    def wait(self, timeout: float | None) -> None:
        """Until the next timer, or until the player stirs the loop. Raises Deadlock."""
        if self._until_settled:
            _finish(self._until_settled)
            return
        self.horizon = math.inf if timeout is None else self.now + timeout
        self.stirred = False
        if self.player is not None:
            self.player.play(self)
        if not self.stirred:
            if self.horizon == math.inf:
                raise Deadlock(f"nothing can ever wake: {_waiting(self) or 'no task'}")
            self.now = self.horizon
        if self._until_jumped:
            _finish(self._until_jumped)


class _JumpingSelector(selectors.DefaultSelector):
    """Turns each wait of the loop into a jump of its clock."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = [] if self._loop.player else super().select(0)
        if not ready and timeout != 0:
            self._loop.wait(timeout)
        return ready


def run(work: Coroutine[Any, Any, T], *, start: float = 0.0) -> T:
    """Runs it to its end in virtual time. Raises Deadlock."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(start)) as runner:
        return runner.run(work)


def _finish(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
    futures.clear()


def _waiting(loop: VirtualTimeLoop) -> str:
    """The tasks that wait and where, for the reader of a deadlock."""
    return "; ".join(sorted(_place(task) for task in asyncio.all_tasks(loop)))


def _place(task: asyncio.Task[Any]) -> str:
    frame = task.get_stack(limit=1)
    where = f"{frame[-1].f_code.co_filename}:{frame[-1].f_lineno}" if frame else "?"
    return f"{task.get_name()} at {where}"
