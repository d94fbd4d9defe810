"""An upgrade that comes to nothing, or is cut short, and what the old process is worth after it.

Source: reliability F18 (rolling upgrade of the gateway), F19 (never two that act).
"""

import asyncio
import socket
from pathlib import Path

import pytest
import yaml

from tests.e2e.test_tls import HOST, connect, gateway_of, status
from tests.e2e.test_upgrade import refused, upgradable
from tests.support.certificates import issue
from tests.support.raw_http import abort
from tests.support.running import Running, app, configuration, write


@pytest.mark.timeout(90)
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
        assert await running.end(within=15) == 0


async def served_by_tls(running: Running, trusted: bytes) -> None:
    client = await connect(running, trusted)
    async with asyncio.timeout(10):
        assert await status(client) == 200
    abort(client.writer)
