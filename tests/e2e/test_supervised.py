"""Under a service manager: sockets that it holds, and what it is told.

systemd's own tool stands in for systemd where it is installed.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.test_upgrade import upgradable
from tests.support.held_ports import held_port
from tests.support.raw_http import get
from tests.support.running import app, configuration, is_alive

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging/systemd"


@contextlib.contextmanager
def notified(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        name = f"\0tidegate-test-{os.getpid()}-{folder.name}"
        end.bind(name)
        end.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name[1:]}")
        yield end


async def hear(end: socket.socket) -> dict[str, str]:
    async with asyncio.timeout(30):
        said = await asyncio.get_running_loop().sock_recv(end, 4096)
    return dict(line.split("=", 1) for line in said.decode().splitlines())


@pytest.mark.parametrize("workers", [0, 1])
async def test_it_tells_when_it_is_ready_reloads_is_replaced_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    gateway = {"listen": ["127.0.0.1:0"], "workers": workers}
    file = configuration(tmp_path, {"web": app()}, gateway=gateway, orphan_timeout="10s")
    with notified(tmp_path, monkeypatch) as end:
        async with upgradable(file) as line:
            running = line.running
            assert (await hear(end))["READY"] == "1"
            # Nobody speaks in its name.
            told = await running.get("web", "/env?name=NOTIFY_SOCKET")
            assert b"tidegate-test" not in told.body
            running.process.send_signal(signal.SIGHUP)
            reloading = await hear(end)
            assert reloading["RELOADING"] == "1"
            assert int(reloading["MONOTONIC_USEC"]) > 0
            assert (await hear(end))["READY"] == "1"
            await line.succeed()
            said = [await hear(end), await hear(end)]
            assert {"READY": "1"}.items() <= (said[0] | said[1]).items()
            assert (said[0] | said[1])["MAINPID"] == str(line.pid)
            os.kill(line.pid, signal.SIGTERM)
            assert (await hear(end))["STOPPING"] == "1"
            await line.gone(line.pid)


async def status_line(port: int, request: bytes) -> bytes:
    """Raises ConnectionError. The connection is gone then, too: nobody else would close it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await reader.readline()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def is_ready(port: int) -> bool:
    """The gateway serves a moment before the admin API says so."""
    line = await status_line(port, get("/readyz", host="127.0.0.1"))
    return line.startswith(b"HTTP/1.1 200 ")


@contextlib.asynccontextmanager
async def activated(file: Path, *addresses: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Tidegate, as soon as somebody connects."""
    listen = [word for address in addresses for word in ("-l", address)]
    process = await asyncio.create_subprocess_exec(
        *("systemd-socket-activate", *listen, "-E", f"PYTHONPATH={ROOT}"),
        *(sys.executable, "-m", "tidegate", "run", "--config", str(file)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if is_alive(process.pid):
            process.terminate()
        await process.wait()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd is not here")
@pytest.mark.parametrize("workers", [0, 2])
async def test_given_sockets_are_used_for_the_addresses_they_have(
    tmp_path: Path, workers: int
) -> None:
    """The first client's connection is what starts Tidegate: it waits in the backlog."""
    with held_port() as public, held_port() as private:
        gateway = {"listen": [f"127.0.0.1:{public}"], "workers": workers}
        admin = {"listen": f"127.0.0.1:{private}"}
        file = configuration(tmp_path, {"web": app()}, gateway=gateway, admin=admin)
        await are_used(file, public, private)


async def are_used(file: Path, public: int, private: int) -> None:
    async with activated(file, f"127.0.0.1:{public}", f"127.0.0.1:{private}"):
        line = b""
        async with asyncio.timeout(30):
            while not line:
                with contextlib.suppress(ConnectionError):  # nobody listens at first
                    line = await status_line(public, get("/", host="web.localhost"))
                await asyncio.sleep(0.02)
        assert line.startswith(b"HTTP/1.1 200 ")
        async with asyncio.timeout(30):
            while not await is_ready(private):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.02)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
async def test_the_units_are_well_formed(tmp_path: Path) -> None:
    units = [tmp_path / unit.name for unit in PACKAGING.iterdir()]
    for unit in PACKAGING.iterdir():
        text = unit.read_text().replace("/usr/local/bin/tidegate", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    process = await asyncio.create_subprocess_exec(
        *("systemd-analyze", "verify", "--man=no", *map(str, units)),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert [line for line in said.decode().splitlines() if str(tmp_path) in line] == []
