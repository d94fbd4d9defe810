"""F24: the wall clock jumps by an hour, forth and back. Nothing that is measured in time moves.

The real clock of a machine cannot be set for a test; what reads it is handed a clock that jumps.
"""

import asyncio
from collections.abc import Callable

import pytest

from cluster.lifecycle import State
from config.scaling import Idle, Scaling
from tests.cluster.builders import a_service
from tests.support.control_world import control_world
from tests.support.virtual_time import run

HOUR = 3600.0


class JumpingClock:
    """The loop's time, shifted now and then."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.shift = 1_700_000_000.0

    def __call__(self) -> float:
        return self.clock() + self.shift


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forth", "back"])
def test_a_jump_of_the_wall_clock_scales_stops_and_restarts_nothing(jump: float) -> None:
    async def story() -> None:
        wall = JumpingClock(asyncio.get_running_loop().time)
        idle = Idle(stop_after=60.0)
        service = a_service(scaling=Scaling().model_copy(update={"min": 2, "idle": idle}))
        async with control_world(service, wall=wall) as world:
            await asyncio.sleep(35)
            before = [(one.id, one.state) for one in world.replicas()]
            assert [state for _, state in before] == [State.READY] * 2
            for shift in (jump, -jump, jump):
                wall.shift += shift
                await asyncio.sleep(120)
                assert [(one.id, one.state) for one in world.replicas()] == before
                assert world.registry.desired("web").replicas == 2
            world.engine.crash(before[0][0])
            await asyncio.sleep(0.5)
            assert len(world.running()) == 2, "a wait that the jump made longer"

    run(story())


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forth", "back"])
def test_a_jump_of_the_wall_clock_neither_hastens_nor_delays_sleep(jump: float) -> None:
    async def story() -> None:
        wall = JumpingClock(asyncio.get_running_loop().time)
        scaling = Scaling().model_copy(update={"idle": Idle(stop_after=60.0)})
        async with control_world(a_service(scaling=scaling), wall=wall) as world:
            world.wake()
            await world.until(world.ready)
            world.load(1.0)
            world.load(0.0)
            await asyncio.sleep(20)
            wall.shift += jump
            await asyncio.sleep(30)
            assert world.ready() == 1
            await asyncio.sleep(15)
            assert not world.running()

    run(story())
