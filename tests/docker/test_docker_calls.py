"""How many calls the driver makes: wakes and listings must stay cheap."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from cluster.model import InstanceStatus
from cluster.runtime import Hint
from tests.docker.scripted_engine import WORKLOAD, Answer, opened, scripted, version
from tests.docker.test_docker_view import entry, inspection

NAME = "/tidegate-trouble-web-1"
LABELS = {**entry()["Labels"], "tidegate.owner": "trouble"}


def replying(body: Any, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return answer


def engine(listing: list[dict[str, Any]], facts: dict[str, Any] | None = None) -> dict[str, Answer]:
    async def answer(request: web.Request) -> web.StreamResponse:
        listed = request.path.endswith("/containers/json")
        return web.json_response(listing if listed else facts)

    return {"version": version, "json": answer}


async def test_a_hundred_replicas_are_listed_by_one_call(tmp_path: Path) -> None:
    listing = [entry(Id=f"c{n}", Names=[NAME], Labels=LABELS) for n in range(100)]
    async with (
        scripted(tmp_path / "s", engine(listing)) as calls,
        opened(tmp_path / "s") as runtime,
    ):
        calls.clear()
        assert len(await runtime.instances()) == 100
    assert calls == ["GET /containers/json"]


async def test_how_an_instance_ended_is_asked_once(tmp_path: Path) -> None:
    listing = [
        entry(Id="c1", Names=[NAME], Labels=LABELS, State="exited"),
        entry(Id="c2", Names=[NAME], Labels=LABELS),
    ]
    facts = {**inspection("exited", ExitCode=3), "Config": {"Labels": LABELS}, "Name": NAME}
    answers = engine(listing, facts)
    async with scripted(tmp_path / "s", answers) as calls, opened(tmp_path / "s") as runtime:
        calls.clear()
        first, second = await runtime.instances(), await runtime.instances()
    assert first == second
    assert first[0].exit is not None
    assert first[0].exit.code == 3
    assert calls == ["GET /containers/json", "GET /containers/c1/json", "GET /containers/json"]


async def test_a_start_is_three_calls(tmp_path: Path) -> None:
    facts = {**inspection(), "Config": {"Labels": LABELS}, "Name": NAME}
    answers = {**engine([], facts), "create": replying({"Id": "c1"}, 201), "start": _done}
    async with scripted(tmp_path / "s", answers) as calls, opened(tmp_path / "s") as runtime:
        calls.clear()
        await runtime.start("web-1", WORKLOAD)
    assert calls == [
        "POST /containers/create",
        "POST /containers/c1/start",
        "GET /containers/c1/json",
    ]


async def test_what_the_listing_does_not_know_yet_is_looked_at(tmp_path: Path) -> None:
    """Engine 20.10 tells of an end tens of milliseconds before it lists it."""
    listing = [
        entry(Id="c1", Names=[NAME], Labels=LABELS),
        entry(Id="c2", Names=[NAME], Labels=LABELS),
    ]
    facts = {**inspection("exited", ExitCode=3), "Config": {"Labels": LABELS}, "Name": NAME}
    answers = {**engine(listing, facts), "events": _one_end}
    async with scripted(tmp_path / "s", answers) as calls, opened(tmp_path / "s") as runtime:
        hints = runtime.watch()
        assert [await anext(hints), await anext(hints)] == [Hint(None), Hint("web")]
        calls.clear()
        dead, alive = await runtime.instances()
    assert (dead.status, alive.status) == (InstanceStatus.EXITED, InstanceStatus.RUNNING)
    assert calls == ["GET /containers/json", "GET /containers/c1/json"]


async def test_what_many_calls_at_once_have_opened_is_closed_again(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return web.json_response([])

    answers = {"version": version, "json": slowly}
    async with scripted(tmp_path / "s", answers), opened(tmp_path / "s") as runtime:
        before = connections()
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(runtime.instances())
            await until(lambda: connections() >= before + 20)
            go_on.set()
        await until(lambda: connections() <= before)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.01)


def connections() -> int:
    """Sockets of this process: both ends are in it, so the engine's are counted with ours."""
    found = 0
    for descriptor in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(descriptor.path).startswith("socket:")
    return found


async def _done(_: web.Request) -> web.Response:
    return web.Response(status=204)


async def _one_end(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(
        b'{"Action":"die","Actor":{"ID":"c1","Attributes":{"tidegate.service":"web"}}}\n'
    )
    await asyncio.Event().wait()
    return response
