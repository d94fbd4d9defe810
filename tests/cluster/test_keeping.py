"""The last rung of the ladder: stopped, kept for a while, removed. On virtual time."""

import asyncio

import pytest

from cluster.keeping import Keeping
from cluster.lifecycle import State
from cluster.model import Exit, Instance, InstanceStatus
from cluster.registry import Registry
from cluster.runtime import RuntimeFailure
from config.scaling import Idle, Scaling
from config.service import Service
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.cluster.builders import a_service
from tests.support.control_world import ControlWorld, control_world, reconfigure
from tests.support.linked_services import linked, once
from tests.support.virtual_time import run


def kept(
    remove_after: float | None = 600.0, freeze_after: float | None = None, **changes: object
) -> Service:
    idle = Idle(stop_after=10.0, freeze_after=freeze_after, remove_after=remove_after)
    return a_service(scaling=Scaling().model_copy(update={"idle": idle, **changes}))


async def used_and_asleep(world: ControlWorld) -> str:
    """The name of the replica that was stopped and kept."""
    world.wake()
    await world.until(lambda: world.ready() == 1, within=5)
    world.load(1)
    world.load(0)
    # What was adopted is held for a whole stable window first.
    await world.until(lambda: world.replicas(State.STOPPED), within=120)
    (replica,) = world.replicas()
    return replica.id


def test_it_is_kept_started_again_and_removed_in_the_end() -> None:
    async def story() -> None:
        async with control_world(kept()) as world:
            name = await used_and_asleep(world)
            assert world.running() == []
            assert len(world.engine.owned("us")) == 1
            assert world.registry.snapshot("web").endpoints == ()
            (replica,) = world.replicas()
            assert replica.address is None
            await asyncio.sleep(300)
            world.wake()
            await world.until(lambda: world.ready() == 1, within=5)
            assert [one.id for one in world.replicas()] == [name], "the very same"
            assert world.running() == [name]
            assert "started again" in world.happened("replica-started")[-1]
            world.load(1)
            world.load(0)
            await world.until(lambda: world.replicas(State.STOPPED), within=60)
            begun = asyncio.get_running_loop().time()
            await world.until(lambda: not world.replicas(), within=700)
            assert asyncio.get_running_loop().time() - begun == pytest.approx(600, abs=1)
            assert world.engine.owned("us") == []
            assert world.happened("replica-failed") == []

    run(story())


def test_without_the_key_it_is_removed_at_once() -> None:
    async def story() -> None:
        async with control_world(kept(remove_after=None)) as world:
            world.wake()
            await world.until(lambda: world.ready() == 1)
            world.load(1)
            world.load(0)
            await world.until(lambda: not world.replicas(), within=60)
            assert world.engine.owned("us") == []

    run(story())


def test_all_rungs_each_with_its_own_time() -> None:
    async def story() -> None:
        async with control_world(kept(remove_after=100.0, freeze_after=4.0)) as world:
            world.wake()
            await world.until(lambda: world.ready() == 1)
            world.load(1)
            world.load(0)
            begun = asyncio.get_running_loop().time()
            at = {}
            for state in (State.FROZEN, State.STOPPED):
                await world.until(lambda state=state: world.replicas(state), within=60)  # type: ignore[misc]
                at[state] = asyncio.get_running_loop().time() - begun
            await world.until(lambda: not world.replicas(), within=200)
            gone = asyncio.get_running_loop().time() - begun
            assert at[State.FROZEN] == pytest.approx(4, abs=2)
            assert at[State.STOPPED] == pytest.approx(10, abs=2)
            assert gone == pytest.approx(110, abs=3)

    run(story())


def test_a_wake_that_wants_more_than_was_kept_starts_the_rest() -> None:
    async def story() -> None:
        async with control_world(kept()) as world:
            name = await used_and_asleep(world)
            world.scaler.scale("web", 3, None, asyncio.get_running_loop().time())
            await world.until(lambda: world.ready() == 3, within=5)
            assert name in [one.id for one in world.replicas()]
            assert len(world.replicas()) == 3

    run(story())


def test_a_scale_in_keeps_nothing() -> None:
    async def story() -> None:
        async with control_world(kept(min=1)) as world:
            world.scaler.scale("web", 3, None, asyncio.get_running_loop().time())
            await world.until(lambda: world.ready() == 3, within=5)
            world.scaler.scale("web", 1, None, asyncio.get_running_loop().time())
            await world.until(lambda: len(world.engine.owned("us")) == 1, within=5)

    run(story())


