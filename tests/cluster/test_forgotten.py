"""What leaves the file takes its troubles and accounts with it.

The whole control plane on virtual time.
"""

import asyncio

from config.scaling import Idle, Scaling
from config.service import Service
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.cluster.builders import a_service
from tests.support.control_world import ControlWorld, control_world, reconfigure
from tests.support.rollout_world import CRASHES
from tests.support.virtual_time import run

OTHER = a_service("other")


def wanted(name: str = "web") -> Service:
    return a_service(name, scaling=Scaling().model_copy(update={"min": 1}))


def troubles(world: ControlWorld) -> list[str]:
    return [
        sample.labels["code"]
        for metric in world.collectors.collect()
        if metric.name == "tidegate_trouble"
        for sample in metric.samples
    ]


def test_a_service_in_trouble_that_leaves_the_file_is_in_none_any_more() -> None:
    engine = SimulatedEngine(CRASHES)

    async def story() -> None:
        async with control_world(wanted(), OTHER, engine=engine) as world:
            await asyncio.sleep(60)
            assert troubles(world) == ["crash-looping"]
            reconfigure(world, OTHER)
            await asyncio.sleep(60)
            assert troubles(world) == []
            assert world.registry.trouble("web") is None
            engine.script("web", Behaviour(listens_after=5.0))
            reconfigure(world, wanted(), OTHER)
            assert world.registry.snapshot("web").trouble is None
            await world.until(lambda: world.ready() == 1, within=6)

    run(story())


def test_a_trouble_of_what_nobody_wants_any_more_raises_no_alarm() -> None:
    engine = SimulatedEngine(CRASHES)

    async def story() -> None:
        idle = Scaling().model_copy(update={"idle": Idle(stop_after=30.0)})
        async with control_world(a_service(scaling=idle), engine=engine) as world:
            world.wake()
            await asyncio.sleep(10)
            assert troubles(world) == ["crash-looping"]
            await world.until(lambda: not world.registry.desired("web").replicas)
            await asyncio.sleep(1)
            assert troubles(world) == []

    run(story())


def test_what_the_engine_missed_is_forgotten_with_the_service() -> None:
    async def story() -> None:
        async with control_world(wanted(), OTHER) as world:
            await world.until(lambda: world.ready() == 1)
            world.engine.break_down()
            reconfigure(world, wanted("new"), OTHER)
            await asyncio.sleep(30)
            assert troubles(world) == ["engine-unavailable"]
            reconfigure(world, OTHER)
            await asyncio.sleep(30)
            assert troubles(world) == []
            assert world.registry.trouble("new") is None

    run(story())


def test_what_was_measured_of_a_service_goes_with_it() -> None:
    engine = SimulatedEngine(Behaviour(memory=50 * 2**20))

    async def story() -> None:
        async with control_world(wanted(), OTHER, engine=engine, memory=2**30) as world:
            await asyncio.sleep(30)
            labels = {"kind": "taken"}
            assert (
                world.collectors.get_sample_value("tidegate_host_memory_bytes", labels)
                == 50 * 2**20
            )
            reconfigure(world, OTHER)
            await asyncio.sleep(30)
            assert world.host._measured == {}

    run(story())
