"""Several gateway processes behind one port: together they are one gateway."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.e2e.test_workers import gateways_of
from tests.support.running import Running, app, configuration, tidegate

WORKERS = 4
MANY = {"listen": ["127.0.0.1:0"], "workers": WORKERS}


def limited(concurrency: int, **scaling: Any) -> dict[str, Any]:
    return app(concurrency=concurrency, scaling=scaling, queue={"size": 1000, "timeout": "30s"})


async def fresh(running: Running, path: str = "/", service: str = "web") -> int:
    """A request on a connection of its own, so that the kernel picks any gateway process."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as client:
        headers = {"Host": f"{service}.localhost"}
        async with client.get(f"http://{running.gateway}{path}", headers=headers) as answer:
            await answer.read()
            return answer.status


async def at_most(running: Running) -> list[int]:
    """Of every replica, the most requests it ever had at the same time; asked directly. One that
    leaves may be gone by then."""
    most = []
    for replica in await running.replicas("web", "ready"):
        async with running.client.get(f"http://{replica['address']}/stats") as answer:
            most.append((await answer.json(content_type=None))["most_asleep"])
    return most


def served_by(running: Running) -> Counter[int]:
    """Established connections of clients, by the process that has them."""
    inodes = {}
    port = int(running.gateway.rpartition(":")[2])
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        facts = line.split()
        if facts[3] == "01" and int(facts[1].partition(":")[2], 16) == port:
            inodes[f"socket:[{facts[9]}]"] = True
    found: Counter[int] = Counter()
    for pid in gateways_of(running):
        for descriptor in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found[pid] += os.readlink(descriptor.path) in inodes
    return found


@contextlib.asynccontextmanager
async def load(
    running: Running, clients: int, path: str, seen: Counter[object]
) -> AsyncIterator[None]:
    """Closed-loop clients, each on fresh connections; `seen` counts what they got."""
    done = asyncio.Event()

    async def client() -> None:
        while not done.is_set():
            try:
                seen[await fresh(running, path)] += 1
            except aiohttp.ClientError as error:
                seen[type(error).__name__] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(), name=f"client {number}")
        try:
            yield
        finally:
            done.set()


async def count_of(running: Running) -> float:
    metrics = (await running.api("/metrics")).body.decode()
    wanted = 'tidegate_requests_total{code="200",service="web"} '
    return sum(float(line[len(wanted) :]) for line in metrics.splitlines() if wanted in line)


async def test_all_processes_serve_and_one_metrics_page_counts_all(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app()}, gateway=MANY)
    async with tidegate(file) as running:
        assert len(gateways_of(running)) == WORKERS
        answers = await asyncio.gather(*(running.get("web", "/sleep?ms=300") for _ in range(100)))
        assert Counter(answer.status for answer in answers) == {200: 100}
        spread = served_by(running)
        assert len(spread) == WORKERS
        assert min(spread.values()) > 0, spread
        assert await count_of(running) == 100


async def test_the_limit_of_a_replica_holds_over_all_processes(tmp_path: Path) -> None:
    """One at a time, though four processes send, and replicas come and go."""
    file = configuration(tmp_path, {"web": limited(1, min=1, max=3)}, gateway=MANY)
    async with tidegate(file) as running:
        await running.get("web")
        seen: Counter[object] = Counter()
        most: list[int] = []

        async def scale(count: int) -> None:
            body = {"replicas": count}
            assert (await running.api("/v1/services/web/scale", "POST", json=body)).status == 200

            async def there() -> bool:
                return len(await running.replicas("web", "ready")) == count

            await running.until(there)

        async with load(running, 16, "/sleep?ms=3", seen):
            for count in (1, 3, 1, 2):
                await scale(count)
                before = seen[200]

                async def goes_on(before: int = before) -> bool:
                    return seen[200] > before + 50

                await running.until(goes_on)
                most += await at_most(running)
        most += await at_most(running)
        assert set(seen) == {200}, seen
        assert set(most) == {1}, most


async def test_killed_processes_leave_no_slot_behind(tmp_path: Path) -> None:
    """Killed at any moment, a process costs only the requests in it; its slots come back."""
    limit, clients, kills = 3, 12, 6
    file = configuration(tmp_path, {"web": limited(limit, min=1, max=1)}, gateway=MANY)
    async with tidegate(file) as running:
        await running.get("web")
        seen: Counter[object] = Counter()
        async with load(running, clients, "/sleep?ms=20", seen):
            for number in range(kills):
                alive = gateways_of(running)
                before = seen[200]
                os.kill(alive[number % len(alive)], signal.SIGKILL)

                async def replaced(before: int = before, dead: int = number) -> bool:
                    told = len(running.said("gateway-died")) > dead
                    return told and len(gateways_of(running)) == WORKERS and seen[200] > before + 50

                await running.until(replaced)
        lost = sum(count for kind, count in seen.items() if kind != 200)
        cut = {"ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError"}
        assert set(seen) <= {200, *cut}, seen
        assert lost <= kills * clients
        # What a killed process had sent may still run in the replica; of the living, never more.
        (replica,) = await running.replicas("web")

        async def all_slots_are_used() -> bool:
            async with running.client.get(f"http://{replica['address']}/stats") as answer:
                asleep = int((await answer.json(content_type=None))["asleep"])
            assert asleep <= limit
            return asleep == limit

        async with load(running, 3 * limit, "/sleep?ms=300", Counter()):
            await running.until(all_slots_are_used)


