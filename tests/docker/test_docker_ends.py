"""The kernel tells of an end before the engine does, and in the same words."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.model import Exit, InstanceStatus
from cluster.runtime import Hint
from cluster.workload import Workload
from config.service import Resources
from runtimes import docker, docker_ends
from runtimes.docker import DockerRuntime
from runtimes.docker_view import exit_of
from tests.support.docker_engine import engine

pytestmark = pytest.mark.docker
GROW = "trap 'x=a; while :; do x=$x$x; done' TERM; sleep 1000 & wait"


def shell(image: str, script: str = "sleep 1000", **facts: Any) -> Workload:
    return Workload("web", "r1", image=image, command=("sh", "-c", script), **facts)


@contextlib.asynccontextmanager
async def ends_of(runtime: DockerRuntime) -> AsyncIterator["asyncio.Queue[Hint]"]:
    """The hints that tell of an end."""
    ends = asyncio.Queue[Hint]()
    listening = asyncio.Event()

    async def follow() -> None:
        async for hint in runtime.watch():
            listening.set()
            if hint.ended is not None:
                ends.put_nowait(hint)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow())
        await listening.wait()
        yield ends
        task.cancel()


async def facts_of(id: str) -> dict[str, Any]:
    async with engine() as docker:
        return await docker.containers.container(id).show()


async def kill(id: str, number: int = signal.SIGKILL) -> None:
    os.kill((await facts_of(id))["State"]["Pid"], number)


@contextlib.asynccontextmanager
async def unheard_by_the_engine(id: str) -> AsyncIterator[None]:
    """Whatever happens to the container: the process stands still that tells the engine."""
    shim = parent_of((await facts_of(id))["State"]["Pid"])
    os.kill(shim, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(shim, signal.SIGCONT)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def until_waiting(id: str) -> None:
    """Its shell has set its trap and sleeps."""

    async def sleeps() -> bool:
        async with engine() as docker:
            processes = (await docker.containers.container(id).top())["Processes"]
        return any("sleep 1000" in one[-1] for one in processes if "sh -c" not in one[-1])

    async with asyncio.timeout(30):
        while not await sleeps():  # noqa: ASYNC110 - it asks the engine
            await asyncio.sleep(0.01)


async def next_of(ends: "asyncio.Queue[Hint]") -> Hint:
    async with asyncio.timeout(30):
        return await ends.get()


def held() -> int:
    """How many processes this one holds."""
    found = 0
    for descriptor in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += "pidfd" in os.readlink(descriptor.path)
    return found


async def until_held(count: int) -> None:
    async with asyncio.timeout(30):
        while held() != count:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "number", "end"),
    [
        ("trap 'exit 3' TERM; sleep 1000 & wait", signal.SIGTERM, Exit(3)),
        ("sleep 1000", signal.SIGKILL, Exit(-9)),
        (GROW, signal.SIGTERM, Exit(-9, oom=True, memory=16 << 20)),
    ],
    ids=["code", "signal", "memory"],
)
async def test_an_end_is_told_in_the_engines_words_before_the_engine_knows(
    runtime: DockerRuntime, busybox_image: str, script: str, number: int, end: Exit
) -> None:
    before = held()
    async with ends_of(runtime) as ends:
        workload = shell(busybox_image, script, resources=Resources(memory=end.memory))
        started = await runtime.start("a", workload)
        await until_waiting(started.id)
        async with unheard_by_the_engine(started.id):
            await kill(started.id, number)
            first = await next_of(ends)
            assert (await facts_of(started.id))["State"]["Running"]
            (seen,) = await runtime.instances()
        second = await next_of(ends)
    assert (first.ended, first.service) == (started.id, "web")
    assert (seen.status, seen.address) == (InstanceStatus.EXITED, None)
    assert (second.ended, second.exit) == (started.id, None)
    assert seen.exit == first.exit == end
    # The engine hears of the lack of memory by the process that stood still, and maybe too late.
    told = exit_of(await facts_of(started.id))
    assert told == replace(end, oom=told.oom and end.oom)
    assert held() == before
    (now,) = await runtime.instances()
    assert now == replace(seen, exit=told)


@pytest.mark.parametrize("unknown", ["exit_code_of", "_ran_out"])
async def test_what_is_not_known_in_full_is_left_to_the_engine(
    runtime: DockerRuntime, busybox_image: str, monkeypatch: pytest.MonkeyPatch, unknown: str
) -> None:
    """Who then looks does not see what the engine believes until it knows better."""
    monkeypatch.setattr(docker_ends, unknown, lambda *_: None)
    # It is asked for as long as it may take on a busy machine.
    monkeypatch.setattr(docker, "_ASK_AGAIN_AFTER", (0.05,) * 600)
    async with ends_of(runtime) as ends:
        started = await runtime.start("a", shell(busybox_image))
        async with asyncio.TaskGroup() as group, unheard_by_the_engine(started.id):
            await kill(started.id)
            first = await next_of(ends)
            look = group.create_task(runtime.instances())
            await asyncio.wait([look], timeout=0.2)
            assert not look.done()
        (seen,) = look.result()
    assert (first.ended, first.exit) == (started.id, None)
    assert (seen.status, seen.exit) == (InstanceStatus.EXITED, Exit(-9))


async def test_what_a_former_one_started_is_held_too(
    runtime: DockerRuntime, owner: str, busybox_image: str
) -> None:
    started = await runtime.start("a", shell(busybox_image))
    await runtime.close()
    before = held()
    await runtime.open()
    async with ends_of(runtime) as ends:
        await runtime.instances()
        await until_held(before + 1)
        async with unheard_by_the_engine(started.id):
            await kill(started.id)
            assert (await next_of(ends)).exit == Exit(-9)
    assert held() == before


async def test_what_somebody_has_started_again_is_held_anew(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    started = await runtime.start("a", shell(busybox_image))
    before = held()
    async with ends_of(runtime) as ends, engine() as real:
        await real.containers.container(started.id).restart(t=0)
        for _ in range(2):  # from the kernel, and from the engine
            assert (await next_of(ends)).ended == started.id

        async def runs() -> bool:
            (one,) = await runtime.instances()
            return one.status is InstanceStatus.RUNNING

        # Looked at again and again: the listing may have it before the event of its start came.
        async with asyncio.timeout(30):
            while not await runs() or held() != before:  # noqa: ASYNC110 - it asks the engine
                await asyncio.sleep(0.01)
        async with unheard_by_the_engine(started.id):
            await kill(started.id)
            assert (await next_of(ends)).exit == Exit(-9)


async def test_what_we_end_ourselves_is_no_news_and_holds_nothing(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    before = held()
    async with ends_of(runtime) as ends:
        kept = await runtime.start("a", shell(busybox_image))
        gone = await runtime.start("b", shell(busybox_image))
        assert held() == before + 2
        await runtime.halt(kept.id, grace=0)
        await runtime.stop(gone.id, grace=0)
        assert held() == before
        assert [(await next_of(ends)).exit for _ in range(2)] == [None, None]
        await runtime.resume(kept.id)
        assert held() == before + 1
        async with unheard_by_the_engine(kept.id):
            await kill(kept.id)
            assert (await next_of(ends)).exit == Exit(-9)
    assert held() == before


async def test_the_number_of_another_machines_process_is_not_held() -> None:
    """Its container's id is in no control group of the process that has the number here."""
    told: list[Any] = []
    ends = docker_ends.Ends(lambda *news: told.append(news))
    before = held()
    state = {"Running": True, "Pid": os.getpid()}
    ends.hold({"Id": "f" * 64, "State": state, "Config": {}})
    assert held() == before
    assert told == []


async def test_the_last_descriptors_are_for_others(
    runtime: DockerRuntime, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held()
    monkeypatch.setattr("cluster.descriptors.for_clients", lambda: 3)
    async with ends_of(runtime) as ends:
        started = await runtime.start("a", shell(busybox_image))
        assert held() == before
        await kill(started.id)
        assert (await next_of(ends)).exit is None
