"""The start budget: the whole control plane on virtual time."""

import asyncio

from cluster.lifecycle import State
from cluster.runtime import RuntimeFailure
from cluster.starts import BOOT
from config.scaling import Scaling
from config.service import Health, Service, StartupProbe
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.cluster.builders import a_service
from tests.support.control_world import ControlWorld, control_world
from tests.support.virtual_time import run


def wanting(name: str, least: int = 0) -> Service:
    return a_service(name, scaling=Scaling(min=least, max=max(50, least)))


def now() -> float:
    return asyncio.get_running_loop().time()


async def most_under_way(world: ControlWorld, count: int) -> int:
    """Until so many services have a ready replica."""
    most = 0
    names = [f"s{number}" for number in range(count)]
    async with asyncio.timeout(3600):
        while not all(world.ready(name) for name in names):
            most = max(most, world.starts.under_way)
            await asyncio.sleep(0.02)
    return most


def test_no_herd_is_started_at_once() -> None:
    """300 services that are to be there after a reboot of the host."""

    async def story() -> None:
        engine = SimulatedEngine(Behaviour(start_delay=0.1, listens_after=0.1))
        services = [wanting(f"s{number}", 1) for number in range(300)]
        async with control_world(*services, engine=engine, starts=8) as world:
            begun = now()
            assert await most_under_way(world, 300) == 8
            assert now() - begun < 300 / 8 * 0.25

    run(story())


def test_a_wake_waits_for_nothing_while_the_budget_is_free() -> None:
    async def time_of(starts: int) -> float:
        engine = SimulatedEngine(Behaviour(start_delay=0.1, listens_after=0.1))
        async with control_world(wanting("web"), engine=engine, starts=starts) as world:
            begun = now()
            world.wake()
            await world.until(world.ready)
            return now() - begun

    assert run(time_of(1)) == run(time_of(0))


def test_one_that_wants_fifty_does_not_delay_the_first_of_another() -> None:
    async def story() -> None:
        engine = SimulatedEngine(Behaviour(start_delay=0.1, listens_after=0.1))
        big, small = wanting("big", 50), wanting("small")
        async with control_world(big, small, engine=engine, starts=2) as world:
            await asyncio.sleep(0.05)
            begun = now()
            world.wake("small")
            await world.until(lambda: world.ready("small"))
            assert now() - begun < 0.5
            assert world.ready("big") < 10
            await world.until(lambda: world.ready("big") == 50)

    run(story())


def test_a_long_boot_gives_its_place_up() -> None:
    async def story() -> None:
        engine = SimulatedEngine(Behaviour(start_delay=0.1, listens_after=10.0))
        async with control_world(
            *(wanting(f"s{number}", 1) for number in range(4)), engine=engine, starts=1
        ) as world:
            await world.until(lambda: all(world.ready(f"s{number}") for number in range(4)))
            assert 10 + 3 * BOOT < now() < 10 + 4 * (BOOT + 0.1) + 1

    run(story())


def test_a_failed_start_gives_its_place_back() -> None:
    async def story() -> None:
        engine = SimulatedEngine(Behaviour(start_delay=0.01))
        broken = Behaviour(start_delay=0.01, failure=RuntimeFailure("start-failed", "no"))
        engine.script("s0", broken)
        async with control_world(
            wanting("s0", 1), wanting("s1", 1), engine=engine, starts=1
        ) as world:
            await world.until(lambda: world.ready("s1"), within=1)
            await world.until(lambda: world.starts.under_way == 0, within=1)

    run(story())


def test_one_that_never_listens_keeps_nobody_waiting_for_long() -> None:
    async def story() -> None:
        engine = SimulatedEngine(Behaviour(listens_after=0.0))
        engine.script("s0", Behaviour(listens_after=None))
        deaf = a_service(
            "s0",
            scaling=Scaling(min=1),
            health=Health(startup=StartupProbe(deadline=60.0)),
        )
        async with control_world(deaf, wanting("s1", 1), engine=engine, starts=1) as world:
            await world.until(lambda: world.ready("s1"), within=2 * BOOT)

    run(story())


def test_who_is_not_wanted_any_more_leaves_the_line() -> None:
    async def story() -> None:
        engine = SimulatedEngine(Behaviour(start_delay=5.0))
        async with control_world(wanting("s0", 1), wanting("s1"), engine=engine, starts=1) as world:
            await asyncio.sleep(0.1)
            world.wake("s1")
            await asyncio.sleep(0.1)
            assert len(world.replicas(State.STARTING, service="s1")) == 1
            world.scaler.scale("s1", 0, None, now())
            await world.until(lambda: not world.replicas(service="s1"), within=1)
            await world.until(lambda: world.ready("s0"))
            assert [one.service for one in world.registry.replicas("s0")] == ["s0"]
            await world.until(lambda: world.starts.under_way == 0, within=1)

    run(story())
