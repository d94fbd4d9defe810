"""The virtual clock: jumps, keeps order, and names what can never wake."""

import asyncio
import time

import pytest

from tests.support.virtual_time import Deadlock, run


def test_a_day_passes_at_once() -> None:
    async def sleep_a_day() -> float:
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(86_400 * 2)
        return asyncio.get_running_loop().time() - before

    real = time.perf_counter()
    assert run(sleep_a_day(), start=1000.0) == pytest.approx(86_400 * 2)
    assert time.perf_counter() - real < 5


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def three_sleepers() -> list[int]:
        woken: list[int] = []

        async def sleeper(seconds: int) -> None:
            await asyncio.sleep(seconds)
            woken.append(seconds)

        async with asyncio.TaskGroup() as group:
            for seconds in (30, 10, 20):
                group.create_task(sleeper(seconds))
        return woken

    assert run(three_sleepers()) == [10, 20, 30]


def test_a_timeout_ends_a_wait_without_an_end() -> None:
    async def wait() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(wait()) == pytest.approx(60)


def test_a_wait_that_nothing_can_end_is_a_deadlock_that_names_the_place() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"Task-\d+ at .*test_virtual_time\.py"):
        run(wait())
