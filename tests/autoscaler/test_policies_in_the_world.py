"""Each policy with the production scaler, reconciler and prober around it, in virtual time."""

import asyncio

import pytest

from config.service import Service
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.support.control_world import control_world
from tests.support.virtual_time import run

STARTS_IN = 3.0


@pytest.mark.parametrize(
    ("policy", "up_within", "down_after"),
    [
        # from the first request to five ready replicas, and from the last one to none
        ("tidegate", (9.0, 14.0), (60.0, 61.0)),
        ("kpa", (6.0, 9.0), (90.0, 94.0)),
        ("hpa", (18.0, 34.0), (300.0, 301.0)),
        # one is left when 600 s of wishing for fewer are over, and none as long after it
        ("ray", (33.0, 62.0), (1200.0, 1270.0)),
    ],
)
def test_from_zero_to_five_and_back(
    policy: str, up_within: tuple[float, float], down_after: tuple[float, float]
) -> None:
    async def steps() -> tuple[float, float, int]:
        clock = asyncio.get_running_loop().time
        scaling = {"policy": policy, "max": 50}
        web = Service.model_validate({"name": "web", "command": ("serve",), "scaling": scaling})
        engine = SimulatedEngine(Behaviour(listens_after=STARTS_IN))
        async with control_world(web, engine=engine) as world:
            begun, reached = clock(), 0.0
            world.wake()
            for _ in range(200):
                await asyncio.sleep(1)
                world.load(42)
                if world.ready() == 5 and not reached:
                    reached = clock() - begun
            await asyncio.sleep(1)
            world.load(0)
            ended, most = clock() - 1, world.ready()
            while world.running():  # noqa: ASYNC110 (on virtual time)
                await asyncio.sleep(0.05)
            return reached, clock() - ended, most

    reached, slept, most = run(steps())
    assert up_within[0] <= reached <= up_within[1]
    assert down_after[0] <= slept <= down_after[1]
    assert most == 5