def test_a_new_revision_has_no_use_for_what_was_kept() -> None:
    async def story() -> None:
        async with control_world(kept()) as world:
            await used_and_asleep(world)
            reconfigure(world, kept().model_copy(update={"command": ("serve", "--v2")}))
            await world.until(lambda: not world.engine.owned("us"), within=5)
            assert world.replicas() == []

    run(story())


def test_what_leaves_the_configuration_is_removed() -> None:
    async def story() -> None:
        async with control_world(kept()) as world:
            await used_and_asleep(world)
            reconfigure(world)
            await world.until(lambda: not world.engine.owned("us"), within=5)

    run(story())


def test_what_cannot_be_started_again_is_replaced() -> None:
    engine = SimulatedEngine()
    broken = Behaviour(failure=RuntimeFailure("start-failed", "no such network"))
    engine.script("web", Behaviour(), broken, Behaviour())

    async def story() -> None:
        async with control_world(kept(), engine=engine) as world:
            name = await used_and_asleep(world)
            world.wake()
            await world.until(lambda: world.ready() == 1, within=10)
            (replica,) = world.replicas()
            assert replica.id != name
            assert len(engine.owned("us")) == 1, "nothing is left of the one that failed"

    run(story())


def test_what_somebody_removed_is_forgotten() -> None:
    async def story() -> None:
        async with control_world(kept()) as world:
            await used_and_asleep(world)
            (specimen,) = world.engine.owned("us")
            world.engine.remove(specimen)
            await world.until(lambda: not world.replicas(), within=60)
            assert world.happened("replica-failed") == []

    run(story())


def test_the_old_end_of_what_was_started_again_is_no_news() -> None:
    """A list that was asked for before, and comes after."""

    async def story() -> None:
        async with control_world(kept()) as world:
            name = await used_and_asleep(world)
            before = world.registry.known()
            listed = [specimen.instance for specimen in world.engine.owned("us")]
            assert [one.status for one in listed] == [InstanceStatus.EXITED]
            world.wake()
            await world.until(lambda: world.ready() == 1, within=5)
            world.discovery._compare(listed, before)
            await asyncio.sleep(5)
            assert world.happened("replica-failed") == []
            assert [(one.id, one.state) for one in world.replicas()] == [(name, State.READY)]

    run(story())


def test_a_restart_of_tidegate_finds_what_was_kept_and_starts_it_again() -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(kept(), engine=engine) as world:
            name = await used_and_asleep(world)
        async with control_world(kept(), engine=engine) as world:
            assert [(one.id, one.state) for one in world.replicas()] == [(name, State.STOPPED)]
            assert world.registry.desired("web").replicas == 0
            await asyncio.sleep(100)
            assert world.running() == [], "found is not wanted"
            world.wake()
            await world.until(lambda: world.ready() == 1, within=5)
            assert [one.id for one in world.replicas()] == [name]
        async with control_world(kept(), engine=engine) as world:
            await used_and_asleep(world)
        async with control_world(kept(remove_after=None), engine=engine) as world:
            await world.until(lambda: not engine.owned("us"), within=5)

    run(story())


def test_what_runs_once_has_nothing_to_keep() -> None:
    engine = SimulatedEngine()
    engine.script("migrate", once(1))
    idle = Idle(stop_after=10.0, remove_after=600.0)
    migrate = a_service("migrate", scaling=Scaling().model_copy(update={"idle": idle}))

    async def story() -> None:
        shop = (linked("web", "migrate:completed"), migrate)
        async with control_world(*shop, engine=engine) as world:
            world.wake("web")
            await world.until(lambda: world.ready("web"), within=10)
            await asyncio.sleep(1)
            assert [one.instance.service for one in engine.owned("us")] == ["web"]

    run(story())


@pytest.mark.parametrize(
    ("status", "exit", "worth"),
    [
        (InstanceStatus.EXITED, Exit(0), True),
        (InstanceStatus.EXITED, Exit(-15), True),
        (InstanceStatus.EXITED, Exit(-9), True),
        (InstanceStatus.EXITED, Exit(-9, oom=True), False),
        (InstanceStatus.EXITED, Exit(1), False),
        (InstanceStatus.EXITED, None, False),
        (InstanceStatus.RUNNING, None, False),
    ],
)
def test_what_is_worth_keeping_after_a_restart(
    status: InstanceStatus, exit: Exit | None, worth: bool
) -> None:
    registry = Registry()
    registry.configure({"web": kept()})
    instance = Instance("i-1", "web-1", "web", "r1", status, None, 0.0, exit)
    assert Keeping(registry, lambda: 0.0, can=True).was_kept(instance) is worth
    assert not Keeping(registry, lambda: 0.0, can=False).was_kept(instance)
