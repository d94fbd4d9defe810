"""Commands in containers that take too long: killed with all they started, or one at most."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from cluster.runtime import RuntimeFailure
from cluster.workload import Workload
from runtimes import docker_exec
from runtimes.docker import DockerRuntime
from runtimes.docker_exec import kill
from tests.docker.scripted_engine import Answer, never, opened, scripted, version
from tests.support.docker_engine import engine

SLOW = ("sh", "-c", "sleep 7777 & sleep 8888; true")


async def processes_in(instance: str) -> list[tuple[int, list[str]]]:
    """Of a container: their numbers on this machine, and their command lines."""
    async with engine() as docker:
        found = await docker.containers.container(instance).top()
    pid = found["Titles"].index("PID")
    return [(int(line[pid]), line[-1].split()) for line in found["Processes"]]


async def commands_in(instance: str) -> list[list[str]]:
    return [words for _, words in await processes_in(instance)]


async def sleeping(instance: str) -> int:
    return sum("sleep" in words for words in await commands_in(instance))


async def end_those_that_sleep(instance: str) -> None:
    for pid, words in await processes_in(instance):
        if "sleep" in words:
            os.kill(pid, signal.SIGKILL)

    async def none_left() -> bool:
        return await sleeping(instance) == 0

    await until(none_left)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - it asks the engine
            await asyncio.sleep(0.02)


@pytest.mark.docker
async def test_what_is_too_slow_is_killed_with_all_that_it_started(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    started = await runtime.start("web-1", Workload("web", "r1", image=busybox_image))
    for _ in range(3):
        with pytest.raises(RuntimeFailure) as failure:
            await runtime.execute(started.id, SLOW, timeout=2)
        assert failure.value.message == "sh did not end within 2 s"

    async def none_left() -> bool:
        return await sleeping(started.id) == 0

    await until(none_left)
    assert ["httpd", "-f"] in [words[:2] for words in await commands_in(started.id)]
    assert await runtime.execute(started.id, ["true"], timeout=10) == 0


@pytest.mark.docker
async def test_where_it_cannot_be_killed_no_second_one_is_started(
    runtime: DockerRuntime, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an engine of another machine, whose processes we do not see."""
    monkeypatch.setattr(docker_exec, "kill", lambda container, leader: False)
    started = await runtime.start("web-1", Workload("web", "r1", image=busybox_image))
    for words in ("did not end within", "is still running", "is still running"):
        with pytest.raises(RuntimeFailure) as failure:
            await runtime.execute(started.id, ["sleep", "1000"], timeout=3)
        assert (failure.value.code, words in failure.value.message) == ("timeout", True)
        assert await sleeping(started.id) == 1
    assert await runtime.execute(started.id, ["true"], timeout=10) == 0
    await end_those_that_sleep(started.id)
    assert await runtime.execute(started.id, ["sleep", "0"], timeout=10) == 0


@pytest.mark.docker
async def test_a_process_of_another_container_is_never_touched(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    """The number that a far engine tells may be anybody's here."""
    first = await runtime.start("web-1", Workload("web", "r1", image=busybox_image))
    other = await runtime.start("web-2", Workload("web", "r1", image=busybox_image))
    async with engine() as docker:
        facts = await docker.containers.container(other.id).show()
    assert not kill(first.id, facts["State"]["Pid"])
    assert not kill(first.id, os.getpid())
    assert not kill("", os.getpid())
    assert not kill(first.id, 0)
    async with engine() as docker:
        facts = await docker.containers.container(other.id).show()
    assert facts["State"]["Running"]


@pytest.mark.docker
async def test_two_of_the_same_command_side_by_side_are_both_run(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    """Readiness and liveness may ask the same."""
    started = await runtime.start("web-1", Workload("web", "r1", image=busybox_image))
    command = ["sleep", "0.5"]
    both = (runtime.execute(started.id, command, timeout=10) for _ in range(2))
    assert await asyncio.gather(*both) == [0, 0]


async def test_an_engine_that_forgot_a_command_is_not_asked_about_it_again(tmp_path: Path) -> None:
    """It was restarted: what ran there then does not stand in the way for ever."""
    asked: list[str] = []
    runs = asyncio.Event()

    async def begins(request: web.Request) -> web.StreamResponse:
        runs.set()
        return await never(request)

    async def exec_(request: web.Request) -> web.StreamResponse:
        asked.append("create")
        return web.json_response({"Id": f"e{len(asked)}"}, status=201)

    async def gone(request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "No such exec instance: e1"}, status=404)

    answers: dict[str, Answer] = {"version": version, "exec": exec_, "json": gone}
    answers["start"] = begins
    async with scripted(tmp_path / "s", answers), opened(tmp_path / "s") as runtime:
        for _ in range(2):
            runs.clear()
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                given_up = group.create_task(runtime.execute("c1", ["check"], timeout=60))
                await runs.wait()
                given_up.cancel()
    assert asked == ["create"] * 2
