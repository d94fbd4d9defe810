"""Who takes over while the engine does not answer knows no replica, and those before it do.

Source: reliability F11 (engine stopped), F16 (kill -9 with replicas running), F18 (upgrade).
"""

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.e2e.test_docker import service
from tests.e2e.test_engine_trouble import STEADY, ready, under_load
from tests.e2e.test_upgrade import refused, upgradable
from tests.support.docker_engine import App, docker_app, docker_engine
from tests.support.faulty_engine import FaultyEngine, faulty_engine
from tests.support.running import Running, configuration, tidegate

__all__ = ["docker_app", "docker_engine"]
pytestmark = pytest.mark.docker


def file_of(folder: Path, docker_app: App, faulty: FaultyEngine) -> Path:
    return configuration(
        folder,
        {"web": service(docker_app, **STEADY)},
        runtime={"docker": {"url": faulty.url}},
        gateway={"listen": ["127.0.0.1:0"], "workers": 2},
        orphan_timeout="60s",
    )


async def names(running: Running) -> set[str]:
    return {one["id"] for one in await running.replicas("web", "ready")}


async def test_an_upgrade_is_refused_and_all_stays_as_it_was(
    tmp_path: Path, docker_app: App
) -> None:
    async with (
        faulty_engine(tmp_path / "docker.sock") as faulty,
        upgradable(file_of(tmp_path, docker_app, faulty)) as line,
    ):
        running = line.running
        await ready(running, "web", 2)
        before = await names(running)
        async with under_load(running) as counts:
            async with faulty.away():
                await refused(line, "the engine does not answer")
                assert (await running.get("web")).status == 200
            assert await names(running) == before
            await line.succeed()
        assert set(counts) == {200}, counts
        assert await names(running) == before


async def test_after_a_crash_the_gateways_serve_until_the_engine_answers(
    tmp_path: Path, docker_app: App
) -> None:
    async with faulty_engine(tmp_path / "docker.sock") as faulty:
        file = file_of(tmp_path, docker_app, faulty)
        async with tidegate(file) as first, contextlib.AsyncExitStack() as later:
            await ready(first, "web", 2)
            before = await names(first)
            await first.kill()
            gone, back = asyncio.Event(), asyncio.Event()

            async def away() -> None:
                async with faulty.away():
                    gone.set()
                    await asyncio.sleep(5)
                    back.set()

            async with under_load(first) as counts, asyncio.TaskGroup() as group:
                group.create_task(away(), name="the engine is away")
                await gone.wait()
                second = await later.enter_async_context(tidegate(file))
                assert back.is_set()
                await ready(second, "web", 2)
            assert set(counts) == {200}, counts
            assert await names(second) == before
