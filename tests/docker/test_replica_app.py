"""The test application does in a container what other tests rely on."""

import asyncio
import json

import aiohttp
import pytest

from cluster.model import Instance
from runtimes.docker import DockerRuntime
from tests.contracts.observation import answers_http, eventually
from tests.support.docker_engine import App

pytestmark = pytest.mark.docker


async def get(instance: Instance, path: str, body: bytes | None = None) -> tuple[int, str]:
    method = "GET" if body is None else "POST"
    url = f"http://{instance.address}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=body) as response,
    ):
        return response.status, await response.text()


async def serving(runtime: DockerRuntime, app: App, **env: str) -> Instance:
    instance = await runtime.start("a", app.workload("web", env=env))
    address = instance.address
    assert address is not None
    await eventually(lambda: answers_http(address), "it answers")
    return instance


async def test_it_answers_as_documented(runtime: DockerRuntime, docker_app: App) -> None:
    instance = await serving(runtime, docker_app, COLOUR="blue")
    assert await get(instance, "/") == (200, instance.id[:12])
    assert await get(instance, "/echo", b"abc") == (200, "abc")
    assert await get(instance, "/status/418") == (418, "status 418")
    assert await get(instance, "/env?name=COLOUR") == (200, "blue")
    assert await get(instance, "/stream?chunks=3&ms=1&size=5") == (200, "x" * 15)
    assert (await get(instance, "/ready"))[0] == 200
    assert await get(instance, "/toggle/ready") == (200, "False")
    assert (await get(instance, "/ready"))[0] == 503
    assert (await get(instance, "/live"))[0] == 200
    assert (await get(instance, "/nowhere"))[0] == 404
    with pytest.raises(aiohttp.ClientError):
        await get(instance, "/cut?size=10")
    with pytest.raises(aiohttp.ClientError):
        await get(instance, "/drop")


async def test_it_counts_what_is_in_flight(runtime: DockerRuntime, docker_app: App) -> None:
    instance = await serving(runtime, docker_app)
    await asyncio.gather(*(get(instance, "/sleep?ms=3000") for _ in range(5)))
    stats = json.loads((await get(instance, "/stats"))[1])
    assert stats["most_asleep"] == 5
    # A request counts until a moment after its answer: the first one, too, that saw it serve.
    assert stats["most_in_flight"] in (5, 6)

    async def only_the_question() -> bool:
        return '"in_flight": 1,' in (await get(instance, "/stats"))[1]

    await eventually(only_the_question, "what came before is over")


async def test_on_sigterm_it_finishes_what_is_in_flight(
    runtime: DockerRuntime, docker_app: App
) -> None:
    instance = await serving(runtime, docker_app)
    async with asyncio.TaskGroup() as group:
        answer = group.create_task(get(instance, "/sleep?ms=4000"))

        async def in_flight() -> bool:
            return '"in_flight": 2' in (await get(instance, "/stats"))[1]

        await eventually(in_flight, "the request is in flight")
        await runtime.stop(instance.id, grace=30)
    assert answer.result() == (200, "slept")


async def test_it_ends_with_the_code_asked_for(runtime: DockerRuntime, docker_app: App) -> None:
    instance = await serving(runtime, docker_app)
    with pytest.raises(aiohttp.ClientError):
        await get(instance, "/exit?code=7")

    async def code() -> bool:
        [ended] = await runtime.instances()
        return ended.exit is not None and ended.exit.code == 7

    await eventually(code, "it ended with code 7")
