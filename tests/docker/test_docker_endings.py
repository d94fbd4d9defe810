"""How replicas end, by themselves or by others, and how soon we hear of it."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

import aiodocker
import pytest

from cluster.model import Instance, InstanceStatus
from cluster.runtime import Hint
from cluster.workload import Workload
from config.service import Resources
from runtimes import docker_ends
from runtimes.docker import DockerRuntime
from runtimes.docker_spec import container_name, create_spec
from tests.support.docker_engine import engine

pytestmark = pytest.mark.docker


def shell(image: str, script: str, **facts: object) -> Workload:
    return Workload("web", "r1", image=image, command=("sh", "-c", script), **facts)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def hints_of(runtime: DockerRuntime) -> AsyncIterator[AsyncIterator[Hint]]:
    hints = runtime.watch()
    assert await anext(hints) == Hint(None)
    yield hints


async def ended(runtime: DockerRuntime, hints: AsyncIterator[Hint]) -> Instance:
    """The only instance, once it has ended: looked at when hinted at, and only then."""
    async with asyncio.timeout(30):
        async for hint in hints:
            assert hint == Hint("web")
            [instance] = await runtime.instances()
            if instance.status is InstanceStatus.EXITED:
                return instance
    raise AssertionError("the hints ended")


async def test_a_replica_over_its_memory_ended_by_lack_of_memory(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    grow = shell(
        busybox_image, "x=a; while :; do x=$x$x; done", resources=Resources(memory=16 << 20)
    )
    async with hints_of(runtime) as hints:
        await runtime.start("a", grow)
        instance = await ended(runtime, hints)
    assert instance.exit is not None
    assert instance.exit.oom
    assert "out of memory" in str(instance.exit)
    assert instance.address is None


async def test_a_signal_is_a_negative_code(runtime: DockerRuntime, busybox_image: str) -> None:
    async with hints_of(runtime) as hints:
        started = await runtime.start("a", shell(busybox_image, "sleep 1000"))
        async with engine() as docker:
            await docker.containers.container(started.id).kill()
        instance = await ended(runtime, hints)
    assert instance.exit is not None
    assert (instance.exit.code, instance.exit.oom) == (-9, False)


async def test_the_end_of_a_replica_elsewhere_is_heard_of_when_the_engine_tells_it(
    runtime: DockerRuntime, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_ends, "holds", lambda id, pid: False)
    started = await runtime.start("a", shell(busybox_image, "sleep 1000"))
    async with hints_of(runtime) as hints, engine() as docker:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(docker.containers.container(started.id).kill())
            assert await anext(hints) == Hint("web")
            heard = time.time()
        delay = heard - await _told_at(docker, started.id, heard)
    print(f"heard of the end {delay * 1000:.1f} ms after the engine told it")
    assert 0 <= delay < 5


async def _told_at(docker: aiodocker.Docker, id: str, until: float) -> float:
    """The engine's own time of the event `die`, in seconds since 1970."""
    filters = json.dumps({"container": [id], "event": ["die"]})
    url = f"unix://localhost/{docker.api_version}/events"
    query = {"since": "0", "until": f"{until:.9f}", "filters": filters}
    async with docker.session.get(url, params=query) as response:
        return float(json.loads(await response.text())["timeNano"]) / 1e9


async def test_freezing_thawing_and_removing_are_hinted_at(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    started = await runtime.start("a", shell(busybox_image, "sleep 1000"))
    async with hints_of(runtime) as hints, asyncio.timeout(30):
        await runtime.freeze(started.id)
        assert await anext(hints) == Hint("web")
        await runtime.thaw(started.id)
        assert await anext(hints) == Hint("web")
        await runtime.stop(started.id, grace=0)
        assert await anext(hints) == Hint("web")  # die
        assert await anext(hints) == Hint("web")  # destroy


async def test_a_command_beside_a_replica_is_no_news(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    started = await runtime.start("a", shell(busybox_image, "sleep 1000"))
    async with hints_of(runtime) as hints, asyncio.timeout(30):
        await runtime.execute(started.id, ["true"], timeout=10)
        await runtime.freeze(started.id)
        await anext(hints)
        [instance] = await runtime.instances()
        assert instance.status is InstanceStatus.FROZEN, "the first hint was the freeze"


async def test_what_was_made_and_never_started_is_listed_as_ended_and_can_be_removed(
    runtime: DockerRuntime, busybox_image: str, owner: str
) -> None:
    workload = shell(busybox_image, "sleep 1000")
    async with engine() as docker:
        await docker.containers.create(
            create_spec(owner, "a", workload), name=container_name(owner, "a")
        )
    [instance] = await runtime.instances()
    assert instance.status is InstanceStatus.EXITED
    assert instance.exit is not None
    assert "never started" in str(instance.exit)
    await runtime.stop(instance.id, grace=10)
    assert await runtime.instances() == []


async def test_a_start_under_way_is_never_listed_as_ended(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    async with asyncio.TaskGroup() as group:
        start = group.create_task(runtime.start("a", shell(busybox_image, "sleep 1000")))
        while not start.done():
            assert all(i.status is InstanceStatus.RUNNING for i in await runtime.instances())


async def test_a_replica_that_ends_at_once_starts_and_is_told_as_ended(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    async with hints_of(runtime) as hints:
        await runtime.start("a", shell(busybox_image, "exit 3"))
        instance = await ended(runtime, hints)
    assert instance.exit is not None
    assert instance.exit.code == 3


async def test_a_line_longer_than_the_engines_pieces_is_told_whole(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    script = "x=0123456789; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do x=$x$x; done; echo $x; exit 0"
    async with hints_of(runtime) as hints:
        started = await runtime.start("a", shell(busybox_image, script))
        await ended(runtime, hints)
    [line] = [line async for line in runtime.logs(started.id)]
    assert len(line.text) == 40960
    assert line.text == "0123456789" * 4096
    assert line.at is not None
