"""An upgrade that comes to nothing, or is cut short, and what the old process is worth after it.

Source: reliability F18 (rolling upgrade of the gateway), F19 (never two that act).
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.e2e.test_control_killed import ready
from tests.e2e.test_tls import HOST, connect, gateway_of, status
from tests.e2e.test_upgrade import Line, file_of, new_controls, refused, upgradable
from tests.support.certificates import issue
from tests.support.raw_http import abort
from tests.support.running import (
    Answer,
    Running,
    app,
    configuration,
    descendants,
    is_alive,
    tidegate,
    write,
)


@pytest.mark.parametrize("workers", [0, 2])
async def test_who_accepts_never_blocks_on_sockets_that_were_shared(
    tmp_path: Path, workers: int
) -> None:
    """What one process does to a descriptor that it shares with another, it does to both. A TLS
    listener accepts until there is nobody left, and so does a plain one that closes."""
    trusted = issue(tmp_path, "a", HOST).cert.read_bytes()
    file = configuration(tmp_path, {"web": app()}, gateway=gateway_of(workers))
    good = yaml.safe_load(file.read_text())
    async with upgradable(file) as line:
        running = line.running
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            # The last that is bound: by then it has all of ours.
            bad = gateway_of(workers, redirect=address)
            write(file, {**good, "gateway": bad})
            async with asyncio.TaskGroup() as group:
                asked = group.create_task(refused(line, address), name="upgrade")
                while not asked.done():
                    await served_by_tls(running, trusted)
        for _ in range(3):
            await served_by_tls(running, trusted)
            assert (await running.get("web")).status == 200
        assert await running.end(within=40) == 0


async def served_by_tls(running: Running, trusted: bytes) -> None:
    client = await connect(running, trusted)
    async with asyncio.timeout(30):
        assert await status(client) == 200
    abort(client.writer)


async def stopped(line: Line, *, at_rest: bool) -> int:
    """The new process, which stands still before it has shown that its file is good, or when the
    former one is at rest already."""
    running, former = line.running, descendants(line.pid)
    # Connections that are there already: one is for the upgrade.
    await asyncio.gather(*(running.api("/v1/services") for _ in range(3)))
    fresh: list[int] = []

    async def is_so() -> bool:
        answer = await running.api("/v1/services/web/scale", "POST", json={"replicas": 2})
        return answer.status == 503

    async with asyncio.timeout(30):
        fresh += await new_controls(running, former)
        while at_rest and not await is_so():
            pass
    os.kill(fresh[0], signal.SIGSTOP)
    return fresh[0]


@contextlib.asynccontextmanager
async def standing_still(
    line: Line, *, at_rest: bool
) -> AsyncIterator[tuple[int, "asyncio.Task[Answer]"]]:
    """An upgrade whose new process is stopped, and the call that asked for it."""
    async with asyncio.TaskGroup() as group:
        held = group.create_task(stopped(line, at_rest=at_rest), name="stop the new one")
        await asyncio.sleep(0.3)  # it has its connections
        asked = group.create_task(line.upgrade(), name="upgrade")
        fresh = await held
        try:
            yield fresh, asked
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(fresh, signal.SIGCONT)


@pytest.mark.parametrize("at_rest", [False, True], ids=["before", "at rest"])
@pytest.mark.parametrize("workers", [0, 2])
async def test_sigterm_while_an_upgrade_is_under_way_ends_both(
    tmp_path: Path, workers: int, at_rest: bool
) -> None:
    async with upgradable(file_of(tmp_path, workers)) as line:
        running = line.running
        await ready(running)
        async with standing_still(line, at_rest=at_rest) as (fresh, asked):
            everything = descendants(line.pid)
            assert fresh in everything
            assert await running.end(within=40) == 0
            await line.gone(*everything)
            answer = await asked
            assert (answer.status, answer.json["detail"]) == (409, "Tidegate was told to stop")


@pytest.mark.parametrize("fate", [signal.SIGCONT, signal.SIGKILL], ids=["replaced", "failed"])
async def test_who_asks_the_api_meanwhile_waits_for_whoever_is_in_charge(
    tmp_path: Path, fate: signal.Signals
) -> None:
    """Nobody is told that a service does not exist because the new process has only begun, and no
    lease is taken that the new process does not know."""
    async with upgradable(file_of(tmp_path, 2)) as line:
        running = line.running
        await ready(running)
        async with standing_still(line, at_rest=True) as (fresh, asked), asyncio.TaskGroup() as all:
            assert (await running.api("/readyz")).status == 200
            waiting = [
                all.create_task(anew(running, *what), name="waits")
                for what in (
                    ("GET", "/readyz"),
                    ("GET", "/v1/services/web"),
                    ("POST", "/v1/services/web/lease", {"for": "10m"}),
                )
            ]
            assert not (await asyncio.wait(waiting, timeout=0.5))[0]
            os.kill(fresh, fate)
            assert (await asked).status == (200 if fate is signal.SIGCONT else 409)
            line.pid = fresh if fate is signal.SIGCONT else line.pid
        assert [one.result() for one in waiting] == [200, 200, 200]
        assert len((await running.service("web"))["leases"]) == 1
        assert (await running.get("idle")).status == 200


async def anew(running: Running, method: str, path: str, body: object = None) -> int:
    """By a connection of its own."""
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, f"http://{running.admin}{path}", json=body) as answer,
    ):
        await answer.read()
        return answer.status


async def test_what_goes_wrong_on_the_way_to_rest_is_undone(tmp_path: Path) -> None:
    """Where the next process would find our gateway, there is a file."""
    async with upgradable(file_of(tmp_path, 0)) as line:
        running = line.running
        await ready(running)
        obstacle = tmp_path / "state" / "gateways"
        obstacle.write_text("")
        await refused(line, "gateways")
        scaled = await running.api("/v1/services/web/scale", "POST", json={"replicas": 2})
        assert scaled.status == 200
        assert (await running.get("idle")).status == 200
        obstacle.unlink()
        await line.succeed()
        assert (await running.get("web")).status == 200


async def test_one_that_cannot_have_its_place_back_ends_and_says_why(tmp_path: Path) -> None:
    """It must not act without the lock; what runs waits for the next one."""
    file = file_of(tmp_path, 2)
    state = tmp_path / "state"
    async with upgradable(file) as line:
        running = line.running
        await ready(running)
        async with standing_still(line, at_rest=True) as (fresh, asked):
            left = descendants(line.pid) - {fresh}
            names = {one["id"] for one in await running.replicas("web")}
            state.chmod(0o777)
            os.kill(fresh, signal.SIGKILL)
            with contextlib.suppress(aiohttp.ClientError):
                assert (await asked).status == 409
            async with asyncio.timeout(30):
                assert await running.process.wait() == 1
        assert any("may write to the state folder" in str(one["message"]) for one in running.log)
        state.chmod(0o700)
        async with tidegate(file) as following:
            assert {one["id"] for one in await following.replicas("web")} == names
        await line.gone(*left)


async def test_a_replaced_process_ends_on_sigterm_though_a_tunnel_is_open(tmp_path: Path) -> None:
    services = {"web": app(scaling={"min": 1, "max": 1}, drain="2m")}
    async with upgradable(configuration(tmp_path, services)) as line:
        running = line.running
        await running.get("web")
        host, _, port = running.gateway.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /tunnel HTTP/1.1\r\nHost: web.localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        former, line.pid = line.pid, (await line.upgrade()).json["pid"]
        writer.write(b"still")
        assert await reader.readexactly(5) == b"still"
        assert is_alive(former)
        os.kill(former, signal.SIGTERM)
        async with asyncio.timeout(30):
            await line.gone(former)
        assert (await running.get("web")).status == 200
        writer.close()
