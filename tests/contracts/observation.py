"""Looking at a runtime from outside, and waiting, with a deadline, for what it shows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from cluster.model import Address, Instance, InstanceStatus
from cluster.runtime import Hint, InstanceRuntime, LogLine

DEADLINE = 20.0  # seconds: generous, because it only costs time when a rule is broken

T = TypeVar("T")


async def eventually(check: Callable[[], Awaitable[T]], what: str) -> T:
    """The first true answer of `check`, asked again and again until the deadline."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not (answer := await check()):  # noqa: ASYNC110 - engines have no event to await
                await asyncio.sleep(0.01)
            return answer
    except TimeoutError:
        raise AssertionError(f"not within {DEADLINE:g} s: {what}") from None


async def answers_http(address: Address, timeout: float = 1.0) -> bool:
    """Whether a request to this address is answered with any HTTP status within `timeout`."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                writer.write(b"GET / HTTP/1.1\r\nHost: contract\r\nConnection: close\r\n\r\n")
                return (await reader.read(5)).startswith(b"HTTP/")
            finally:
                writer.close()
    except OSError:  # TimeoutError is one
        return False


async def listed(runtime: InstanceRuntime, replica: str) -> Instance | None:
    found = [one for one in await runtime.instances() if one.replica == replica]
    assert len(found) <= 1
    return found[0] if found else None


async def has_status(runtime: InstanceRuntime, replica: str, status: InstanceStatus) -> bool:
    instance = await listed(runtime, replica)
    return instance is not None and instance.status is status


@contextlib.asynccontextmanager
async def watching(runtime: InstanceRuntime) -> AsyncIterator["asyncio.Queue[Hint]"]:
    """Hints as they come, beginning after the first one, which names no service."""
    hints: asyncio.Queue[Hint] = asyncio.Queue()

    async def pump() -> None:
        async for hint in runtime.watch():
            hints.put_nowait(hint)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(pump())
        assert await hints.get() == Hint(None)
        yield hints
        task.cancel()


async def first_lines(lines: AsyncIterator[LogLine], count: int) -> list[LogLine]:
    told: list[LogLine] = []
    async for line in lines:
        told.append(line)
        if len(told) == count:
            break
    return told


def texts(lines: Sequence[LogLine], stream: str) -> list[str]:
    return [line.text for line in lines if line.stream == stream]


async def seconds(work: Awaitable[None]) -> float:
    clock = asyncio.get_running_loop().time
    before = clock()
    await work
    return clock() - before
