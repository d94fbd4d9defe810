"""One order of news from two sources: the engine's events, and what we see ourselves meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from cluster.runtime import Hint


class News:
    """For every watcher of one runtime. What is told while nobody listens is lost: who begins to
    listen looks at everything anyway."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[Hint | Exception | None]] = set()

    def tell(self, hint: Hint) -> None:
        for listener in self._listeners:
            listener.put_nowait(hint)

    async def with_events(
        self, lines: AsyncIterable[bytes], read: Callable[[bytes], Hint]
    ) -> AsyncIterator[Hint]:
        """Until the events end. Raises what reading them raises."""
        news = asyncio.Queue[Hint | Exception | None]()
        self._listeners.add(news)
        try:
            with beside(_read(lines, read, news), "read the engine's events"):
                while (one := await news.get()) is not None:
                    if isinstance(one, Exception):
                        raise one
                    yield one
        finally:
            self._listeners.discard(news)


@contextlib.contextmanager
def beside(work: Coroutine[Any, Any, None], name: str) -> Iterator[None]:
    """A task for as long as a block lasts. It has no errors of its own to tell."""
    # Not in a TaskGroup: that would wrap the block's errors, and a generator that is thrown away
    # has nobody who could wait for its tasks.
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()


async def _read(
    lines: AsyncIterable[bytes],
    read: Callable[[bytes], Hint],
    news: "asyncio.Queue[Hint | Exception | None]",
) -> None:
    try:
        async for line in lines:
            news.put_nowait(read(line))
    except Exception as error:
        news.put_nowait(error)
    else:
        news.put_nowait(None)
