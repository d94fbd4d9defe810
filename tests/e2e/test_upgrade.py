"""`tidegate upgrade` under load: nobody is refused, nothing is lost, and a failure changes nothing.

Source: reliability F18 (rolling upgrade of the gateway), F19 (never two that act).
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.test_control_killed import PLANS, ready, served
from tests.e2e.test_tls import HOST, connect, gateway_of, status
from tests.support.callers import Book, calling
from tests.support.certificates import issue
from tests.support.raw_http import Client, abort, get
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


def gateway(workers: int) -> dict[str, Any]:
    return {"listen": ["127.0.0.1:0"], "workers": workers}


def file_of(folder: Path, workers: int, **top: Any) -> Path:
    services = {"web": app(scaling={"min": 2, "max": 2}), "idle": app()}
    return configuration(folder, services, gateway=gateway(workers), orphan_timeout="60s", **top)


@contextlib.asynccontextmanager
async def upgradable(file: Path) -> AsyncIterator["Line"]:
    """One whose successors end with the block, too."""
    async with tidegate(file) as running:
        line = Line(running)
        try:
            yield line
        finally:
            await line.end()


class Line:
    """The control processes that follow each other."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.pid = running.process.pid

    async def upgrade(self) -> Answer:
        return await self.running.api("/v1/upgrade", "POST")

    async def succeed(self) -> None:
        """An upgrade, until the former process is gone."""
        former = self.pid
        answer = await self.upgrade()
        assert answer.status == 200, answer.body
        self.pid = answer.json["pid"]
        assert self.pid != former
        await self.gone(former)

    async def gone(self, *pids: int) -> None:
        async def are_gone() -> bool:
            return not any(is_alive(pid) for pid in pids)

        await self.running.until(are_gone)

    async def end(self) -> None:
        if self.pid != self.running.process.pid and is_alive(self.pid):
            started = descendants(self.pid)
            os.kill(self.pid, signal.SIGTERM)
            try:
                await self.gone(self.pid, *started)
            except BaseException:
                os.kill(self.pid, signal.SIGKILL)
                raise


async def names(running: Running) -> dict[str, str]:
    return {one["id"]: one["address"] for one in await running.replicas("web")}


@pytest.mark.parametrize(("workers", "upgrades"), [(0, 2), (1, 2), (2, 5)])
async def test_no_request_is_lost_and_no_replica_restarted(
    tmp_path: Path, workers: int, upgrades: int
) -> None:
    async with upgradable(file_of(tmp_path, workers)) as line:
        running = line.running
        await ready(running)
        address, replicas = running.gateway, await names(running)
        book = Book(running)
        async with calling(book, *PLANS):
            await served(book, 50)
            for _ in range(upgrades):
                await line.succeed()
                assert (running.gateway, await names(running)) == (address, replicas)
                await served(book, 50)
        assert (book.lost, book.wrong) == ({}, [])
        assert (await running.get("idle")).status == 200
        print("served:", sum(book.served.values()))


async def refused(line: Line, why: str) -> None:
    answer = await line.upgrade()
    assert (answer.status, answer.json["code"]) == (409, "upgrade-failed")
    assert why in answer.json["detail"]


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_failed_upgrade_leaves_all_as_it_was(tmp_path: Path, workers: int) -> None:
    """With a wrong file, which is seen at first; and with an address that is taken, which is seen
    when the running one has come to rest already."""
    file = file_of(tmp_path, workers)
    good = file.read_text()
    async with upgradable(file) as line:
        running = line.running
        await ready(running)
        replicas, admin = await names(running), running.admin
        book = Book(running)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            async with calling(book, *PLANS):
                await served(book, 50)
                file.write_text(good + "\nnonsense: 1\n")
                await refused(line, "nonsense")
                content = yaml.safe_load(good)
                content["gateway"]["listen"].append(address)
                write(file, content)
                await refused(line, address)
                await served(book, 50)
                file.write_text(good)
                assert await names(running) == replicas
                assert running.admin == admin
                # It still acts: this one is started now.
                assert (await running.get("idle")).status == 200
                await line.succeed()
                await served(book, 50)
        assert (book.lost, book.wrong) == ({}, [])
        assert await names(running) == replicas


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_new_process_that_dies_or_hangs_does_not_take_the_old_one_along(
    tmp_path: Path, number: signal.Signals
) -> None:
    """One that hangs is waited for in vain; here it is killed by hand before that."""
    async with upgradable(file_of(tmp_path, 2)) as line:
        running = line.running
        await ready(running)
        former = descendants(line.pid)
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(refused(line, "ended before its time"), name="upgrade")
            (fresh,) = await new_controls(running, former)
            os.kill(fresh, number)
            if number is signal.SIGSTOP:
                assert (await running.get("web")).status == 200
                assert not asked.done()
                os.kill(fresh, signal.SIGKILL)
        assert (await running.get("idle")).status == 200
        await line.succeed()
        assert (await running.get("web")).status == 200


