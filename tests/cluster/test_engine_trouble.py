"""An engine in trouble: what runs is kept, what is wanted is held, and all is made good later.

The whole control plane on virtual time. Sources: research/reliability of Docker hosts: the engine
restarts, its lists are stale, addresses are used again, containers are started by others.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from cluster.lifecycle import State
from cluster.missed import PATIENCE
from cluster.model import Address, Exit, Instance, Replica
from config.scaling import Idle, Scaling
from config.service import Service
from runtimes import simulated_engine
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.cluster.builders import a_service
from tests.support.control_world import ControlWorld, control_world
from tests.support.virtual_time import run


def steady(name: str = "web", least: int = 2) -> Service:
    return a_service(name=name, scaling=Scaling().model_copy(update={"min": least}))


def doctored(world: ControlWorld, change: "list[Sequence[Instance]]") -> None:
    """The next lists are those in `change`, one after the other; then the truth again."""
    runtime = world.discovery._runtime
    truth = runtime.instances

    async def instances() -> Sequence[Instance]:
        return change.pop(0) if change else await truth()

    runtime.instances = instances  # type: ignore[method-assign]


def test_a_replica_missing_in_one_stale_list_is_kept() -> None:
    async def story() -> None:
        async with control_world(steady()) as world:
            await world.until(lambda: world.ready() == 2)
            await asyncio.sleep(60)
            before = sorted(world.running())
            doctored(world, [[]])
            world.discovery.look()
            await asyncio.sleep(60)
            assert sorted(world.running()) == before
            assert world.happened("replica-failed") == []

    run(story())


def test_one_that_two_lists_do_not_know_is_replaced_soon() -> None:
    async def story() -> None:
        async with control_world(steady()) as world:
            await world.until(lambda: world.ready() == 2)
            await asyncio.sleep(60)
            victim = next(iter(world.engine.running()))
            world.engine._specimens.pop(victim.instance.id)
            world.discovery.look()
            gone = victim.instance.replica
            await world.until(lambda: world.registry.replica(gone) is None, within=0.1)
            await world.until(lambda: world.ready() == 2, within=0.1)

    run(story())


def test_one_that_somebody_started_again_elsewhere_is_replaced() -> None:
    async def story() -> None:
        async with control_world(steady()) as world:
            await world.until(lambda: world.ready() == 2)
            await asyncio.sleep(60)
            (first, _) = world.engine.running()
            first.instance = replace(first.instance, address=Address("192.0.2.9", 80))
            world.discovery.look()
            await world.until(
                lambda: world.registry.replica(first.instance.replica) is None, within=0.1
            )
            await world.until(lambda: len(world.running()) == 2 and world.ready() == 2, within=1)
            assert any("started again by somebody" in w for w in world.happened("replica-failed"))

    run(story())


def test_an_address_is_nobodys_any_more_once_another_replica_has_it() -> None:
    """Its end was not heard of; a request to it would have reached the other service."""

    async def story() -> None:
        engine = SimulatedEngine()
        async with control_world(steady("a", 1), steady("b", 0), engine=engine) as world:
            await world.until(lambda: world.ready("a") == 1)
            await asyncio.sleep(60)
            (old,) = engine.running()
            engine._specimens.pop(old.instance.id)  # no event tells it
            engine._made -= 1  # the next one gets the same address
            world.wake("b")
            await world.until(lambda: world.registry.replicas("b"))
            await asyncio.sleep(0)
            await world.until(lambda: world.ready("b") == 1, within=0.01)
            (new,) = world.registry.snapshot("b").endpoints
            assert new.address == old.instance.address
            assert new.address not in {
                one.address for one in world.registry.snapshot("a").endpoints
            }
            await world.until(lambda: world.ready("a") == 1, within=1)

    run(story())


def test_whoever_listens_at_the_same_port_of_the_host_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the network `host`, all containers of an image are told at one address (SO_REUSEPORT)."""
    monkeypatch.setattr(simulated_engine, "_address", lambda made: Address("127.0.0.1", 8080))

    async def story() -> None:
        async with control_world(steady()) as world:
            await world.until(lambda: world.ready() == 2)
            await asyncio.sleep(60)
            before = sorted(world.running())
            assert len(before) == 2
            world.scaler.scale("web", 3, None, asyncio.get_running_loop().time())
            await world.until(lambda: world.ready() == 3, within=5)
            await asyncio.sleep(60)
            assert set(before) < set(world.running())
            assert world.happened("replica-failed") == []

    run(story())


def test_a_wake_while_the_engine_restarts_waits_and_is_served_on_its_return() -> None:
    async def story() -> None:
        async with control_world(steady(least=0)) as world:
            await asyncio.sleep(60)
            world.engine.break_down()
            await asyncio.sleep(1)
            world.wake()
            await asyncio.sleep(PATIENCE - 5)
            assert world.registry.snapshot("web").trouble is None
            world.engine.mend()
            await world.until(lambda: world.ready() == 1, within=7)
            assert world.happened("start-missed")
            assert not world.happened("replica-failed")

    run(story())


def test_while_it_lasts_requests_are_told_at_once_and_the_engine_is_asked_seldom() -> None:
    async def story() -> None:
        async with control_world(steady(least=0)) as world:
            await asyncio.sleep(60)
            world.engine.break_down()
            world.wake()
            await world.until(lambda: world.registry.snapshot("web").trouble, within=PATIENCE + 6)
            told = world.registry.snapshot("web").trouble
            assert told is not None
            assert told.code == "engine-unavailable"
            before = asked(world)
            await asyncio.sleep(60)
            assert asked(world) - before <= 60, "more than one call a second"

    run(story())


