"""A WebSocket and a download while their replica is scaled away (faults F37, F46)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.faults.ground import Ground, until_ready
from tests.faults.judge import NOTHING
from tests.faults.load import Load
from tests.faults.mode import LONG
from tests.faults.record import Outcome
from tests.faults.scenario import Stage, staged

PARTS, PAUSE = 80 if LONG else 30, 100  # of a download, milliseconds between them
MANY = 6  # so that each replica has some
DRAIN = 30.0 if LONG else 12.0


class Tunnel:
    """A connection that was upgraded; what is sent comes back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def echoes(self, words: bytes) -> bool:
        self.writer.write(words)
        async with asyncio.timeout(30):
            return await self.reader.readexactly(len(words)) == words


@contextlib.asynccontextmanager
async def tunnels(stage: Stage) -> AsyncIterator[list[Tunnel]]:
    host, _, port = stage.running.gateway.rpartition(":")
    opened = []
    for _ in range(MANY):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /tunnel HTTP/1.1\r\nHost: web.localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        opened.append(Tunnel(reader, writer))
    try:
        yield opened
    finally:
        for tunnel in opened:
            tunnel.writer.transport.abort()


async def scale(stage: Stage, count: int) -> None:
    await stage.running.api("/v1/services/web/scale", "POST", json={"replicas": count})


async def test_they_outlive_a_scale_down(ground: Ground) -> None:
    web = ground.service(scaling={"min": 0, "max": 3}, drain=f"{DRAIN:g}s")
    async with staged(ground, "long-answers", NOTHING, {"web": web}) as stage:
        await scale(stage, 3)
        await until_ready(stage.running, 3)
        await stage.measure()
        downloads = Load(stage.running.gateway, "web.localhost", "download")
        path = f"/?parts={PARTS}&pause={PAUSE}"
        async with stage.loaded(), tunnels(stage) as opened, asyncio.TaskGroup() as group:
            for _ in range(MANY):
                group.create_task(
                    downloads.one(downloads.asked("GET", path, fresh=True)), name="download"
                )
            await stage.calm(0.5)
            await scale(stage, 1)
            await until_ready(stage.running, 1)
            draining = await stage.running.replicas("web", "draining")
            assert len(draining) == 2, "they are still needed"
            while len(downloads.records) < MANY:
                assert [await one.echoes(b"still here") for one in opened] == [True] * MANY
                await asyncio.sleep(0.2)
        assert stage.judged(NOTHING, downloads).offences == []
        spread = {record.replica for record in downloads.records}
        assert len(spread) == 3, "none of them was on a replica that went"
        assert {record.outcome for record in downloads.records} == {Outcome.OK}
        stage.notes.append(f"{MANY} downloads of {PARTS * PAUSE / 1000:.0f} s, {MANY} tunnels")
