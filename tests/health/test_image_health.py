"""An image's own HEALTHCHECK decides where no probe is configured: on virtual time."""

import asyncio

import pytest

from cluster.lifecycle import Event, State
from cluster.model import InstanceHealth
from config.health import Health, Probe, StartupProbe
from config.scaling import Scaling
from config.service import Service
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.cluster.builders import a_service
from tests.support.control_world import ControlWorld, control_world, reconfigure
from tests.support.virtual_time import run

STARTING, HEALTHY = InstanceHealth.STARTING, InstanceHealth.HEALTHY
UNHEALTHY = InstanceHealth.UNHEALTHY


def service(count: int = 1, health: Health | None = None) -> Service:
    return a_service(scaling=Scaling(min=count), health=health or Health())


def engine() -> SimulatedEngine:
    return SimulatedEngine(Behaviour(health=STARTING))


def say(world: ControlWorld, health: InstanceHealth, *replicas: str) -> None:
    for replica in replicas or [one.id for one in world.replicas()]:
        world.engine.say_health(replica, health)


async def healthy(world: ControlWorld, count: int) -> list[str]:
    await world.until(lambda: len(world.running()) == count, within=5)
    say(world, HEALTHY)
    await world.until(lambda: world.ready() == count, within=1)
    return [replica.id for replica in world.replicas()]


def test_it_is_ready_when_its_healthcheck_passes_and_not_when_its_port_opens() -> None:
    async def story() -> None:
        async with control_world(service(), engine=engine()) as world:
            await asyncio.sleep(300)
            assert [one.state for one in world.replicas()] == [State.STARTING]
            say(world, HEALTHY)
            await world.until(world.ready, within=0.1)
            (told,) = world.happened("replica-ready")
            assert "the HEALTHCHECK of its image passes" in told

    run(story())


@pytest.mark.parametrize(
    "health",
    [
        Health(startup=StartupProbe(tcp=True)),
        Health(readiness=Probe(tcp=True)),
        Health(liveness=Probe(tcp=True)),
    ],
)
def test_any_probe_of_the_operator_counts_instead(health: Health) -> None:
    async def story() -> None:
        async with control_world(service(health=health), engine=engine()) as world:
            await world.until(world.ready, within=5)
            say(world, UNHEALTHY)
            await asyncio.sleep(600)
            assert world.happened("replica-evicted") == []

    run(story())


def test_only_the_operators_deadline_ends_a_start_before_the_engine_does() -> None:
    async def story() -> None:
        patient = Health.model_validate({"startup": {"deadline": "90s"}})
        async with control_world(service(health=patient), engine=engine()) as world:
            await asyncio.sleep(89)
            assert [one.state for one in world.replicas()] == [State.STARTING]
            await asyncio.sleep(2)
            (told,) = world.happened("replica-condemned")
            assert "the HEALTHCHECK of its image did not pass within 90 s" in told

    run(story())


def test_unhealthy_from_the_start_is_a_failed_start() -> None:
    async def story() -> None:
        async with control_world(service(), engine=engine()) as world:
            await world.until(world.running, within=5)
            say(world, UNHEALTHY)
            await world.until(lambda: world.happened("replica-failed"), within=1)
            (told,) = world.happened("replica-failed")
            assert "the HEALTHCHECK of its image says unhealthy" in told

    run(story())


def test_one_that_turns_unhealthy_is_replaced_by_one_that_is_healthy() -> None:
    async def story() -> None:
        async with control_world(service(3), engine=engine()) as world:
            first = await healthy(world, 3)
            say(world, UNHEALTHY, first[0])
            await world.until(lambda: world.ready() == 2, within=0.1)
            await world.until(lambda: len(world.running()) == 4, within=1)
            await asyncio.sleep(30)
            assert first[0] in world.running()
            say(world, HEALTHY, *set(world.running()) - set(first))
            await world.until(lambda: first[0] not in world.running(), within=1)
            assert world.ready() == 3
            counted = world.collectors.get_sample_value(
                "tidegate_evictions_total", {"service": "web", "reason": "healthcheck"}
            )
            assert counted == 1

    run(story())


def test_one_that_is_healthy_again_stays() -> None:
    async def story() -> None:
        async with control_world(service(3), engine=engine()) as world:
            first = await healthy(world, 3)
            say(world, UNHEALTHY, first[0])
            await asyncio.sleep(5)
            say(world, HEALTHY, first[0])
            await world.until(lambda: world.ready() == 3, within=0.1)
            await asyncio.sleep(5)
            assert set(world.running()) == set(first)

    run(story())


def test_where_all_turn_unhealthy_they_serve_on_and_go_one_at_a_time() -> None:
    async def story() -> None:
        async with control_world(service(5), engine=engine()) as world:
            first = await healthy(world, 5)
            say(world, UNHEALTHY)
            await asyncio.sleep(600)
            assert world.ready() == 4
            assert len(world.happened("evictions-held")) == 1
            assert len(set(first) & set(world.running())) >= 4
            say(world, HEALTHY)
            await world.until(lambda: world.ready() == 5, within=120)
            assert len(world.happened("evictions-resumed")) == 1

    run(story())


def test_what_is_held_back_goes_when_its_turn_comes() -> None:
    """Each replacement is healthy: nothing that the engine told once is forgotten."""

    async def story() -> None:
        async with control_world(service(4), engine=engine()) as world:
            first = await healthy(world, 4)
            say(world, UNHEALTHY)
            for _ in range(200):
                await asyncio.sleep(1)
                say(world, HEALTHY, *set(world.running()) - set(first))
            assert not set(first) & set(world.running())
            assert world.ready() == 4

    run(story())


def test_a_refused_request_and_the_way_back_without_news_of_the_engine() -> None:
    """Passive evidence still takes it out; the engine had called it healthy and says nothing."""

    async def story() -> None:
        async with control_world(service(), engine=engine()) as world:
            (only,) = await healthy(world, 1)
            world.registry.advance(
                only, Event.UNREADY, "refused", asyncio.get_running_loop().time()
            )
            await world.until(lambda: world.ready() == 1, within=1)

    run(story())


def test_a_reload_that_adds_a_probe_and_one_that_takes_it_away() -> None:
    async def story() -> None:
        simulated = engine()
        async with control_world(service(), engine=simulated) as world:
            await world.until(world.running, within=5)
            assert world.ready() == 0
            reconfigure(world, service(health=Health(startup=StartupProbe(tcp=True))))
            await world.until(world.ready, within=1)
            reconfigure(world, service())
            say(world, UNHEALTHY)
            await world.until(lambda: world.happened("replica-evicted"), within=10)

    run(story())
