"""Sampling on the whole control plane, on virtual time and the simulated engine."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from autoscaler.consumption import EVERY
from autoscaler.sampler import Sampler
from cluster.model import Usage
from cluster.runtime import RuntimeFailure
from cluster.tasks import Tasks
from config.rules import CpuRule, MemoryRule
from config.scaling import Idle
from config.service import Resources, Service
from runtimes.simulated import SimulatedRuntime
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.support.control_world import ControlWorld, control_world, reconfigure
from tests.support.scaling_facts import service
from tests.support.scaling_plane import in_time

CPU = CpuRule(metric="cpu", target=0.8)


class Usages:
    """The simulated runtime's usage, with a note of each call."""

    def __init__(self, engine: SimulatedEngine) -> None:
        self.runtime = SimulatedRuntime("us", engine)
        self.calls: list[tuple[float, int]] = []
        self.failure: RuntimeFailure | None = None

    async def __call__(self, instances: Sequence[str]) -> Mapping[str, Usage]:
        self.calls.append((asyncio.get_running_loop().time(), len(instances)))
        if self.failure:
            raise self.failure
        return await self.runtime.usage(instances)


@contextlib.asynccontextmanager
async def sampled(
    *services: Service, behaviour: Behaviour | None = None
) -> AsyncIterator[tuple[ControlWorld, Usages]]:
    engine = SimulatedEngine(behaviour or Behaviour(cpu=0.9))
    clock = asyncio.get_running_loop().time
    async with control_world(*services, engine=engine) as world, Tasks() as tasks:
        usages = Usages(engine)
        sampler = Sampler(world.registry, usages, world.scaler.measured, tasks, clock)
        world.registry.configure(world.registry.specs)
        yield world, usages
        sampler.close()


def test_burning_replicas_ask_for_more_until_there_are_enough() -> None:
    """Each of them burns 0.9 cores at a target of 0.8: there are never enough, but `max`."""

    async def steps() -> None:
        web = service(min=1, max=4, rules=[CPU])
        async with sampled(web) as (world, _):
            await world.until(lambda: world.ready() == 4)
            reasons = [one.reason for one in world.scaler.decisions("web")]
            assert any(
                reason.startswith("cpu 0.9 at 0.8 per replica asks for 2") for reason in reasons
            )

    in_time(steps)


def test_replicas_with_little_to_do_go() -> None:
    async def steps() -> None:
        web = service(min=0, max=9, initial=4, rules=[CPU], idle=Idle(stop_after=None))
        async with sampled(web, behaviour=Behaviour(cpu=0.3)) as (world, _):
            world.wake()
            await world.until(lambda: world.ready() == 4)
            world.load(0)
            # 4 x 0.3 are 1.2: two replicas; then 2 x 0.3: one.
            await world.until(lambda: world.ready() == 1)

    in_time(steps)


def test_memory_is_a_share_of_its_limit() -> None:
    async def steps() -> None:
        rule = MemoryRule(metric="memory", target=0.5)
        web = service(min=1, max=3, rules=[rule]).model_copy(
            update={"resources": Resources(memory=100)}
        )
        async with sampled(web, behaviour=Behaviour(memory=90)) as (world, _):
            await world.until(lambda: world.ready() == 3)

    in_time(steps)


def test_nothing_is_sampled_without_such_a_rule() -> None:
    async def steps() -> None:
        async with sampled(service(min=2)) as (world, usages):
            await world.until(lambda: world.ready() == 2)
            await asyncio.sleep(60)
            assert usages.calls == []

    in_time(steps)


def test_all_services_are_sampled_by_one_call_and_only_while_awake() -> None:
    async def steps() -> None:
        rules = [CpuRule(metric="cpu", target=1.0)]
        one = service("one", rules=rules, idle=Idle(stop_after=30.0))
        other = service("other", rules=rules, idle=Idle(stop_after=30.0))
        async with sampled(one, other, behaviour=Behaviour(cpu=0.1)) as (world, usages):
            await asyncio.sleep(60)
            assert usages.calls == []
            world.wake("one")
            world.wake("other")
            await world.until(lambda: len(usages.calls) == 4)
            assert [count for _, count in usages.calls[1:]] == [2, 2, 2]
            moments = [at for at, _ in usages.calls]
            assert moments[3] - moments[0] == pytest.approx(3 * EVERY)
            await world.until(lambda: not world.running())
            asleep = len(usages.calls)
            await asyncio.sleep(600)
            assert len(usages.calls) == asleep, "asleep it costs nothing"

    in_time(steps)


def test_a_runtime_that_fails_holds_the_number_and_is_asked_again() -> None:
    async def steps() -> None:
        web = service(max=9, initial=3, rules=[CPU], idle=Idle(stop_after=None))
        async with sampled(web, behaviour=Behaviour(cpu=0.1)) as (world, usages):
            usages.failure = RuntimeFailure("engine-unavailable", "the engine is away")
            world.wake()
            await world.until(lambda: world.ready() == 3)
            world.load(0)
            await asyncio.sleep(300)
            assert world.ready() == 3
            (newest, *_) = world.scaler.decisions("web")
            assert "cpu has no value (the engine is away): holds 3" in newest.reason
            usages.failure = None
            await world.until(lambda: world.ready() == 1)

    in_time(steps)


def test_a_rule_that_comes_with_a_reload_is_sampled_for() -> None:
    async def steps() -> None:
        async with sampled(service(min=1, max=2)) as (world, usages):
            await world.until(lambda: world.ready() == 1)
            reconfigure(world, service(min=1, max=2, rules=[CPU]))
            await world.until(lambda: world.ready() == 2)
            reconfigure(world, service(min=1, max=2))
            known = len(usages.calls)
            await asyncio.sleep(60)
            assert len(usages.calls) <= known + 1

    in_time(steps)
