"""The whole system while the Docker engine is in trouble: real replicas, real engine.

F11 dockerd restarted and stopped, with and without live restore; F12 slow, 500; F13 events cut; F14
answers lost; F39 removals in progress. The data plane must not notice.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_docker import owner_of, service
from tests.support.docker_engine import App, containers_of, docker_app, docker_engine, engine
from tests.support.faulty_engine import (
    FaultyEngine,
    Frozen,
    Hung,
    Lost,
    Refused,
    Slow,
    faulty_engine,
)
from tests.support.own_engine import own_engine
from tests.support.running import Running, configuration, tidegate

__all__ = ["docker_app", "docker_engine"]
pytestmark = pytest.mark.docker
STEADY = {"scaling": {"min": 2}}


@contextlib.asynccontextmanager
async def behind(
    folder: Path, services: dict[str, Any]
) -> AsyncIterator[tuple[Running, FaultyEngine, str]]:
    """A Tidegate whose engine may be made to fail, and the owner of its containers."""
    async with faulty_engine(folder / "docker.sock") as faulty:
        file = configuration(folder, services, runtime={"docker": {"url": faulty.url}})
        async with tidegate(file) as running:
            yield running, faulty, owner_of(file)


@contextlib.asynccontextmanager
async def under_load(running: Running, name: str = "web") -> AsyncIterator[Counter[int]]:
    """Requests all the while; how often each status was answered. At least 50 are made."""
    counts: Counter[int] = Counter()
    done = asyncio.Event()

    async def ask() -> None:
        while not done.is_set() or counts.total() < 50:
            counts[(await running.get(name)).status] += 1
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(ask(), name=f"client {number}")
        try:
            yield counts
        finally:
            done.set()


async def ready(running: Running, name: str, count: int) -> None:
    async def there() -> bool:
        return len(await running.replicas(name, "ready")) == count

    await running.until(there)


async def agree(running: Running, owner: str, name: str, count: int) -> None:
    """What runs is what is believed to run, and as many as wanted."""

    async def same() -> bool:
        believed = {one["id"] for one in await running.replicas(name, "ready")}
        names = {one.removeprefix(f"/tidegate-{owner}-") for one in await containers_of(owner)}
        return names == believed and len(believed) == count

    await running.until(same, within=60)


async def test_a_create_whose_answer_is_lost_leaves_exactly_one(
    tmp_path: Path, docker_app: App
) -> None:
    async with behind(tmp_path, {"web": service(docker_app)}) as (running, faulty, owner):
        faulty.set("create", Lost(), times=1)
        faulty.set("start", Lost(), times=1)
        answer = await running.get("web")
        assert (answer.status, answer.body[:1]) != (503, b"")
        assert answer.status == 200
        await agree(running, owner, "web", 1)
        assert len(faulty.seen("create")) <= 4


@pytest.mark.parametrize(
    "fault", [Slow(5.0), Hung(), Refused(500), Refused(404, "page not found")], ids=str
)
async def test_the_data_plane_does_not_notice_and_all_is_made_good(
    tmp_path: Path, docker_app: App, fault: Any
) -> None:
    services = {"web": service(docker_app, **STEADY)}
    async with behind(tmp_path, services) as (running, faulty, owner):
        await ready(running, "web", 2)
        before = {one["id"] for one in await running.replicas("web", "ready")}
        calls = len(faulty.calls)
        async with under_load(running) as counts:
            with faulty.on("*", fault):
                faulty.cut_streams()
                await asyncio.sleep(6)
                assert len(faulty.calls) - calls <= 60, "more than ten calls a second"
        assert set(counts) == {200}
        await agree(running, owner, "web", 2)
        assert {one["id"] for one in await running.replicas("web", "ready")} == before


async def test_a_stale_list_kills_nobody_and_brings_nobody_back(
    tmp_path: Path, docker_app: App
) -> None:
    services = {"web": service(docker_app, **STEADY)}
    async with behind(tmp_path, services) as (running, faulty, owner):
        await ready(running, "web", 2)
        async with under_load(running) as counts:
            with faulty.on("list", Frozen()):
                await running.api("/v1/services/web/scale", "POST", json={"replicas": 3})
                await ready(running, "web", 3)
                faulty.cut_streams()  # it looks again
                await asyncio.sleep(3)
                assert len(await running.replicas("web", "ready")) == 3
        assert set(counts) == {200}
        await agree(running, owner, "web", 3)


async def test_a_crash_while_the_events_are_cut_is_found_when_they_are_back(
    tmp_path: Path, docker_app: App
) -> None:
    async with behind(tmp_path, {"web": service(docker_app, **STEADY)}) as (running, faulty, owner):
        await ready(running, "web", 2)
        async with faulty.away():
            async with engine() as docker:
                victims = await docker.containers.list(
                    filters={"label": [f"tidegate.owner={owner}"]}
                )
                await victims[0].kill()
            async with under_load(running) as counts:
                await asyncio.sleep(1)
            assert set(counts) == {200}
        await agree(running, owner, "web", 2)


async def test_a_removal_in_progress_is_done(tmp_path: Path, docker_app: App) -> None:
    """F39."""
    async with behind(tmp_path, {"web": service(docker_app)}) as (running, faulty, owner):
        assert (await running.get("web")).status == 200
        words = "removal of container x is already in progress"
        with faulty.on("remove", Refused(409, words), times=1):
            await running.api("/v1/services/web/scale", "POST", json={"replicas": 0})

            async def gone() -> bool:
                return not await running.replicas("web")

            await running.until(gone)
        assert not running.said("stop-failed")
        for name in await containers_of(owner):  # the engine was not asked in truth
            async with engine() as docker:
                await docker.containers.container(name.removeprefix("/")).delete(force=True)


@pytest.mark.parametrize("live_restore", [True, False], ids=["live-restore", "plain"])
async def test_an_engine_that_is_restarted_under_load(
    tmp_path: Path, docker_engine: str, live_restore: bool
) -> None:
    """F11. With live restore nobody notices; without it the engine takes all replicas with it, and
    requests wait until there are new ones."""
    async with own_engine(live_restore=live_restore) as own:
        app = await own.build_app()
        services = {"web": service(app, **STEADY), "asleep": service(app)}
        runtime = {"docker": {"url": own.url}}
        file = configuration(tmp_path, services, runtime=runtime)
        async with tidegate(file) as running:
            await ready(running, "web", 2)
            before = {one["id"] for one in await running.replicas("web", "ready")}
            async with under_load(running) as counts, asyncio.TaskGroup() as group:
                await own.stop()
                woken = group.create_task(running.get("asleep"), name="a request meanwhile")
                await asyncio.sleep(1)
                await own.start()
                await ready(running, "web", 2)
            after = {one["id"] for one in await running.replicas("web", "ready")}
            assert woken.result().status == 200
            assert (after == before) is live_restore
            # 502: both had ended before the engine told of it.
            assert set(counts) <= ({200} if live_restore else {200, 502}), counts
            assert counts[502] <= 20


async def test_a_killed_engine_costs_nothing_that_runs(tmp_path: Path, docker_engine: str) -> None:
    async with own_engine(live_restore=True) as own:
        app = await own.build_app()
        runtime = {"docker": {"url": own.url}}
        file = configuration(tmp_path, {"web": service(app, **STEADY)}, runtime=runtime)
        async with tidegate(file) as running:
            await ready(running, "web", 2)
            async with under_load(running) as counts:
                await own.kill()
                await asyncio.sleep(3)
                assert running.said("engine-away")
                await own.start()
                await running.until(lambda: _is_back(running))
            assert set(counts) == {200}
            assert not running.said("replica-failed")


async def _is_back(running: Running) -> bool:
    return bool(running.said("engine-back"))
