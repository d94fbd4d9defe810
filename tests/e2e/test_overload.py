"""Too much at once, with real processes and real sockets: a herd on a sleeping service, a sick
service beside a healthy one, a global cap on waiting requests.

Sources: the scenarios of kedacore/http-add-on#1732 (an unbounded queue of held requests), Knative's
cold start under load, and a herd of 10,000 requests on zero.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import Running, app, configuration, cpu_seconds, tidegate

HERD = 10_000
MANY = {"listen": ["127.0.0.1:0"], "workers": 1}


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Told:
    """By a herd that is on its way."""

    process: asyncio.subprocess.Process
    result: dict[str, Any] = field(default_factory=dict)

    async def all_asked(self) -> None:
        assert self.process.stdout is not None
        assert (await self.process.stdout.readline()).strip() == b"asked"

    async def end(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        self.result = json.loads(line)
        await self.process.wait()
        return self.result


@contextlib.asynccontextmanager
async def herd(running: Running, service: str, count: int, path: str = "/") -> AsyncIterator[Told]:
    host, _, port = running.gateway.rpartition(":")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.herd", host, port),
        *(f"{service}.localhost", str(count), path),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Told(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def memory_of(pid: int, *, most: bool = False) -> int:
    """Resident bytes of a process, or the most that it ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:" if most else "VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def workers_of(running: Running) -> list[int]:
    """Processes that hold the gateway's connections."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                if b"tidegate.worker" in words and int(parent) == running.process.pid:
                    found.append(int(entry.name))
    return found


class Bystander:
    """Asks another service all the while, one request after the other."""

    def __init__(self, running: Running, service: str, timeout: float = 30.0) -> None:
        self._running = running
        self._service = service
        self._timeout = timeout
        self.times: list[float] = []
        self.wrong: list[int] = []

    async def ask(self) -> None:
        """Each on a new connection."""
        while True:
            begun = now()
            async with asyncio.timeout(self._timeout):
                answer = await self._running.get(self._service, headers={"Connection": "close"})
            self.times.append(now() - begun)
            if answer.status != 200:
                self.wrong.append(answer.status)
            await asyncio.sleep(0.02)

    @property
    def p99(self) -> float:
        return self.p99_of(len(self.times))

    def p99_of(self, count: int) -> float:
        """Of the last so many."""
        times = sorted(self.times[-count:])
        return times[int(len(times) * 0.99)]


@contextlib.asynccontextmanager
async def bystander(running: Running, service: str) -> AsyncIterator[Bystander]:
    made = Bystander(running, service)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(made.ask(), name="bystander")
        yield made
        asking.cancel()


async def metric(running: Running, name: str) -> float:
    page = (await running.api("/metrics")).body.decode()
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


async def ups(running: Running, service: str) -> list[tuple[int, int]]:
    """The decisions for more replicas, in their order."""
    answer = await running.api(f"/v1/services/{service}/decisions?limit=50")
    steps = [(one["before"], one["replicas"]) for one in reversed(answer.json["decisions"])]
    return [(before, after) for before, after in steps if after > before]


@pytest.mark.timeout(240)
async def test_a_herd_of_ten_thousand_on_a_sleeping_service(tmp_path: Path) -> None:
    """All are held, all are answered, one wake starts what is needed, and others hardly notice."""
    services = {
        "web": app(
            concurrency=100,
            queue={"size": HERD, "timeout": "120s"},
            scaling={"max": 2, "rules": [{"metric": "concurrency", "target": 5000}]},
            env={"START_DELAY": "4"},
        ),
        "other": app(scaling={"min": 1, "max": 1}),
    }
    limits = {"connections": 15_000, "held": 13_000}
    file = configuration(tmp_path, services, gateway={**MANY, "limits": limits})
    async with tidegate(file) as running, bystander(running, "other") as other:
        (worker,) = workers_of(running)
        before = memory_of(worker), memory_of(running.process.pid)
        async with herd(running, "web", HERD, "/sleep?ms=100") as many:
            await many.all_asked()
            result = await many.end()
        most = memory_of(worker, most=True) - before[0]
        grown = memory_of(running.process.pid, most=True) - before[1]
        print("herd", result, "worker", most >> 20, "MiB, control", grown >> 20, "MiB; p99 of the",
              "other", other.p99, "of", len(other.times))  # fmt: skip
        assert result["statuses"] == {"200": HERD}
        assert other.wrong == []
        assert most < 100 * 2**20
        assert grown < 50 * 2**20
        assert other.p99 < 5.0
        assert await metric(running, 'tidegate_cold_starts_total{service="web"}') == 1
        starts = 'tidegate_replica_starts_total{outcome="started",service="web"}'
        assert await metric(running, starts) == 2
        assert await ups(running, "web") in ([(0, 1), (1, 2)], [(0, 2)])
        assert await metric(running, "tidegate_rejected_total") == 0


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Accepts, reads, and never answers; its address."""
    writers: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, backlog=4096)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


async def is_calm(running: Running, other: Bystander, count: int) -> None:
    """Until the other service was asked so often again."""
    before = len(other.times)

    async def enough() -> bool:
        return len(other.times) >= before + count

    await running.until(enough)