async def test_one_process_that_is_busy_does_not_starve_another(tmp_path: Path) -> None:
    """Many clients on kept connections in some processes; single ones come in between."""
    file = configuration(tmp_path, {"web": limited(1, min=1, max=1)}, gateway=MANY)
    async with tidegate(file) as running:
        await running.get("web")
        seen: Counter[object] = Counter()
        loop = asyncio.get_running_loop()
        async with load(running, 10, "/sleep?ms=2", seen):
            waits = []
            for _ in range(30):
                begun = loop.time()
                assert await fresh(running) == 200
                waits.append(loop.time() - begun)
        # One that starves waits until the load ends.
        assert max(waits) < 10.0, waits
        assert set(seen) == {200}


async def test_a_reload_changes_the_limit_in_all_processes(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": limited(4, min=1, max=1)}, gateway=MANY)
    async with tidegate(file) as running:
        await running.get("web")
        (replica,) = await running.replicas("web")
        seen: Counter[object] = Counter()

        async def in_flight() -> int:
            async with running.client.get(f"http://{replica['address']}/stats") as answer:
                return int((await answer.json(content_type=None))["asleep"])

        async def limit_is(limit: int) -> None:
            content = yaml.safe_load(file.read_text())
            content["services"]["web"]["concurrency"] = limit
            file.write_text(yaml.safe_dump(content))
            assert (await running.api("/v1/reload", "POST")).status == 200

            async def is_kept() -> bool:
                """As many as may be, and no more: one look alone may find a place that is just
                handed on, while those of a former limit are not all given back."""
                highest = 0
                for _ in range(30):
                    highest = max(highest, await in_flight())
                    await asyncio.sleep(0.01)
                return highest == limit

            await running.until(is_kept)

        async with load(running, 12, "/sleep?ms=50", seen):
            for limit in (2, 6, 1, 3):
                await limit_is(limit)
        assert set(seen) == {200}, seen


async def test_a_limit_may_come_and_go(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": limited(0, min=1, max=1)}, gateway=MANY)
    async with tidegate(file) as running:
        await running.get("web")
        seen: Counter[object] = Counter()
        async with load(running, 8, "/sleep?ms=5", seen):
            for limit in (1, 0, 2, 0, 1):
                content = yaml.safe_load(file.read_text())
                content["services"]["web"]["concurrency"] = limit
                file.write_text(yaml.safe_dump(content))
                assert (await running.api("/v1/reload", "POST")).status == 200
                before = seen[200]

                async def goes_on(before: int = before) -> bool:
                    return seen[200] > before + 30

                await running.until(goes_on)
        assert set(seen) == {200}, seen


async def test_a_drain_waits_for_requests_in_all_processes(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app()}, gateway=MANY)
    async with tidegate(file) as running:
        await running.get("web")
        async with asyncio.TaskGroup() as group:
            slow = [
                group.create_task(running.get("web", "/sleep?ms=5000"), name="slow")
                for _ in range(20)
            ]

            async def in_flight() -> bool:
                # Each process reports about once a second, and they count together.
                return bool((await running.service("web"))["in_flight"] == 20)

            await running.until(in_flight)
            assert await running.end() == 0
        assert {task.result().status for task in slow} == {200}


async def test_auto_is_one_for_each_core(tmp_path: Path) -> None:
    gateway = {"listen": ["127.0.0.1:0"], "workers": "auto"}
    file = configuration(tmp_path, {"web": app()}, gateway=gateway)
    async with tidegate(file) as running:
        assert (await running.get("web")).status == 200
        assert len(gateways_of(running)) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("second", [1, 2])
async def test_a_port_in_use_is_told(tmp_path: Path, second: int) -> None:
    """Also by another Tidegate that would share it."""
    file = configuration(tmp_path, {"web": app()}, gateway={**MANY, "workers": 2})
    async with tidegate(file) as running:
        other = tmp_path / "other"
        other.mkdir()
        taken = {"listen": [running.gateway], "workers": second}
        with pytest.raises(BaseExceptionGroup) as ended:
            async with tidegate(configuration(other, {"web": app()}, gateway=taken)):
                pass
        assert "Address already in use" in repr(ended.value.exceptions)
