"""F24: the wall clock jumps by an hour, forth and back. Nothing that is measured in time moves.

The real clock of a machine cannot be set for a test; what reads it is handed a clock that jumps.
"""

import asyncio
import random
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.metrics import AutoscalerMetrics
from autoscaler.scaler import Scaler
from cluster.courses import Courses
from cluster.discovery import Discovery
from cluster.endpoints import StaticEndpoints
from cluster.events import Events
from cluster.failures import Failures
from cluster.lifecycle import Event, State
from cluster.metrics import ClusterMetrics
from cluster.placing import Placing
from cluster.reconciler import Reconciler
from cluster.registry import Registry
from cluster.rollouts import Rollouts
from cluster.tasks import Tasks
from config.scaling import Idle, Scaling
from runtimes.simulated import SimulatedRuntime
from runtimes.simulated_engine import SimulatedEngine
from tests.cluster.builders import a_service
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
        loop = asyncio.get_running_loop()
        wall = JumpingClock(loop.time)
        registry, events, collectors = Registry(), Events(wall), CollectorRegistry()
        metrics = ClusterMetrics(collectors)
        engine, rng = SimulatedEngine(), random.Random(1)
        runtime = SimulatedRuntime("us", engine)
        failures = Failures(registry, events, metrics, loop.time)
        idle = Idle(stop_after=60.0)
        service = a_service(scaling=Scaling().model_copy(update={"min": 2, "idle": idle}))
        async with Tasks() as tasks:
            placing = Placing(
                registry, runtime, tasks, failures, events, metrics, loop.time, wall,
                lambda name: f"{name}-{rng.getrandbits(24):06x}",
            )  # fmt: skip
            scaler = Scaler(registry, events, loop.time, wall, AutoscalerMetrics(collectors))
            reconciler = Reconciler(
                registry,
                placing,
                StaticEndpoints(registry, loop.time, wall),
                failures,
                lambda name: {},
                Rollouts(registry, events, metrics, failures, Courses(None, events), loop.time),
            )
            discovery = Discovery(
                registry, runtime, failures, events, metrics, loop.time,
                adopt=scaler.adopt, discard=placing.discard,
            )  # fmt: skip
            registry.configure({"web": service})
            scaler.configure({"web": service})
            await discovery.sync()
            reconciler.begin()
            tasks.start(discovery.run(), "discovery")
            tasks.start(scaler.run(), "autoscaler")
            await asyncio.sleep(5)
            for replica in registry.replicas("web"):
                registry.advance(replica.id, Event.PASSED, "", loop.time())
            await asyncio.sleep(30)
            before = [(one.id, one.state) for one in registry.replicas("web")]
            assert [state for _, state in before] == [State.READY] * 2
            for shift in (jump, -jump, jump):
                wall.shift += shift
                await asyncio.sleep(120)
                assert [(one.id, one.state) for one in registry.replicas("web")] == before
                assert registry.desired("web").replicas == 2
            engine.crash(before[0][0])
            await asyncio.sleep(0.5)
            assert len(list(engine.running())) == 2, "a wait that the jump made longer"
            reconciler.halt()

    run(story())
