"""Evictions by liveness with everything that follows from them, on virtual time.

Sources: Kubernetes issues about liveness probes that ask a database and restart a whole deployment
when it is away; Envoy's panic threshold; ADR 2 and 13.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from cluster.lifecycle import State
from cluster.model import Replica
from cluster.runtime import RuntimeFailure
from config.health import Check, Health, Probe, StartupProbe
from config.scaling import Scaling
from config.service import Resources, Rollout, Service
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.cluster.builders import a_service
from tests.support.control_world import ControlWorld, control_world
from tests.support.virtual_time import run

STARTS_IN = 3.0


def fleet(count: int, **changes: Any) -> Service:
    health = Health(startup=StartupProbe(), liveness=Probe(http="/live", every=10.0))
    return a_service(scaling=Scaling(min=count), health=health, **changes)


@dataclass(slots=True)
class Fault:
    """Which replicas fail their liveness; `begins` when the world is whole."""

    hits: Callable[[str], bool] = lambda replica: False
    lowest: int = 99
    lost: set[str] = field(default_factory=set)

    def passes(self, check: Check, replica: Replica) -> bool:
        return check.http is None or not self.hits(replica.id)

    def watch(self, world: ControlWorld) -> None:
        """From now on: how few could serve, and who went."""
        first = {replica.id for replica in world.replicas()}

        def look(service: str) -> None:
            self.lowest = min(self.lowest, world.ready())
            self.lost |= first - {replica.id for replica in world.replicas()}

        world.registry.on_service(look)


def engine() -> SimulatedEngine:
    return SimulatedEngine(Behaviour(listens_after=STARTS_IN))


async def whole(world: ControlWorld, count: int) -> list[str]:
    await world.until(lambda: world.ready() == count, within=60)
    await asyncio.sleep(25)
    return [replica.id for replica in world.replicas()]


def test_one_that_fails_alone_is_replaced_before_it_is_removed() -> None:
    async def story() -> None:
        fault = Fault()
        async with control_world(fleet(3), engine=engine(), passes=fault.passes) as world:
            sick = (await whole(world, 3))[1]
            fault.watch(world)
            fault.hits = sick.__eq__
            await world.until(lambda: sick not in world.running(), within=45)
            states = [replica.state for replica in world.replicas()]
            assert states == [State.READY] * 3
            assert fault.lowest == 2
            assert world.happened("evictions-held") == []
            assert [text.split(":")[0] for text in world.happened("replica-evicted")] == [sick]
            assert "replaced: liveness failed, 3 times in a row" in next(
                text for text in world.happened("replica-stopped") if sick in text
            )
            counted = world.collectors.get_sample_value(
                "tidegate_evictions_total", {"service": "web", "reason": "liveness"}
            )
            assert counted == 1

    run(story())


def test_requests_in_flight_in_an_evicted_replica_may_finish() -> None:
    async def story() -> None:
        fault = Fault()
        async with control_world(fleet(2), engine=engine(), passes=fault.passes) as world:
            sick = (await whole(world, 2))[0]
            world.holding.add(sick)
            fault.hits = sick.__eq__
            await world.until(lambda: world.replicas(State.DRAINING), within=45)
            await asyncio.sleep(20)
            assert sick in world.running()
            world.release("web", sick)
            await world.until(lambda: sick not in world.running(), within=1)

    run(story())


def test_a_broken_shared_dependency_takes_one_replica_at_a_time_ever_more_slowly() -> None:
    """Whatever is started fails as well: what is there keeps serving, and is there when it is
    mended."""

    async def story() -> None:
        fault = Fault()
        async with control_world(fleet(5), engine=engine(), passes=fault.passes) as world:
            await whole(world, 5)
            fault.watch(world)
            begun = asyncio.get_running_loop().time()
            fault.hits = lambda replica: True
            await asyncio.sleep(600)
            assert fault.lowest >= 4
            evicted = len(world.happened("replica-evicted"))
            # After 0, 40, 80, 160, 240 … seconds; all five every 30 s would be 100.
            assert 2 <= evicted <= 8
            (held,) = world.happened("evictions-held")
            assert "fail at the same time" in held
            assert "look at what web depends on" in held

            fault.hits = lambda replica: False
            await asyncio.sleep(60)
            assert world.ready() == 5
            assert len(world.happened("evictions-resumed")) == 1
            assert len(world.happened("replica-evicted")) <= evicted + 1
            assert asyncio.get_running_loop().time() - begun < 700

    run(story())


def test_a_fault_of_the_replicas_themselves_is_worked_off_one_by_one() -> None:
    """All five hang at the same time, and new ones do not: to replace helps."""

    async def story() -> None:
        fault = Fault()
        async with control_world(fleet(5), engine=engine(), passes=fault.passes) as world:
            first = await whole(world, 5)
            fault.watch(world)
            fault.hits = first.__contains__
            await world.until(lambda: not set(first) & set(world.running()), within=240)
            # Four, until no more than half of them fail: the last two go together.
            assert fault.lowest >= 3
            assert world.ready() == 5

    run(story())


def test_while_no_replacement_starts_only_one_is_lost() -> None:
    """The dependency is needed to start, too: with every replica evicted none would be left."""

    async def story() -> None:
        fault, simulated = Fault(), engine()
        async with control_world(fleet(5), engine=simulated, passes=fault.passes) as world:
            await whole(world, 5)
            fault.watch(world)
            simulated.script(
                "web", Behaviour(failure=RuntimeFailure("start-failed", "no database"))
            )
            fault.hits = lambda replica: True
            await asyncio.sleep(3600)
            assert world.ready() == 4
            assert len(fault.lost) == 1

    run(story())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_replicas_are_replaced_at_once_and_a_loop_of_it_slows_down(count: int) -> None:
    async def story() -> None:
        fault = Fault()
        async with control_world(fleet(count), engine=engine(), passes=fault.passes) as world:
            first = await whole(world, count)
            fault.hits = lambda replica: True
            await world.until(lambda: set(first) - set(world.running()), within=45)
            assert len(world.happened("replica-evicted")) == 1
            await asyncio.sleep(1800)
            assert len(world.happened("replica-evicted")) <= 12

    run(story())


def test_where_nothing_may_run_beside_it_the_sick_one_goes_first() -> None:
    rollout = Rollout(max_surge=0, max_unavailable=1)

    async def story() -> None:
        fault, most = Fault(), 0
        service = fleet(2, rollout=rollout)
        async with control_world(service, engine=engine(), passes=fault.passes) as world:
            sick = (await whole(world, 2))[0]

            def look(_: str) -> None:
                nonlocal most
                most = max(most, len(world.running()))

            world.registry.on_service(look)
            fault.hits = sick.__eq__
            await world.until(lambda: sick not in world.running(), within=45)
            await world.until(lambda: world.ready() == 2, within=30)
            assert most == 2
            assert world.happened("replica-evicted") == []
            assert len(world.happened("replica-condemned")) == 1
            for reason in ("liveness", "replica-died"):
                counted = world.collectors.get_sample_value(
                    "tidegate_evictions_total", {"service": "web", "reason": reason}
                )
                assert counted == (1 if reason == "liveness" else None)

    run(story())


@pytest.mark.parametrize("count", [1, 4])
def test_one_that_passes_again_before_it_is_replaced_stays(count: int) -> None:
    async def story() -> None:
        fault = Fault()
        simulated = engine()
        async with control_world(fleet(count), engine=simulated, passes=fault.passes) as world:
            sick = (await whole(world, count))[0]
            simulated.script("web", Behaviour(listens_after=50.0))
            fault.hits = sick.__eq__
            await world.until(lambda: world.replicas(State.UNHEALTHY), within=45)
            fault.hits = lambda replica: False
            await world.until(lambda: world.ready() == count, within=15)
            assert sick in world.running()

    run(story())


@pytest.mark.parametrize("fixed", [True, False])
def test_on_a_full_host_the_sick_one_goes_first(fixed: bool) -> None:
    """To wait for a replacement that cannot start would be an outage of a start's deadline."""
    resources = Resources(memory=100 * 2**20)

    async def story() -> None:
        fault = Fault()
        service, budget = fleet(1, resources=resources), (100 if fixed else 200) * 2**20
        async with control_world(
            service, engine=engine(), passes=fault.passes, memory=budget
        ) as world:
            sick = (await whole(world, 1))[0]
            fault.hits = sick.__eq__
            await world.until(lambda: not world.ready() or sick not in world.running(), within=45)
            begun = asyncio.get_running_loop().time()
            await world.until(lambda: world.ready() and sick not in world.running(), within=60)
            assert asyncio.get_running_loop().time() - begun < 5
            assert len(world.happened("replica-condemned")) == fixed

    run(story())


