"""What several replicas print, read as one stream."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from cluster.runtime import LogLine, RuntimeFailure

T = TypeVar("T")


async def merged(sources: Sequence[AsyncIterator[T]]) -> AsyncIterator[T]:
    """Items as they come, until every source has ended. The first error of a source is raised."""
    queue: asyncio.Queue[T | Exception | None] = asyncio.Queue(maxsize=1000)
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        pumps = [
            group.create_task(_pump(source, queue), name="follow a stream") for source in sources
        ]
        try:
            open_sources = len(pumps)
            while open_sources and failure is None:
                item = await queue.get()
                if isinstance(item, Exception):
                    failure = item
                elif item is None:
                    open_sources -= 1
                else:
                    yield item
        except GeneratorExit:
            pass  # Nobody listens any more; the group would wrap this too.
        finally:
            for pump in pumps:
                pump.cancel()
    # Not within the group, which would wrap it.
    if failure is not None:
        raise failure


async def while_there(lines: AsyncIterator[LogLine]) -> AsyncIterator[LogLine]:
    """What one replica prints; nothing more once it is gone, as it may be by the time we ask."""
    try:
        async for line in lines:
            yield line
    except RuntimeFailure as failure:
        if failure.code != "unknown-instance":
            raise


async def _pump(source: AsyncIterator[T], queue: "asyncio.Queue[T | Exception | None]") -> None:
    try:
        async for item in source:
            await queue.put(item)
    except Exception as error:
        await queue.put(error)
    else:
        await queue.put(None)
