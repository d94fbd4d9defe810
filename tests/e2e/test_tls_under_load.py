"""Certificates that change again and again while clients are served: nobody notices."""

import asyncio
import contextlib
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.test_tls import HOST, gateway_of
from tests.support.certificates import Issued, issue
from tests.support.raw_http import Client, get
from tests.support.running import Running, app, configuration, tidegate

RELOADS = 50
CHUNKS, SIZE = 40, 20_000
DOWNLOAD = f"/stream?chunks={CHUNKS}&ms=5&size={SIZE}"


@dataclass
class Load:
    """Clients that go on until they are told to stop; every request is counted."""

    port: int
    trusting: ssl.SSLContext
    done: asyncio.Event = field(default_factory=asyncio.Event)
    answers: Counter[str] = field(default_factory=Counter)
    shown: set[bytes | None] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.trusting, server_hostname=HOST
        )
        self.shown.add(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()

    async def ask(self, client: Client, path: str, kind: str) -> None:
        answer = await client.ask(get(path, host=HOST))
        assert answer.status == 200
        if path == DOWNLOAD:
            assert len(answer.body) == CHUNKS * SIZE
        self.answers[kind] += 1

    async def stay(self, path: str, kind: str) -> None:
        """On one connection, from the beginning to the end."""
        async with self.client() as client:
            while not self.done.is_set():
                await self.ask(client, path, kind)

    async def come_and_go(self) -> None:
        while not self.done.is_set():
            async with self.client() as client:
                await self.ask(client, "/", "new")


@pytest.mark.parametrize("workers", [0, 2])
async def test_fifty_reloads_drop_no_connection_and_no_request(
    workers: int, tmp_path: Path
) -> None:
    pair = [issue(tmp_path, name, HOST) for name in ("first", "second")]
    _show(pair[0], tmp_path)
    context = ssl.create_default_context(cadata="".join(one.cert.read_text() for one in pair))
    services = {"web": app(scaling={"min": 1})}
    file = configuration(tmp_path, services, gateway=gateway_of(workers))
    async with tidegate(file) as running:
        await running.get("web")
        (ready,) = [line for line in running.log if line.get("kind") == "ready"]
        load = Load(int(ready["listen"][1].rpartition(":")[2]), context)
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(load.stay("/", "kept"))
            for _ in range(2):
                group.create_task(load.stay(DOWNLOAD, "download"))
                group.create_task(load.come_and_go())
            for number in range(RELOADS):
                _show(pair[number % 2], tmp_path)
                assert (await running.api("/v1/reload", "POST")).status == 200
            load.done.set()
        assert load.shown == {ssl.PEM_cert_to_DER_cert(one.cert.read_text()) for one in pair}
        assert min(load.answers[kind] for kind in ("kept", "download", "new")) > 1
        assert await _counted(running) == {"200": load.answers.total() + 1}


def _show(issued: Issued, folder: Path) -> None:
    """As a renewal does: both files are replaced, each at once."""
    for source, name in ((issued.cert, "a.pem"), (issued.key, "a.key")):
        fresh = folder / f"{name}.new"
        fresh.write_bytes(source.read_bytes())
        fresh.replace(folder / name)


async def _counted(running: Running) -> dict[str, float]:
    """Requests of the service by code."""
    text = (await running.api("/metrics")).body.decode()
    found = re.findall(r'requests_total\{code="(\d+)",service="web"\} (\S+)', text)
    return {code: float(count) for code, count in found}
