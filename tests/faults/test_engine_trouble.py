"""The Docker engine is restarted, is away for long, or is slow (faults F11, F12, F31): the data
path goes on without it. Engines of the tests' own: the one that others use is left alone."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.ground import Containers, until_ready
from tests.faults.judge import NOTHING, ONLY_UNSAFE
from tests.faults.mode import LONG
from tests.faults.scenario import Stage, staged
from tests.support.docker_engine import App
from tests.support.faulty_engine import FaultyEngine, Slow, faulty_engine
from tests.support.own_engine import OwnEngine, own_engine

pytestmark = pytest.mark.docker
AWAY = 20.0 if LONG else 3.0
SLOW = 5.0 if LONG else 1.0
TWO = {"min": 2, "max": 5}


@pytest.fixture
async def engine_of_ours(docker_engine: str) -> AsyncIterator[OwnEngine]:
    """One whose containers run on while it is away."""
    if os.geteuid() != 0:
        pytest.skip("an engine of its own needs root")
    async with own_engine(live_restore=True) as own:
        yield own


@pytest.mark.parametrize("away", [0.0, AWAY], ids=["restarted", "stopped"])
async def test_the_engine_is_away(tmp_path: Path, engine_of_ours: OwnEngine, away: float) -> None:
    own = engine_of_ours
    app = await own.build_app()
    ground = Containers(tmp_path, app, url=own.url, runtime={"docker": {"url": own.url}})
    fault = "engine-stopped" if away else "engine-restarted"
    web = ground.service(scaling=TWO)
    async with staged(ground, fault, NOTHING, {"web": web}) as stage:
        loop = asyncio.get_running_loop()
        before = [one["id"] for one in await stage.running.replicas("web")]
        async with stage.loaded():
            at = loop.time()
            await own.stop()
            heard = await stage.watch.first("engine-away", since=at)
            stage.detected.append(heard.at - at)
            stage.amount = f"{away:g} s"
            await asyncio.sleep(away)
            back = loop.time()
            await own.start()
            heard = await stage.watch.first("engine-back", since=at)
            stage.notes.append(f"noticed that it is back after {heard.at - back:.1f} s")
            await stage.calm(1)
        assert [one["id"] for one in await stage.running.replicas("web")] == before


async def test_the_engine_is_slow(tmp_path: Path, docker_app: App) -> None:
    """Each call takes seconds: a killed one gets no requests all the same, its successor comes."""
    async with faulty_engine(tmp_path / "docker.sock") as slow:
        runtime = {"docker": {"url": slow.url}}
        ground = Containers(tmp_path, docker_app, runtime=runtime)
        web = ground.service(scaling=TWO)
        async with staged(ground, "engine-slow", ONLY_UNSAFE, {"web": web}) as stage:
            await with_slow_calls(stage, slow)


async def with_slow_calls(stage: Stage, slow: FaultyEngine) -> None:
    loop = asyncio.get_running_loop()
    async with stage.loaded():
        victim = (await until_ready(stage.running, 2))[0]
        pid = await stage.ground.pid(stage.running, victim)
        stage.amount = f"{SLOW:g} s"
        with slow.on("*", Slow(SLOW)):
            await stage.calm(1)
            at = loop.time()
            os.kill(pid, signal.SIGKILL)
            await stage.times_of(victim, at)
        await until_ready(stage.running, 2)
