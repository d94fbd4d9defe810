"""The gate before all that changes the engine."""

import asyncio
import time

from cluster.gate import Gate


async def test_what_is_within_comes_to_its_end_and_what_comes_later_waits() -> None:
    gate, go, done = Gate(), asyncio.Event(), []

    async def act(name: str) -> None:
        async with gate.passed():
            await go.wait()
            done.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(act("before"))
        await asyncio.sleep(0)
        closing = group.create_task(gate.close(10.0))
        await asyncio.sleep(0)
        group.create_task(act("after"))
        await asyncio.sleep(0)
        go.set()
        assert await closing
        assert done == ["before"]
        await asyncio.sleep(0)
        assert done == ["before"]
        gate.open()
    assert done == ["before", "after"]


async def test_it_is_told_when_somebody_takes_too_long() -> None:
    gate = Gate()
    async with gate.passed():
        assert not await gate.close(0.01)
    assert await gate.close(0.01)


async def test_one_that_fails_or_is_cancelled_has_left() -> None:
    gate = Gate()

    async def fail() -> None:
        async with gate.passed():
            raise ValueError

    async def hang() -> None:
        async with gate.passed():
            await asyncio.Event().wait()

    results = await asyncio.gather(fail(), return_exceptions=True)
    assert isinstance(results[0], ValueError)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(hang())
        await asyncio.sleep(0)
        task.cancel()
    assert await gate.close(0.01)


async def test_one_that_left_while_the_machine_stood_still_has_left() -> None:
    """In the turn of the loop in which the time is up: an upgrade would fail for nothing."""
    gate, loop, go = Gate(), asyncio.get_running_loop(), asyncio.Event()

    async def act() -> None:
        async with gate.passed():
            await go.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(act())
        await asyncio.sleep(0)
        loop.call_soon(time.sleep, 0.05)
        loop.call_soon(go.set)
        assert await gate.close(0.01)
