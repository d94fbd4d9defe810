"""Services that others run: routed, probed and ejected, never scaled."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.callers import stop
from tests.support.held_ports import held_port
from tests.support.running import APP, Running, configuration, tidegate


@contextlib.asynccontextmanager
async def server(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The test application, run by somebody else."""
    process = await asyncio.create_subprocess_exec(
        *APP, env={**os.environ, "PORT": str(port), "REPLICA": str(port)}
    )
    try:
        await until_open(port)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def until_open(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return


@pytest.fixture
def ports() -> Iterator[list[int]]:
    with contextlib.ExitStack() as held:
        yield [held.enter_context(held_port()) for _ in range(3)]


async def by_port(running: Running, count: int) -> Counter[str]:
    answers = [await running.get("lb", "/env?name=PORT") for _ in range(count)]
    assert {answer.status for answer in answers} == {200}
    return Counter(answer.body.decode() for answer in answers)


def balanced(ports: list[int], **changes: object) -> dict[str, object]:
    return {
        "endpoints": [f"127.0.0.1:{port}" for port in ports],
        "balance": "round_robin",
        **changes,
    }


async def test_requests_go_round_and_nobody_is_started(tmp_path: Path, ports: list[int]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for port in ports:
            await stack.enter_async_context(server(port))
        file = configuration(tmp_path, {"lb": balanced(ports)})
        running = await stack.enter_async_context(tidegate(file))
        assert await by_port(running, 30) == {str(port): 10 for port in ports}
        refused = await running.api("/v1/services/lb/scale", "POST", json={"replicas": 5})
        assert refused.status == 422
        assert "never scaled" in refused.json["detail"]
        assert running.said("replica-started") == []


async def test_a_dead_server_is_left_out_and_comes_back(tmp_path: Path, ports: list[int]) -> None:
    """No request fails: a refused connection is tried on another server (contract §5)."""
    readiness = {"tcp": True, "every": "100ms", "failures": 1}
    file = configuration(tmp_path, {"lb": balanced(ports[:2], health={"readiness": readiness})})
    async with server(ports[0]), tidegate(file) as running:
        async with server(ports[1]):
            await running.until(lambda: ready(running, 2))
            assert len(await by_port(running, 10)) == 2
        assert set(await by_port(running, 20)) == {str(ports[0])}
        await running.until(lambda: ready(running, 1))
        async with server(ports[1]):
            await running.until(lambda: ready(running, 2))
            assert len(await by_port(running, 10)) == 2


async def ready(running: Running, count: int) -> bool:
    return len(await running.replicas("lb", "ready")) == count


async def test_a_server_of_errors_is_ejected_and_returns(tmp_path: Path, ports: list[int]) -> None:
    outliers = {"failures": 3, "eject_for": "6s"}  # long enough to be seen on a busy machine
    file = configuration(tmp_path, {"lb": balanced(ports[:2], health={"outliers": outliers})})
    async with server(ports[0]), server(ports[1]), tidegate(file) as running:
        for _ in range(12):
            await running.get("lb", "/status/500")
        assert running.said("replica-ejected") == [], "what both do alike is on purpose"
        for path in ("/status/500", "/") * 6:
            await running.get("lb", path)

        async def ejected() -> bool:
            return bool(running.said("replica-ejected"))

        await running.until(ejected)
        assert len(running.said("replica-ejected")) == 1
        assert len(await by_port(running, 6)) == 1

        async def returned() -> bool:
            return bool(running.said("replica-returned"))

        await running.until(returned)
        assert len(await by_port(running, 6)) == 2


@pytest.mark.rule("RFC 9110 §15.6.5: silent replicas", side="replica")
async def test_a_server_that_hangs_is_a_504(tmp_path: Path, ports: list[int]) -> None:
    timeouts = {"response": "3s"}  # one that does not hang may take a while on a busy machine
    file = configuration(tmp_path, {"lb": balanced(ports[:1], timeouts=timeouts)})
    async with server(ports[0]) as process, tidegate(file) as running:
        assert (await running.get("lb")).status == 200
        await stop(process.pid)
        assert (await running.get("lb")).status == 504
        process.send_signal(signal.SIGCONT)