@pytest.mark.parametrize("probe", [{}, {"readiness": {"http": "/live"}}])
@pytest.mark.parametrize("why", ["max_surge", "host"])
@pytest.mark.parametrize("count", [1, 3])
def test_an_adopted_one_that_hangs_is_replaced_where_nothing_may_run_beside_it(
    why: str, probe: dict[str, dict[str, str]], count: int
) -> None:
    rollout = Rollout(max_surge=0, max_unavailable=1) if why == "max_surge" else Rollout()
    health = Health.model_validate({"startup": {"http": "/live"}, **probe})
    resources = Resources(memory=100 * 2**20)
    service = a_service(
        scaling=Scaling(min=count), health=health, rollout=rollout, resources=resources
    )
    budget = count * 100 * 2**20 if why == "host" else None

    async def story() -> None:
        fault, simulated = Fault(), engine()
        async with control_world(service, engine=simulated) as world:
            first = await whole(world, count)
        fault.hits = first.__contains__
        async with control_world(
            service, engine=simulated, passes=fault.passes, seed=8, memory=budget
        ) as world:
            fault.watch(world)
            await world.until(lambda: world.ready() == count, within=90)
            assert not set(first) & set(world.running())
            assert len(world.running()) == count

    run(story())


def test_those_that_hang_go_one_at_a_time_where_nothing_may_run_beside_them() -> None:
    """The dependency is away: whatever is started hangs as well."""
    rollout = Rollout(max_surge=0, max_unavailable=1)
    health = Health.model_validate({"startup": {"http": "/live"}})
    service = a_service(scaling=Scaling(min=4), health=health, rollout=rollout)

    async def story() -> None:
        fault, simulated = Fault(), engine()
        async with control_world(service, engine=simulated) as world:
            first = await whole(world, 4)
        fault.hits = lambda replica: True
        async with control_world(service, engine=simulated, passes=fault.passes, seed=8) as world:
            await asyncio.sleep(600)
            assert len(set(first) & set(world.running())) == 3
            fault.hits = lambda replica: False
            await world.until(lambda: world.ready() >= 3, within=30)

    run(story())


@pytest.mark.parametrize("probes", [{"readiness": "/live"}, {"startup": "/live"}])
def test_a_restart_of_tidegate_while_the_dependency_is_away_removes_nobody(
    probes: dict[str, str],
) -> None:
    """What is adopted has a start's deadline to get ready; then it is out, but not gone."""
    health = Health.model_validate({kind: {"http": path} for kind, path in probes.items()})

    async def story() -> None:
        fault, simulated = Fault(), engine()
        service = a_service(scaling=Scaling(min=4), health=health)
        async with control_world(service, engine=simulated) as world:
            first = await whole(world, 4)
        fault.hits = lambda replica: True
        async with control_world(service, engine=simulated, passes=fault.passes, seed=8) as world:
            await asyncio.sleep(600)
            assert set(first) <= set(world.running())
            condemned = {text.split(":")[0] for text in world.happened("replica-condemned")}
            assert not condemned & set(first)
            fault.hits = lambda replica: False
            await world.until(lambda: world.ready() >= 4, within=30)
            await asyncio.sleep(5)
            assert len(set(first) & set(world.running())) >= 3

    run(story())