async def new_controls(running: Running, former: set[int]) -> list[int]:
    found: list[int] = []

    async def is_there() -> bool:
        for pid in descendants(running.process.pid) - former:
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()  # noqa: ASYNC240
                if b"\0tidegate\0run\0" in command:
                    found.append(pid)
        return bool(found)

    await running.until(is_there)
    return found


async def test_tunnels_and_downloads_go_on_and_keep_their_replica(tmp_path: Path) -> None:
    """They stay in the gateway that has them. The new control process waits for it before it stops
    a replica, though its own gateways have nothing of it."""
    services = {"web": app(scaling={"min": 1, "max": 1}, drain="2m")}
    file = configuration(tmp_path, services, gateway=gateway(2), orphan_timeout="60s")
    async with upgradable(file) as line:
        running = line.running
        await running.get("web")
        async with asyncio.TaskGroup() as group:
            asked = running.get("web", "/stream?chunks=60&ms=100&size=1000")
            slow = group.create_task(asked, name="download")
            host, _, port = running.gateway.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"GET /tunnel HTTP/1.1\r\nHost: web.localhost\r\n"
                b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
            )
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            for number in range(2):
                await line.succeed()
                writer.write(b"%d" % number)
                assert await reader.readexactly(1) == b"%d" % number
            await running.api("/v1/services/web/scale", "POST", json={"replicas": 0})
            await running.until(lambda: are(running, "draining"))
            writer.write(b"still")
            assert await reader.readexactly(5) == b"still"
            assert len((await slow).body) == 60_000
            writer.close()
        await running.until(lambda: are(running))


async def are(running: Running, *states: str) -> bool:
    return [one["state"] for one in await running.replicas("web")] == list(states)


@pytest.mark.parametrize("workers", [0, 2])
async def test_tls_and_redirects_are_handed_over_too(tmp_path: Path, workers: int) -> None:
    """All sockets stay where they are; a connection that is open is not cut by the new process."""
    trusted = issue(tmp_path, "a", HOST).cert.read_bytes()
    where = gateway_of(workers, redirect="127.0.0.1:0")
    file = configuration(tmp_path, {"web": app()}, gateway=where, orphan_timeout="60s")
    async with upgradable(file) as line:
        running = line.running
        before = listen_of(running)
        assert len(set(before)) == 3
        open_before = await connect(running, trusted)
        assert await status(open_before, "/") == 200
        answer = await line.upgrade()
        line.pid = answer.json["pid"]
        assert await status(open_before, "/") == 200
        abort(open_before.writer)
        await line.gone(running.process.pid)
        assert listen_of(running) == before
        fresh = await connect(running, trusted)
        assert await status(fresh, "/") == 200
        abort(fresh.writer)
        plain = Client(*await asyncio.open_connection("127.0.0.1", port_of(before[2])))
        told = await plain.ask(get("/", host=HOST))
        assert told.value("Location") == f"https://{HOST}:{port_of(before[1])}/"
        abort(plain.writer)


def listen_of(running: Running) -> list[str]:
    said = [line["listen"] for line in running.log if line.get("kind") == "ready"]
    return list(said[-1])


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


async def test_sigterm_resets_nobody_who_has_connected(tmp_path: Path) -> None:
    """F17: clients that come while it stops are served or refused, and what runs is finished."""
    async with tidegate(file_of(tmp_path, 2)) as running:
        await ready(running)
        host, port = "127.0.0.1", port_of(running.gateway)
        slow = [asyncio.ensure_future(running.get("web", "/sleep?ms=5000")) for _ in range(5)]  # noqa: TID251
        await running.until(lambda: all_in_flight(running, 5))
        running.process.terminate()
        async with asyncio.timeout(30):
            while True:
                try:
                    reader, writer = await asyncio.open_connection(host, port)
                except ConnectionError:
                    break
                writer.write(get("/", host="web.localhost"))
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                writer.close()
        assert [answer.status for answer in await asyncio.gather(*slow)] == [200] * 5
        async with asyncio.timeout(30):
            assert await running.process.wait() == 0


async def all_in_flight(running: Running, count: int) -> bool:
    return bool((await running.service("web"))["in_flight"] == count)
