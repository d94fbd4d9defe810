"""`queue.size` and the limits on connections hold for all gateway processes together.

Never more than the limit; and nobody is refused while as many places are free as there are
processes (decision 0005).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.test_many_workers import MANY, WORKERS, at_most, fresh, limited
from tests.e2e.test_workers import gateways_of
from tests.support.callers import Book, kill, ports_of
from tests.support.running import Running, configuration, tidegate

SLOW = b"GET /sleep?ms=120000 HTTP/1.1\r\nHost: web.localhost\r\n\r\n"


class Crowd:
    """Many connections that say the same thing and then wait."""

    def __init__(self, running: Running, source: str, group: asyncio.TaskGroup) -> None:
        self.running = running
        self._group = group
        self.source = source
        self.staying: set[asyncio.StreamWriter] = set()
        self.refused = 0
        self.cut = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def come(self, count: int, said: bytes) -> None:
        """Until all are there."""
        await asyncio.gather(*(self._one(said) for _ in range(count)))

    async def _one(self, said: bytes) -> None:
        host, _, port = self.running.gateway.rpartition(":")
        local = (self.source, 0)
        try:
            reader, writer = await asyncio.open_connection(host, int(port), local_addr=local)
        except ConnectionResetError:  # refused before anybody here saw that it was open
            self.cut += 1
            return
        self.staying.add(writer)
        writer.write(said)
        task = self._group.create_task(self._wait(reader, writer), name="one of a crowd")
        self._tasks.add(task)

    async def _wait(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            assert not line or line.split()[1] == b"503", line
            self.refused += bool(line)
            self.cut += not line
        except ConnectionError:
            self.cut += 1
        finally:
            self.staying.discard(writer)
            writer.transport.abort()

    def leave(self) -> None:
        for task in self._tasks:
            task.cancel()


@contextlib.asynccontextmanager
async def crowd(running: Running, source: str = "127.0.0.1") -> AsyncIterator[Crowd]:
    async with asyncio.TaskGroup() as group:
        made = Crowd(running, source, group)
        try:
            yield made
        finally:
            made.leave()


async def gauge(running: Running, name: str) -> float:
    page = (await running.api("/metrics")).body.decode()
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


async def settled(running: Running, crowds: list[Crowd], came: int) -> int:
    """How many stay once all others have been refused, as both sides see it."""

    async def is_calm() -> bool:
        staying = sum(len(one.staying) for one in crowds)
        answered = sum(one.refused + one.cut for one in crowds)
        return (
            staying + answered == came and await gauge(running, "tidegate_connections{") == staying
        )

    await running.until(is_calm)
    return sum(len(one.staying) for one in crowds)


async def test_a_queue_has_its_size_in_all_processes_together(tmp_path: Path) -> None:
    size = 10
    web = limited(1, min=1, max=1) | {
        "queue": {"size": size, "timeout": "120s"},
        "stop_grace": "100ms",
    }
    file = configuration(tmp_path, {"web": web}, gateway=MANY)
    async with tidegate(file) as running, crowd(running) as many:
        await running.until(lambda: running.replicas("web", "ready"))
        await many.come(60, SLOW)
        fewest = 1 + size - (WORKERS - 1)  # one is at the replica

        async def is_full(refused: int) -> bool:
            return many.refused >= refused and fewest <= len(many.staying) <= 1 + size

        await running.until(lambda: is_full(60 - size - 1))
        assert await gauge(running, "tidegate_queued{") <= size
        # Those who waited in a process that is killed make room for others.
        victim = max(gateways_of(running), key=lambda pid: len(ports_of(pid, running)))
        await kill(victim, Book(running))

        async def replaced() -> bool:
            present = gateways_of(running)
            return victim not in present and len(present) == WORKERS and many.cut > 0

        await running.until(replaced)
        before = many.refused
        await many.come(30, SLOW)
        await running.until(lambda: is_full(before + 30 - size - 1))
        assert await gauge(running, "tidegate_queued{") <= size


async def test_a_first_limit_counts_what_is_in_flight_already(tmp_path: Path) -> None:
    """Set by a reload, while more requests than that are at the replica: more in all processes,
    but not in any of them."""
    limit = 12
    file = configuration(tmp_path, {"web": limited(0, min=1, max=1)}, gateway=MANY)
    async with tidegate(file) as running:
        await running.until(lambda: running.replicas("web", "ready"))
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(fresh(running, "/sleep?ms=5000"), name="before")

            async def are_there() -> bool:
                (replica,) = await running.replicas("web")
                async with running.client.get(f"http://{replica['address']}/stats") as answer:
                    return bool((await answer.json(content_type=None))["asleep"] == 20)

            await running.until(are_there)
            content = yaml.safe_load(file.read_text())
            content["services"]["web"]["concurrency"] = limit
            file.write_text(yaml.safe_dump(content))
            assert (await running.api("/v1/reload", "POST")).status == 200
            for _ in range(8):
                group.create_task(fresh(running, "/sleep?ms=50"), name="after")
        assert await at_most(running) == [20]


@pytest.mark.parametrize("kind", ["connections", "connections_per_client"])
async def test_connections_are_limited_in_all_processes_together(tmp_path: Path, kind: str) -> None:
    limit = 20
    file = configuration(
        tmp_path, {"web": limited(0, max=1)}, gateway={**MANY, "limits": {kind: limit}}
    )
    async with tidegate(file) as running, crowd(running) as many:
        await many.come(50, b"")
        staying = await settled(running, [many], 50)
        assert limit - (WORKERS - 1) <= staying <= limit, staying
        if kind == "connections_per_client":
            async with crowd(running, "127.0.0.2") as others:
                await others.come(10, b"")
                assert await settled(running, [many, others], 60) == staying + 10
            await settled(running, [many], 50)
        victim = max(gateways_of(running), key=lambda pid: len(ports_of(pid, running)))
        await kill(victim, Book(running))

        async def some_are_gone() -> bool:
            present = gateways_of(running)
            return many.cut > 0 and victim not in present and len(present) == WORKERS

        await running.until(some_are_gone)
        assert await settled(running, [many], 50) < staying
        await many.come(50, b"")
        staying = await settled(running, [many], 100)
        assert limit - (WORKERS - 1) <= staying <= limit, staying
