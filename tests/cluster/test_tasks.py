"""Background tasks cannot die silently, outlive their owner, or hurt their siblings."""

import asyncio

import pytest

from cluster.tasks import Tasks


async def test_a_failure_is_logged_and_its_siblings_live_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = asyncio.Event()

    async def broken() -> None:
        raise ValueError("no")

    async def sound() -> None:
        await asyncio.sleep(0)
        done.set()

    async with Tasks() as tasks:
        tasks.start(broken(), "a broken one")
        tasks.start(sound(), "a sound one")
        await done.wait()
    assert "the task a broken one failed" in caplog.text


async def test_leaving_cancels_what_still_runs() -> None:
    ended: list[str] = []

    async def endless(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async with Tasks() as tasks:
        tasks.start(endless("one"), "one")
        tasks.start(endless("two"), "two")
        await asyncio.sleep(0)
    assert sorted(ended) == ["one", "two"]


async def test_a_task_that_never_began_is_closed_without_a_warning() -> None:
    async with Tasks() as tasks:
        tasks.start(asyncio.sleep(3600), "too late")


async def test_what_is_started_while_leaving_is_cancelled_too() -> None:
    tasks = Tasks()

    async def parting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            tasks.start(asyncio.sleep(3600), "started on the way out")

    async with asyncio.timeout(5):
        async with tasks:
            tasks.start(parting(), "parting")
            await asyncio.sleep(0)
