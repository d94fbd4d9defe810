"""No engine, a silent one, a broken one: always `engine-unavailable`, soon, with what to do."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from cluster.runtime import RuntimeFailure
from runtimes.docker import DockerRuntime
from runtimes.docker_engine import Deadlines
from tests.docker.scripted_engine import SOON, WORKLOAD, Answer, failing, opened, scripted, version
from tests.docker.test_docker_view import LABELS as MARKS
from tests.docker.test_docker_view import inspection

NAME = "/tidegate-trouble-web-1"
LABELS = {**MARKS, "tidegate.owner": "trouble"}


@contextlib.contextmanager
def unavailable(words: str, *, transient: bool = True) -> Iterator[None]:
    with pytest.raises(RuntimeFailure, match=words) as failure:
        yield
    assert failure.value.code == "engine-unavailable"
    assert failure.value.transient is transient


async def test_no_socket_at_all(tmp_path: Path) -> None:
    runtime = DockerRuntime("trouble", url=f"unix://{tmp_path}/none.sock")
    with unavailable("no such socket; start Docker"):
        await runtime.open()


async def test_a_socket_whose_engine_is_gone(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left.sock"))
    runtime = DockerRuntime("trouble", url=f"unix://{tmp_path}/left.sock")
    with unavailable("nobody listens there; start Docker"):
        await runtime.open()


async def test_no_engine_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("aiodocker.docker._sock_search_paths", [])
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with unavailable("no Docker engine found.*set DOCKER_HOST"):
        await DockerRuntime("trouble").open()


async def test_an_address_that_is_none(tmp_path: Path) -> None:
    with unavailable("no Docker engine found"):
        await DockerRuntime("trouble", url="/var/run/docker.sock").open()


async def test_a_socket_that_nobody_answers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        runtime = DockerRuntime("trouble", url=f"unix://{tmp_path}/silent.sock", deadlines=SOON)
        with unavailable("did not answer .version. within 0.2 s"):
            await runtime.open()


async def test_what_answers_is_no_engine(tmp_path: Path) -> None:
    async def greeting(_: web.Request) -> web.Response:
        return web.Response(text="hello", content_type="text/html")

    async with scripted(tmp_path / "s", {"version": greeting}):
        runtime = DockerRuntime("trouble", url=f"unix://{tmp_path}/s")
        with unavailable("does not speak as a Docker engine"):
            await runtime.open()


async def test_before_it_is_open_and_after_it_is_closed(tmp_path: Path) -> None:
    runtime = DockerRuntime("trouble", url=f"unix://{tmp_path}/s")
    with unavailable("not connected"):
        await runtime.instances()
    async with scripted(tmp_path / "s", {"version": version}):
        await runtime.open()
        await runtime.close()
        with unavailable("not connected"):
            await runtime.start("a", WORKLOAD)


async def test_opening_again_after_a_failure_succeeds(tmp_path: Path) -> None:
    runtime = DockerRuntime("trouble", url=f"unix://{tmp_path}/s")
    with unavailable("no such socket"):
        await runtime.open()
    async with scripted(tmp_path / "s", {"version": version}):
        await runtime.open()
        await runtime.close()


CALLS: dict[str, Callable[[DockerRuntime], Awaitable[object]]] = {
    "instances": lambda runtime: runtime.instances(),
    "start": lambda runtime: runtime.start("a", WORKLOAD),
    "stop": lambda runtime: runtime.stop("x", grace=0),
    "freeze": lambda runtime: runtime.freeze("x"),
    "thaw": lambda runtime: runtime.thaw("x"),
    "execute": lambda runtime: runtime.execute("x", ["true"], timeout=5),
    "logs": lambda runtime: anext(runtime.logs("x")),
    "watch": lambda runtime: anext(runtime.watch()),
}


@pytest.mark.parametrize("call", CALLS)
async def test_every_call_to_a_hanging_engine_ends(tmp_path: Path, call: str) -> None:
    async with (
        scripted(tmp_path / "s", {"version": version}),
        opened(tmp_path / "s", SOON) as runtime,
        asyncio.timeout(30),
    ):
        with unavailable("did not answer"):
            await CALLS[call](runtime)


@pytest.mark.parametrize("call", CALLS)
async def test_every_call_finds_an_engine_gone(tmp_path: Path, call: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with scripted(tmp_path / "s", {"version": version}):
            runtime = await stack.enter_async_context(opened(tmp_path / "s"))
        with unavailable("no Docker engine at unix://"):
            await CALLS[call](runtime)


@pytest.mark.parametrize("call", [call for call in CALLS if call != "start"])
async def test_an_engine_that_answers_500_is_unavailable(tmp_path: Path, call: str) -> None:
    broken = failing(500, "disk on fire")
    names = ("json", "pause", "unpause", "exec", "logs", "events")
    async with (
        scripted(tmp_path / "s", {"version": version, **dict.fromkeys(names, broken)}),
        opened(tmp_path / "s") as runtime,
    ):
        with unavailable("disk on fire"):
            await CALLS[call](runtime)


# The engine worked off older events of the container and did not know yet what its shim knows.
BEHIND = {
    "freeze": ("pause", "Cannot pause container x: cannot pause a paused container: unknown"),
    "thaw": ("unpause", "Cannot unpause container x: cannot resume a running process: unknown"),
}


@pytest.mark.parametrize("call", BEHIND)
async def test_what_the_shim_has_done_already_is_done(tmp_path: Path, call: str) -> None:
    verb, words = BEHIND[call]
    answers = {"version": version, verb: failing(500, words)}
    async with scripted(tmp_path / "s", answers) as calls, opened(tmp_path / "s") as runtime:
        await CALLS[call](runtime)
    assert calls[-1] == f"POST /containers/x/{verb}"


async def test_one_that_the_engine_still_believes_paused_is_stopped(tmp_path: Path) -> None:
    async def paused(_: web.Request) -> web.Response:
        state = {"Status": "paused", "Running": True, "Paused": True}
        config = {"Labels": LABELS}
        return web.json_response({"Id": "x", "Name": NAME, "State": state, "Config": config})

    verb, words = BEHIND["thaw"]
    done = {"stop": failing(204, ""), "x": failing(204, "")}
    answers = {"version": version, "json": paused, verb: failing(500, words), **done}
    async with scripted(tmp_path / "s", answers) as calls, opened(tmp_path / "s") as runtime:
        await runtime.stop("x", grace=0)
    assert calls[-2:] == ["POST /containers/x/stop", "DELETE /containers/x"]


async def test_a_start_that_answers_500_failed_and_may_be_tried_again(tmp_path: Path) -> None:
    async def made(_: web.Request) -> web.Response:
        return web.json_response({"Id": "c1", "Warnings": []}, status=201)

    failed = failing(500, "no space left")
    answers = {"version": version, "create": made, "start": failed, "c1": failing(204, "")}
    async with (
        scripted(tmp_path / "s", answers) as calls,
        opened(tmp_path / "s") as runtime,
    ):
        with pytest.raises(RuntimeFailure, match="no space left") as failure:
            await runtime.start("a", WORKLOAD)
    assert (failure.value.code, failure.value.transient) == ("start-failed", True)
    assert calls[-1] == "DELETE /containers/c1"


async def test_a_create_without_an_answer_is_looked_for_and_taken_away(tmp_path: Path) -> None:
    async def there(request: web.Request) -> web.Response:
        labels = {f"tidegate.{key}": "web" for key in ("service", "revision")}
        labels |= {"tidegate.owner": "trouble", "tidegate.replica": "a"}
        name = "/tidegate-trouble-a"
        return web.json_response({"Id": "c1", "Name": name, "Config": {"Labels": labels}})

    answers = {"version": version, "json": there, "tidegate-trouble-a": failing(204, "")}
    async with (
        scripted(tmp_path / "s", answers) as calls,
        opened(tmp_path / "s", Deadlines(create=0.2)) as runtime,
    ):
        with unavailable("did not answer .create."):
            await runtime.start("a", WORKLOAD)
    assert calls[-1] == "DELETE /containers/tidegate-trouble-a"


async def test_a_proxy_before_the_engine_may_forbid_a_call(tmp_path: Path) -> None:
    answers = {"version": version, "create": failing(403, "POST is not allowed")}
    async with scripted(tmp_path / "s", answers), opened(tmp_path / "s") as runtime:
        with unavailable("forbids it .create.: POST is not allowed", transient=False):
            await runtime.start("a", WORKLOAD)


async def test_a_watch_that_breaks_says_so_and_one_that_is_ended_ends(tmp_path: Path) -> None:
    async def ended(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write_eof()
        return response

    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        assert request.transport is not None
        request.transport.abort()
        return response

    answers: dict[str, Answer] = {"version": version, "events": ended}
    async with scripted(tmp_path / "s", answers), opened(tmp_path / "s") as runtime:
        assert len([hint async for hint in runtime.watch()]) == 1
        answers["events"] = broken
        with unavailable("no Docker engine at"):
            async for hint in runtime.watch():
                assert hint.service is None


async def test_nonsense_in_the_events_ends_the_watch_with_a_failure(tmp_path: Path) -> None:
    async def nonsense(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b'{"status": "odd"}\n')

    answers = {"version": version, "events": nonsense}
    async with scripted(tmp_path / "s", answers), opened(tmp_path / "s") as runtime:
        with unavailable("does not speak as a Docker engine"):
            async for hint in runtime.watch():
                assert hint.service is None


async def test_opening_again_does_not_cut_off_a_start_under_way(tmp_path: Path) -> None:
    """Discovery opens again when its watch broke; other calls may be well."""
    creating, go_on = asyncio.Event(), asyncio.Event()
    facts = {**inspection(), "Config": {"Labels": LABELS}, "Name": NAME}

    async def create(_: web.Request) -> web.Response:
        creating.set()
        await go_on.wait()
        return web.json_response({"Id": "c1"}, status=201)

    async def start(_: web.Request) -> web.Response:
        return web.Response(status=204)

    async def look(_: web.Request) -> web.Response:
        return web.json_response(facts)

    answers = {"version": version, "create": create, "start": start, "json": look}
    async with (
        scripted(tmp_path / "s", answers) as calls,
        opened(tmp_path / "s") as runtime,
        asyncio.timeout(30),
        asyncio.TaskGroup() as group,
    ):
        started = group.create_task(runtime.start("web-1", WORKLOAD))
        await creating.wait()
        await runtime.open()
        go_on.set()
        assert (await started).id == "c1"
    assert calls[-1] == "GET /containers/c1/json"


async def test_a_failed_reopening_leaves_the_former_connection_in_use(tmp_path: Path) -> None:
    async def empty(_: web.Request) -> web.Response:
        return web.json_response([])

    answers: dict[str, Answer] = {"version": version, "json": empty}
    async with scripted(tmp_path / "s", answers), opened(tmp_path / "s") as runtime:
        answers["version"] = failing(500, "not yet")
        with unavailable("not yet"):
            await runtime.open()
        assert await runtime.instances() == []
