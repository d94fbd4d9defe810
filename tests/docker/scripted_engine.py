"""A scripted server on a socket, in the place of an engine: a real one does not fail on request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import web

from cluster.runtime import RuntimeFailure
from cluster.workload import Workload
from runtimes.docker import DockerRuntime
from runtimes.docker_engine import Deadlines

# For who is to be kept waiting: a busy machine alone can take longer for what is answered.
SOON = Deadlines(call=0.2, create=0.2, start=0.2, remove=0.2)
WORKLOAD = Workload("web", "r1", image="web:1")
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def version(_: web.Request) -> web.Response:
    return web.json_response({"Version": "20.10.24", "ApiVersion": "1.41"})


async def never(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def failing(status: int, message: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"message": message}, status=status)

    return answer


@contextlib.asynccontextmanager
async def scripted(path: Path, answers: Mapping[str, Answer]) -> AsyncIterator[list[str]]:
    """An engine that answers as told, by the last word of the path; the calls it has seen."""
    calls: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        calls.append(f"{request.method} {request.path.removeprefix('/v1.41')}")
        return await answers.get(request.path.rpartition("/")[2], never)(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield calls
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def opened(path: Path, deadlines: Deadlines | None = None) -> AsyncIterator[DockerRuntime]:
    """However soon its deadlines are: the engine has answered once."""
    runtime = DockerRuntime("trouble", url=f"unix://{path}", deadlines=deadlines)
    await until_open(runtime)
    try:
        yield runtime
    finally:
        await runtime.close()


async def until_open(runtime: DockerRuntime) -> None:
    """Of an engine that answers; a machine that stands still for a moment is no failure."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await runtime.open()
            except RuntimeFailure as failure:
                if "did not answer" not in failure.message:
                    raise