async def test_a_service_that_hangs_does_not_hurt_another(tmp_path: Path) -> None:
    """Thousands of requests are with a replica that never answers."""
    async with silent_server() as silent:
        services = {
            "sick": {"endpoints": [silent]},
            "other": app(scaling={"min": 1, "max": 1}),
        }
        file = configuration(tmp_path, services, gateway=MANY)
        async with tidegate(file) as running, bystander(running, "other") as other:
            await is_calm(running, other, 50)
            calm, other.times = other.p99, []
            async with herd(running, "sick", 4000) as many:
                await many.all_asked()

                async def are_there() -> bool:
                    return await metric(running, 'tidegate_in_flight{service="sick"}') == 4000

                await running.until(are_there)
                other.times = []

                async def is_unhurt() -> bool:
                    # A moment in which the machine was busy is soon behind; what hurts is not.
                    return len(other.times) >= 100 and other.p99_of(100) < calm + 0.2

                await running.until(is_unhurt)
            print("sick: p99 of the other", calm, "then", other.p99, "of", len(other.times))
            assert other.wrong == []


@pytest.mark.parametrize(
    ("places", "connections", "few"),
    [(900, 900, None), (428, 10_000, 512)],
    ids=["connections", "descriptors"],
)
async def test_no_service_gets_all_connections(
    tmp_path: Path, places: int, connections: int, few: int | None
) -> None:
    """More requests than there may be clients: the sick one has its share, and no more."""
    async with silent_server() as silent:
        services = {
            "sick": {"endpoints": [silent]},
            "other": app(scaling={"min": 1, "max": 1}),
        }
        limits = {"connections": connections}
        file = configuration(tmp_path, services, gateway={**MANY, "limits": limits})
        async with tidegate(file, descriptors=few) as running:
            async with herd(running, "sick", 3000) as many:
                await many.all_asked()

                async def is_settled() -> bool:
                    refused = await metric(running, 'tidegate_requests_total{code="503"')
                    stays = await metric(running, 'tidegate_in_flight{service="sick"}')
                    return refused + stays == 3000

                await running.until(is_settled)
                stays = await metric(running, 'tidegate_in_flight{service="sick"}')
                # Who is refused keeps a descriptor for a moment, and so the door may be shut to
                # some of those who come all at once and would have had a place.
                assert places * 0.5 < stays <= places * 0.8 + 1
                assert await metric(running, 'tidegate_rejected_total{reason="over-share"') > 100
                async with bystander(running, "other") as other:
                    await is_calm(running, other, 100)
                assert other.wrong == []
                # Those that go make room for as many.
                stats = await running.service("sick")
                assert stats["in_flight"] == stays

            async def has_left() -> bool:
                return await metric(running, 'tidegate_in_flight{service="sick"}') == 0

            await running.until(has_left)


async def test_a_full_cap_refuses_who_holds_most_and_not_who_comes_first(tmp_path: Path) -> None:
    """`gateway.limits.held`, over two processes."""
    cap = 400
    never = {"START_DELAY": "60"}
    services = {
        name: app(queue={"size": 1000, "timeout": "60s"}, scaling={"max": 1}, env=never)
        for name in ("greedy", "second")
    } | {"other": app(concurrency=1, scaling={"min": 1, "max": 1})}
    gateway = {**MANY, "workers": 2, "limits": {"held": cap}}
    file = configuration(tmp_path, services, gateway=gateway)
    async with tidegate(file) as running, herd(running, "greedy", 600) as greedy:
        await greedy.all_asked()

        async def is_settled() -> bool:
            refused = await metric(running, 'tidegate_rejected_total{reason="too-many-held"')
            return refused + await metric(running, "tidegate_queued{") == 600

        await running.until(is_settled)
        held = await metric(running, "tidegate_queued{")
        assert cap * 0.8 - 2 <= held <= cap * 0.8 + 1
        async with herd(running, "second", 20) as second:
            await second.all_asked()

            async def are_held() -> bool:
                return await metric(running, 'tidegate_queued{service="second"}') == 20

            await running.until(are_held)
            async with bystander(running, "other") as other:
                await is_calm(running, other, 20)
            assert other.wrong == []


@pytest.mark.parametrize("workers", [0, 1])
async def test_when_descriptors_run_out_admin_and_probes_go_on(
    tmp_path: Path, workers: int
) -> None:
    """A thousand clients and 256 descriptors: no busy loop, and all is well when they have left."""
    probe = {"http": "/ready", "every": "200ms", "failures": 2}
    services = {"web": app(scaling={"min": 1, "max": 1}, health={"readiness": probe})}
    gateway = {**MANY, "workers": workers}
    file = configuration(tmp_path, services, gateway=gateway)
    async with tidegate(file, descriptors=256) as running:
        await running.until(lambda: running.replicas("web", "ready"))
        host, _, port = running.gateway.rpartition(":")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.idlers", host, port, "1000"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert (await process.stdout.readline()).strip() == b"connected"
        pids = [running.process.pid, *workers_of(running)]
        before = sum(map(cpu_seconds, pids))
        passed = 'tidegate_probes_total{kind="readiness",outcome="passed",service="web"}'
        probes = await metric(running, passed)
        begun = now()
        for _ in range(10):
            assert (await running.api("/healthz")).status == 200
            await asyncio.sleep(0.2)
        used = (sum(map(cpu_seconds, pids)) - before) / (now() - begun)
        print("descriptors: share of a core", used)
        assert used < 0.5

        async def is_probed() -> bool:
            return await metric(running, passed) > probes + 3

        await running.until(is_probed)
        assert len(await running.replicas("web", "ready")) == 1
        process.stdin.close()
        await process.wait()
        left = now()

        async def is_open() -> bool:
            try:
                return (await running.get("web", headers={"Connection": "close"})).status == 200
            except OSError:
                return False

        await running.until(is_open)
        assert now() - left < 5.0
