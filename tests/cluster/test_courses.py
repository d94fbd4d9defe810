"""What is remembered of revisions, across restarts of Tidegate."""

import asyncio
import os
from pathlib import Path

from cluster.rollout import Phase
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.support.control_world import control_world, reconfigure
from tests.support.rollout_world import CRASHES, names, phase, proven, settled, web
from tests.support.virtual_time import run


def test_what_was_rolled_back_stays_so_when_tidegate_is_restarted(tmp_path: Path) -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(web(), engine=engine, state=tmp_path) as world:
            await proven(world, web())
            engine.script("web", CRASHES)
            reconfigure(world, web("bad"))
            await world.until(lambda: phase(world) is Phase.ROLLED_BACK)
            await settled(world, web())
            before = names(world)
        engine.script("web", Behaviour())
        async with control_world(web("bad"), engine=engine, state=tmp_path, seed=8) as world:
            await world.until(lambda: world.ready() == 2)
            assert phase(world) is Phase.ROLLED_BACK
            await asyncio.sleep(600)
            assert names(world) == before, "adopted, not restarted"
            world.engine.crash(min(before))
            await settled(world, web())
            reconfigure(world, web("good"))
            await settled(world, web("good"))

    run(story())
    assert (tmp_path / "web.json").stat().st_mode & 0o077 == 0, "it holds the environment"


def test_a_restart_goes_on_after_one_of_tidegate_and_is_not_begun_anew(tmp_path: Path) -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(web(least=3), engine=engine, state=tmp_path) as world:
            await proven(world, web(), 3)
            before = names(world)
            world.rollouts.restart(world.registry.specs["web"])
            await world.until(lambda: len(names(world) - before) == 1)
            (first,) = names(world) - before
        async with control_world(web(least=3), engine=engine, state=tmp_path, seed=8) as world:
            await world.until(lambda: phase(world) is Phase.RESTARTING)
            await world.until(lambda: phase(world) is None)
            await settled(world, web(), 3)
            assert not names(world) & before
            assert first in names(world), "it was new already"
        async with control_world(web(least=3), engine=engine, state=tmp_path, seed=9) as world:
            after = {replica.id for replica in world.replicas()}
            await asyncio.sleep(600)
            assert names(world) == after

    run(story())


def test_a_state_that_cannot_be_read_or_written_is_told_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "web.json").write_text("{")
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(web(), engine=engine, state=tmp_path) as world:
            await proven(world, web())
            assert len(world.happened("state-unreadable")) == 1
        blocked = tmp_path / "file"
        blocked.write_text("")
        async with control_world(web(), engine=engine, state=blocked, seed=8) as world:
            await proven(world, web())
            reconfigure(world, web("green"))
            await proven(world, web("green"))
            assert len(world.happened("state-not-written")) == 1

    run(story())


def test_nothing_is_remembered_of_a_service_that_is_gone(tmp_path: Path) -> None:
    async def story() -> None:
        async with control_world(web(), state=tmp_path) as world:
            await proven(world, web())
            assert os.listdir(tmp_path) == ["web.json"]
            reconfigure(world)
            assert not os.listdir(tmp_path)

    run(story())
