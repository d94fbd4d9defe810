"""Engines that own the count: the whole control plane on virtual time."""

import asyncio

import pytest

from cluster.lifecycle import State
from config.scaling import Idle, Scaling
from tests.cluster.builders import a_service
from tests.support.control_world import control_world
from tests.support.virtual_time import run


def scaled(**changes: object) -> Scaling:
    return Scaling().model_copy(update=changes)


@pytest.mark.parametrize("choose_victim", [True, False])
def test_an_engine_that_owns_the_count_is_told_numbers(choose_victim: bool) -> None:
    """Swarm, Kubernetes, Nomad and ECS place by themselves (runtime port, second kind)."""

    async def story() -> None:
        service = a_service(scaling=scaled(idle=Idle(stop_after=120.0)))
        async with control_world(service, counted=True, choose_victim=choose_victim) as world:
            world.wake()
            await world.until(lambda: world.ready() == 1, within=1)
            world.scaler.scale("web", 4, None, 0)
            await world.until(lambda: world.ready() == 4, within=5)
            world.scaler.scale("web", 2, None, 0)
            await world.until(lambda: len(world.running()) == 2, within=5)
            await world.until(lambda: world.ready() == 2, within=5)
            world.scaler.automatic("web")
            await world.until(lambda: not world.running(), within=300)
            await world.until(lambda: not world.replicas(), within=5)
            world.wake()
            await world.until(lambda: world.ready() == 1, within=5)

    run(story())


def test_an_engine_that_owns_the_count_replaces_what_crashed() -> None:
    async def story() -> None:
        service = a_service(scaling=scaled(min=2))
        async with control_world(service, counted=True) as world:
            await world.until(lambda: world.ready() == 2, within=5)
            world.engine.crash(world.running()[0])
            await world.until(lambda: world.ready() == 1, within=5)
            await world.until(lambda: world.ready() == 2, within=60)
            assert len(world.running()) == 2

    run(story())


def test_of_those_that_can_be_spared_the_engine_takes_the_drained() -> None:
    async def story() -> None:
        service = a_service(scaling=scaled(min=0))
        async with control_world(service, counted=True) as world:
            world.scaler.scale("web", 2, None, 0)
            await world.until(lambda: world.ready() == 2, within=5)
            busy = world.replicas()[1].id
            world.holding.add(busy)
            world.scaler.scale("web", 1, None, 0)
            await world.until(lambda: world.replicas(State.DRAINING), within=5)
            await asyncio.sleep(10)
            assert len(world.running()) == 2, "its last request has not ended"
            world.release("web", busy)
            await world.until(lambda: len(world.running()) == 1, within=5)
            assert world.running() != [busy]

    run(story())
