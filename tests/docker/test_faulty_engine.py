"""The engine that fails on request (tests/support/faulty_engine.py) does what it is told, and
otherwise answers as the real one behind it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster.runtime import Hint, RuntimeFailure
from cluster.workload import Workload
from runtimes.docker import DockerRuntime
from tests.support.docker_engine import containers_of, engine
from tests.support.faulty_engine import (
    Deaf,
    Dropped,
    Fault,
    FaultyEngine,
    Frozen,
    Garbage,
    Hung,
    Lost,
    Refused,
    Silent,
    Slow,
)

pytestmark = pytest.mark.docker


async def test_without_faults_it_is_the_engine(
    faulty: FaultyEngine, through: DockerRuntime, busybox_image: str, owner: str
) -> None:
    started = await through.start("a", Workload("web", "r1", image=busybox_image))
    assert [one.id for one in await through.instances()] == [started.id]
    assert await through.execute(started.id, ["true"], timeout=10) == 0
    assert await through.execute(started.id, ["test", "1", "=", "2"], timeout=10) == 1
    await through.freeze(started.id)
    await through.thaw(started.id)
    assert await through.usage([started.id])
    async for _ in through.logs(started.id):
        pass
    await through.stop(started.id, grace=0)
    assert await containers_of(owner) == []
    calls = {one.call for one in faulty.calls}
    assert calls >= {"version", "list", "create", "start", "inspect", "exec", "pause", "remove"}
    assert "other" not in calls


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Refused(500, "no luck"), "no luck"),
        (Garbage(), "does not speak as a Docker engine"),
        (Dropped(), "no Docker engine"),
        (Lost(), "no Docker engine"),
    ],
    ids=repr,
)
async def test_a_call_fails_as_it_was_told(
    faulty: FaultyEngine, through: DockerRuntime, fault: Fault, words: str
) -> None:
    with faulty.on("list", fault):
        for _ in range(2):
            with pytest.raises(RuntimeFailure, match=words):
                await through.instances()
    assert await through.instances() == []


@pytest.mark.parametrize("fault", [Silent(), Hung(), Slow(1.0)], ids=repr)
async def test_a_call_waits_as_it_was_told(
    faulty: FaultyEngine, impatient: DockerRuntime, through: DockerRuntime, fault: Fault
) -> None:
    with faulty.on("list", fault):
        for _ in range(2):
            with pytest.raises(RuntimeFailure, match=r"within 0\.5 s"):
                await impatient.instances()
    assert await through.instances() == []


async def test_a_fault_may_last_for_some_calls_only(
    faulty: FaultyEngine, through: DockerRuntime
) -> None:
    with faulty.on("list", Refused(500), times=1):
        with pytest.raises(RuntimeFailure):
            await through.instances()
        assert await through.instances() == []


async def test_what_was_lost_was_done(
    faulty: FaultyEngine, through: DockerRuntime, busybox_image: str
) -> None:
    started = await through.start("a", Workload("web", "r1", image=busybox_image))
    with faulty.on("pause", Lost()), pytest.raises(RuntimeFailure):
        await through.freeze(started.id)
    assert [one.status for one in await through.instances()] == ["frozen"]


async def test_a_stale_list_is_what_it_was(
    faulty: FaultyEngine, through: DockerRuntime, busybox_image: str, owner: str
) -> None:
    async def listed() -> list[str]:
        async with engine(faulty.url) as docker:
            filters = {"label": [f"tidegate.owner={owner}"]}
            return [one.id for one in await docker.containers.list(all=True, filters=filters)]

    assert await listed() == []
    started = await through.start("a", Workload("web", "r1", image=busybox_image))
    with faulty.on("list", Frozen()):
        assert await listed() == []
    assert await listed() == [started.id]


async def test_news_are_kept_back_and_streams_are_cut(
    faulty: FaultyEngine, through: DockerRuntime, busybox_image: str
) -> None:
    news = aiter(through.watch())
    await anext(news)
    async with asyncio.timeout(30):
        with faulty.on("events", Deaf()):
            started = await through.start("a", Workload("web", "r1", image=busybox_image))
            await asyncio.sleep(0.2)
        await through.freeze(started.id)
        await anext(news)
        faulty.cut_streams()
        with pytest.raises(RuntimeFailure):
            await _to_the_end(news)


async def test_nobody_listens_for_a_while(faulty: FaultyEngine, through: DockerRuntime) -> None:
    async with faulty.away():
        with pytest.raises(RuntimeFailure, match=r"nobody listens|no such socket"):
            await through.instances()
    begun = asyncio.get_running_loop().time()
    assert await through.instances() == []
    assert faulty.seen("list")[-1].at >= begun


async def _to_the_end(news: AsyncIterator[Hint]) -> None:
    async for _ in news:
        pass
