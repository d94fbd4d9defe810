"""What Python of others says: an entry point of the group `tidegate.metrics`.

It is a function of its options (a mapping of texts) that returns a number, or None where there is
none now. An async one runs on our loop and must not block it; a plain one runs in a thread. A
thread cannot be ended: while one has not come back, no other is started, and none keeps Tidegate
from ending.
"""

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from autoscaler.sources.source import SourceFailure, without
from config.rules import CustomRule

GROUP = "tidegate.metrics"


class CustomSource:
    def __init__(self, rule: CustomRule) -> None:
        self._name = rule.name
        self._options = dict(rule.options)
        self._function: Callable[[dict[str, str]], Any] | None = None
        self._under_way: asyncio.Future[Any] | None = None

    async def ask(self) -> float:
        try:
            return _number(await self._call(), self._name)
        except SourceFailure:
            raise
        # Whatever it does, it shall not take Tidegate with it.
        except (Exception, SystemExit) as error:
            says = f"{self._name} failed: {type(error).__name__}: {error}"
            raise SourceFailure(without(says, self._options.values())) from error

    async def close(self) -> None:
        """A thread that has not come back is left to itself."""

    async def _call(self) -> Any:
        if self._function is None:
            self._function = await self._apart(lambda: _loaded(self._name))
        function, options = self._function, dict(self._options)
        if inspect.iscoroutinefunction(function):
            return await function(options)
        answer = await self._apart(lambda: function(options))
        return await answer if inspect.isawaitable(answer) else answer

    async def _apart(self, work: Callable[[], Any]) -> Any:
        """In a thread of its own. Raises what it raises."""
        if self._under_way is not None and not self._under_way.done():
            raise SourceFailure(f"{self._name} has not come back from when it was asked before")
        loop = asyncio.get_running_loop()
        self._under_way = ended = loop.create_future()
        # What it says after nobody waits any more is not missed.
        ended.add_done_callback(lambda future: future.cancelled() or future.exception())
        threading.Thread(
            target=_run, args=(work, loop, ended), name=f"metric {self._name}", daemon=True
        ).start()
        return await asyncio.shield(ended)


def _run(
    work: Callable[[], Any], loop: asyncio.AbstractEventLoop, ended: "asyncio.Future[Any]"
) -> None:
    """In the thread."""
    try:
        answer, error = work(), None
    except BaseException as caught:
        answer, error = None, caught
    # The loop may have ended meanwhile.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_settle, ended, answer, error)


def _settle(ended: "asyncio.Future[Any]", answer: Any, error: BaseException | None) -> None:
    if ended.cancelled():
        return
    if error is None:
        ended.set_result(answer)
    elif isinstance(error, Exception) and not isinstance(error, StopIteration):
        ended.set_exception(error)
    else:
        # A future takes no StopIteration, and SystemExit in a thread ends nothing but itself.
        ended.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))


def _loaded(name: str) -> Callable[[dict[str, str]], Any]:
    """Raises SourceFailure, or whatever its import raises."""
    there = entry_points(group=GROUP)
    found = tuple(there.select(name=name))
    if not found:
        names = ", ".join(sorted(there.names)) or "none"
        raise SourceFailure(f'there is no entry point "{name}" in {GROUP}; there are: {names}')
    if len({point.value for point in found}) > 1:
        raise SourceFailure(f'several distributions have an entry point "{name}" in {GROUP}')
    function = found[0].load()
    if not callable(function):
        raise SourceFailure(f'the entry point "{name}" is no function')
    return function  # type: ignore[no-any-return]


def _number(value: Any, name: str) -> float:
    if value is None:
        raise SourceFailure(f"{name} says that there is no value", silent=True)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SourceFailure(f"{name} returned {type(value).__name__}, which is no number")
    return float(value)
