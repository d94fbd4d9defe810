"""What another service waits for as completed, such as a migration: it runs once for each wake.

The whole control plane on virtual time; as Compose's `service_completed_successfully`.
"""

import asyncio

import pytest

from cluster.lifecycle import State
from config.service import Service
from runtimes.simulated_engine import SimulatedEngine
from tests.support.control_world import control_world, reconfigure
from tests.support.linked_services import (
    Beginnings,
    linked,
    now,
    once,
    scripted,
    used,
)
from tests.support.virtual_time import run


def migrated(*, web_stop: float = 10.0) -> tuple[Service, ...]:
    return (linked("web", "migrate:completed", stop_after=web_stop), linked("migrate"))


def test_a_one_shot_runs_once_and_is_not_a_crash_loop() -> None:
    engine = scripted(migrate=once(3))

    async def story() -> None:
        async with control_world(*migrated(web_stop=1000.0), engine=engine) as world:
            began = Beginnings(world)
            world.wake("web")
            await world.until(lambda: world.ready("web"), within=10)
            world.scaler.scale("web", 4, 60, now())
            await asyncio.sleep(500)
            assert began["migrate"] == pytest.approx(0, abs=0.01)
            assert len(world.happened("replica-completed")) == 1
            assert world.happened("replica-failed") == []
            assert world.registry.completed("migrate") is not None
            assert [specimen.instance.service for specimen in engine.running()] == ["web"]
            assert len(engine.owned("us")) == 1, "what ended is taken away"

    run(story())


def test_a_one_shot_is_not_probed_to_death() -> None:
    """It listens nowhere: the startup deadline of 60 s is not for it."""
    engine = scripted(migrate=once(300))

    async def story() -> None:
        async with control_world(*migrated(), engine=engine) as world:
            began = Beginnings(world)
            world.wake("web")
            for _ in range(300):
                world.wake("web")
                await asyncio.sleep(1)
            await world.until(lambda: world.ready("web"), within=10)
            assert began["migrate"] == pytest.approx(0, abs=0.01)
            assert began["web"] == pytest.approx(300, abs=1)

    run(story())


def test_a_one_shot_runs_again_with_each_wake() -> None:
    """As with each `docker compose up`."""
    engine = scripted(migrate=once(3))

    async def story() -> None:
        async with control_world(*migrated(), engine=engine) as world:
            began = Beginnings(world)
            for times in (1, 2):
                world.wake("web")
                await world.until(lambda: world.ready("web"), within=10)
                assert len(began.of["migrate"]) == times
                used(world)
                await world.until(lambda: not world.running())
                await world.until(lambda: not world.registry.desired("migrate").replicas)

    run(story())


def test_a_new_revision_of_a_one_shot_runs_again() -> None:
    engine = scripted(migrate=once(3))

    async def story() -> None:
        web, migrate = migrated(web_stop=1000.0)
        async with control_world(web, migrate, engine=engine) as world:
            began = Beginnings(world)
            world.wake("web")
            await world.until(lambda: world.ready("web"), within=10)
            reconfigure(world, web, migrate.model_copy(update={"command": ("up", "--v2")}))
            await asyncio.sleep(20)
            assert len(began.of["migrate"]) == 2
            assert len(began.of["web"]) == 1

    run(story())


def test_a_one_shot_that_fails_is_tried_again_and_told() -> None:
    engine = SimulatedEngine()
    engine.script("migrate", once(0.5, code=3), once(0.5, code=3), once(0.5))

    async def story() -> None:
        async with control_world(*migrated(), engine=engine) as world:
            began = Beginnings(world)
            world.wake("web")
            await world.until(lambda: world.registry.snapshot("web").trouble, within=10)
            told = world.registry.snapshot("web").trouble
            assert told is not None
            assert "migrate, which it needs, has failed: exited with code 3" in told.message
            world.wake("web")
            await world.until(lambda: world.ready("web"), within=10)
            assert len(began.of["migrate"]) == 3
            assert world.registry.trouble("migrate") is None
            assert world.registry.trouble("web") is None

    run(story())


def test_half_of_a_migration_is_not_cut_off_by_sleep() -> None:
    engine = scripted(migrate=once(300))

    async def story() -> None:
        shop = (linked("web", "migrate:completed"), linked("migrate", stop_after=1.0))
        async with control_world(*shop, engine=engine) as world:
            world.wake("web")
            await asyncio.sleep(5)
            used(world)  # whoever asked has left
            await asyncio.sleep(200)
            assert world.registry.desired("migrate").replicas == 0
            assert len(world.running()) == 1
            assert world.replicas(State.STARTING, service="migrate")
            await world.until(lambda: not world.running(), within=150)
            assert now() == pytest.approx(300, abs=1)
            assert world.registry.completed("migrate") is None, "the next wake runs it again"

    run(story())