def test_a_hundred_services_come_back_one_after_the_other() -> None:
    """No herd, and none waits for long."""

    async def story() -> None:
        services = [steady(f"s{number}", 0) for number in range(100)]
        async with control_world(*services) as world:
            await asyncio.sleep(60)
            world.engine.break_down()
            for service in services:
                world.wake(service.name)
            await asyncio.sleep(20)
            began: list[float] = []
            clock = asyncio.get_running_loop().time

            def note(one: Replica) -> None:
                if one.state is State.STARTING and one.instance is None:
                    began.append(clock())

            world.registry.on_replica(note)
            world.engine.mend()
            await world.discovery.sync()  # it is found to be back before any service tries again
            await world.until(lambda: all(world.ready(one.name) for one in services), within=8)
            busiest = max(sum(low <= at < low + 0.1 for at in began) for low in began)
            assert busiest <= 20, f"{busiest} starts in 100 ms"

    run(story())


def test_a_frozen_replica_outlives_an_engine_that_cannot_thaw_it_now() -> None:
    async def story() -> None:
        idle = Idle(freeze_after=5.0, stop_after=3600.0)
        service = a_service(scaling=Scaling().model_copy(update={"idle": idle}))
        async with control_world(service) as world:
            world.wake()
            await world.until(lambda: world.replicas(State.FROZEN))
            (first,) = world.replicas()
            world.engine.break_down()
            await asyncio.sleep(1)
            world.wake()
            for _ in range(20):
                world.load(1)
                await asyncio.sleep(1)
            assert world.ready() == 0, "requests would hang in it"
            world.engine.mend()
            world.load(1)
            await world.until(lambda: world.ready() == 1, within=7)
            assert [one.id for one in world.replicas()] == [first.id]

    run(story())


def test_all_replicas_that_an_engine_took_with_it_are_replaced_at_once() -> None:
    """dockerd without live-restore: every container has ended when it is back."""

    async def story() -> None:
        async with control_world(steady(least=5)) as world:
            await world.until(lambda: world.ready() == 5)
            await asyncio.sleep(60)
            world.engine.break_down()
            for specimen in list(world.engine.running()):
                world.engine.end(specimen, Exit(0))
            await asyncio.sleep(20)
            world.engine.mend()
            await world.until(lambda: len(world.running()) == 5, within=7)
            await world.until(lambda: world.ready() == 5, within=0.2)

    run(story())


def test_killing_one_of_three_each_second_never_takes_all_of_them_away() -> None:
    async def story() -> None:
        engine = SimulatedEngine(Behaviour(start_delay=0.2))
        async with control_world(steady(least=3), engine=engine) as world:
            await world.until(lambda: world.ready() == 3)
            for _ in range(60):
                victim = world.registry.snapshot("web").endpoints[0]
                engine.crash(victim.replica)
                await world.until(lambda: world.ready() == 3, within=0.35)
                await asyncio.sleep(0.65)
            assert not any("crash-looping" in w for w in world.happened("replica-failed"))

    run(story())


def asked(world: ControlWorld) -> float:
    """Calls to the engine so far."""
    return sum(
        sample.value
        for metric in world.collectors.collect()
        if metric.name == "tidegate_runtime_call_seconds"
        for sample in metric.samples
        if sample.name.endswith("_count")
    )


def test_one_that_is_said_to_have_ended_gets_no_requests_until_it_was_looked_at() -> None:
    """Its address may be another's before the engine has told how it ended."""

    async def story() -> None:
        async with control_world(steady()) as world:
            await world.until(lambda: world.ready() == 2)
            runtime = world.discovery._runtime
            truth = runtime.instances

            async def slowly() -> Sequence[Instance]:
                await asyncio.sleep(5)
                return await truth()

            runtime.instances = slowly  # type: ignore[method-assign]
            victim = next(iter(world.engine.running())).instance

            def routed() -> bool:
                endpoints = world.registry.snapshot("web").endpoints
                return victim.replica in [endpoint.replica for endpoint in endpoints]

            assert routed()
            world.discovery._has_ended(victim.id, None)
            assert not routed()
            world.discovery.look()
            await asyncio.sleep(4)
            assert not routed()
            await asyncio.sleep(2)
            assert routed(), "it runs"
            assert world.happened("replica-failed") == []

    run(story())


def test_an_end_that_is_known_in_full_waits_for_no_list() -> None:
    async def story() -> None:
        async with control_world(steady()) as world:
            await world.until(lambda: world.ready() == 2)
            victim = next(iter(world.engine.running())).instance
            world.discovery._has_ended(victim.id, Exit(-9))
            (failed,) = world.happened("replica-failed")
            assert f"{victim.replica} failed: killed by SIGKILL" in failed
            endpoints = world.registry.snapshot("web").endpoints
            assert victim.replica not in [endpoint.replica for endpoint in endpoints]
            # The engine still says that it runs: nobody believes that any more.
            await world.until(lambda: world.ready() == 2)
            assert victim.replica not in [one.id for one in world.registry.replicas("web")]
            assert len(world.happened("replica-failed")) == 1

    run(story())


def test_a_look_that_was_given_up_forgets_nobody_who_gets_no_requests() -> None:
    async def story() -> None:
        async with control_world(steady()) as world:
            await world.until(lambda: world.ready() == 2)
            await asyncio.sleep(60)
            runtime = world.discovery._runtime
            truth = runtime.instances

            async def never() -> Sequence[Instance]:
                await asyncio.Event().wait()
                raise AssertionError

            victim = next(iter(world.engine.running())).instance
            world.discovery._has_ended(victim.id, None)
            runtime.instances = never  # type: ignore[method-assign]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await world.discovery.sync()
            assert world.ready() == 1
            runtime.instances = truth  # type: ignore[method-assign]
            await world.discovery.sync()
            assert world.ready() == 2

    run(story())
