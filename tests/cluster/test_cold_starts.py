"""How long starts took, as the metric tells it: the whole control plane on virtual time."""

from functools import partial

import pytest

from config.scaling import Idle, Scaling
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.cluster.builders import a_service
from tests.support.control_world import ControlWorld, control_world
from tests.support.virtual_time import run

PHASES = ("start", "ready", "total")


def engine() -> SimulatedEngine:
    return SimulatedEngine(Behaviour(start_delay=0.4, listens_after=1.5))


def told(world: ControlWorld, phase: str) -> tuple[float, float]:
    """How many, and their seconds in all."""
    labels = {"service": "web", "phase": phase}
    name = "tidegate_cold_start_seconds"
    count = world.collectors.get_sample_value(name + "_count", labels) or 0.0
    return count, world.collectors.get_sample_value(name + "_sum", labels) or 0.0


def test_each_phase_of_a_start_is_told() -> None:
    async def story() -> None:
        async with control_world(a_service("web"), engine=engine()) as world:
            world.wake()
            await world.until(world.ready)
            counts, seconds = zip(*map(partial(told, world), PHASES), strict=True)
            assert counts == (1, 1, 1)
            assert seconds == pytest.approx((0.4, 1.5, 1.9), abs=0.2)
            assert seconds[2] == pytest.approx(seconds[0] + seconds[1])

    run(story())


def test_the_wait_for_a_place_is_part_of_the_total() -> None:
    async def story() -> None:
        service = a_service("web", scaling=Scaling(min=2, max=2))
        async with control_world(service, engine=engine(), starts=1) as world:
            await world.until(lambda: world.ready() == 2)
            counts, seconds = zip(*map(partial(told, world), PHASES), strict=True)
            assert counts == (2, 2, 2)
            assert seconds[2] > seconds[0] + seconds[1] + 0.4

    run(story())


def test_what_was_kept_and_is_started_again_counts_too() -> None:
    async def story() -> None:
        idle = Idle(stop_after=5.0, remove_after=600.0)
        async with control_world(
            a_service("web", scaling=Scaling(idle=idle)), engine=engine()
        ) as world:
            world.wake()
            await world.until(world.ready)
            await world.until(lambda: not world.ready())
            world.wake()
            await world.until(world.ready)
            assert told(world, "total")[0] == 2

    run(story())


def test_what_is_found_running_counts_as_no_start() -> None:
    async def story() -> None:
        behaviour = Behaviour(start_delay=0.4, listens_after=1.5)
        shared = SimulatedEngine(behaviour)
        web = a_service("web", scaling=Scaling(min=1))
        async with control_world(web, engine=shared) as world:
            await world.until(world.ready)
        async with control_world(web, engine=shared) as world:
            await world.until(world.ready)
            assert told(world, "total") == (0, 0)

    run(story())
