"""Several endless streams read as one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

T = TypeVar("T")


async def merged(sources: Sequence[AsyncIterator[T]]) -> AsyncIterator[T]:
    """Items as they come, until every source has ended. The first error of a source is raised."""
    queue: asyncio.Queue[T | BaseException | None] = asyncio.Queue(maxsize=1000)
    async with asyncio.TaskGroup() as group:
        pumps = [
            group.create_task(_pump(source, queue), name="follow a stream") for source in sources
        ]
        try:
            open_sources = len(pumps)
            while open_sources:
                item = await queue.get()
                if isinstance(item, BaseException):
                    raise item
                if item is None:
                    open_sources -= 1
                else:
                    yield item
        finally:
            for pump in pumps:
                pump.cancel()


async def _pump(source: AsyncIterator[T], queue: "asyncio.Queue[T | BaseException | None]") -> None:
    try:
        async for item in source:
            await queue.put(item)
    except Exception as error:
        await queue.put(error)
    else:
        await queue.put(None)
