"""What runs is brought to what is wanted: the whole control plane on virtual time."""

import asyncio

import pytest

from cluster.lifecycle import State
from cluster.model import Exit, InstanceStatus
from cluster.placing import FREEZE_AGAIN_AFTER
from cluster.registry import Registry
from cluster.runtime import RuntimeFailure
from config.scaling import Idle, Scaling
from config.service import Health, Probe, Service
from runtimes.simulated_engine import Behaviour, SimulatedEngine, Specimen
from tests.cluster.builders import a_service
from tests.support.control_world import control_world, reconfigure
from tests.support.virtual_time import run


def scaled(**changes: object) -> Scaling:
    return Scaling().model_copy(update=changes)


def sleeper(stop_after: float = 60.0, freeze_after: float | None = None) -> Service:
    return a_service(scaling=scaled(idle=Idle(stop_after=stop_after, freeze_after=freeze_after)))


def test_a_wake_starts_one_and_idleness_stops_it() -> None:
    async def story() -> None:
        async with control_world(sleeper()) as world:
            world.wake()
            await world.until(lambda: world.ready() == 1, within=1)
            world.load(1)
            begun = asyncio.get_running_loop().time()
            await world.until(lambda: not world.running())
            assert 59 < asyncio.get_running_loop().time() - begun < 62
            assert world.replicas() == []
            world.wake()
            await world.until(lambda: world.ready() == 1, within=1)

    run(story())


def test_a_replica_is_stopped_only_when_its_last_request_has_ended() -> None:
    async def story() -> None:
        async with control_world(sleeper(stop_after=1.0)) as world:
            world.wake()
            await world.until(lambda: world.ready() == 1)
            (replica,) = world.replicas()
            world.holding.add(replica.id)
            await world.until(lambda: world.replicas(State.DRAINING))
            await asyncio.sleep(20)
            assert world.running() == [replica.id]
            world.release("web", replica.id)
            await world.until(lambda: not world.running(), within=1)

    run(story())


def test_drain_has_a_limit() -> None:
    async def story() -> None:
        async with control_world(sleeper(stop_after=1.0)) as world:
            world.wake()
            await world.until(lambda: world.ready() == 1)
            (replica,) = world.replicas()
            world.holding.add(replica.id)
            await world.until(lambda: world.replicas(State.DRAINING))
            begun = asyncio.get_running_loop().time()
            await world.until(lambda: not world.running())
            assert asyncio.get_running_loop().time() - begun == pytest.approx(30, abs=0.1)

    run(story())


def test_a_crash_is_replaced_at_once_the_first_time() -> None:
    async def story() -> None:
        async with control_world(a_service(scaling=scaled(min=1))) as world:
            await world.until(lambda: world.ready() == 1)
            await asyncio.sleep(60)
            (first,) = world.replicas()
            world.engine.crash(first.id, Exit(137, oom=True))
            begun = asyncio.get_running_loop().time()
            await world.until(lambda: world.ready() == 1 and first not in world.replicas())
            assert asyncio.get_running_loop().time() - begun < 0.2
            assert any("out of memory" in line for line in world.happened("replica-failed"))
            assert world.running() == [replica.id for replica in world.replicas()]

    run(story())


def test_a_crash_loop_backs_off_and_is_named() -> None:
    engine = SimulatedEngine(Behaviour(exits_after=0.5))

    async def story() -> None:
        async with control_world(a_service(scaling=scaled(min=1)), engine=engine) as world:
            await asyncio.sleep(120)
            starts = len(world.happened("replica-started"))
            assert 6 <= starts <= 9, "1, 2, 4, 8, 16, 32, 60 s apart"
            trouble = world.registry.trouble("web")
            assert trouble is not None
            assert trouble.code == "crash-looping"
            assert "exited with code 1" in trouble.message

    run(story())


def test_a_failed_start_tells_its_code_and_leaves_nothing() -> None:
    engine = SimulatedEngine()
    engine.script(
        "web", Behaviour(failure=RuntimeFailure("image-missing", "no image web:1")), Behaviour()
    )

    async def story() -> None:
        async with control_world(a_service(), engine=engine) as world:
            world.wake()
            await world.until(lambda: world.registry.trouble("web"))
            told = world.registry.snapshot("web").trouble
            assert told is not None
            assert (told.code, told.message) == ("image-missing", "no image web:1")
            assert told.retry_after >= 1
            await world.until(lambda: world.ready() == 1, within=2)
            assert world.registry.trouble("web") is None

    run(story())


def test_a_port_that_never_opens_is_given_up() -> None:
    engine = SimulatedEngine(Behaviour(listens_after=None))

    async def story() -> None:
        async with control_world(sleeper(stop_after=90.0), engine=engine) as world:
            world.wake()
            await world.until(lambda: world.happened("replica-failed"), within=61)
            await asyncio.sleep(300)
            assert world.running() == []

    run(story())


def test_an_idle_replica_is_frozen_then_stopped_and_a_wake_thaws_it() -> None:
    async def story() -> None:
        async with control_world(sleeper(stop_after=600.0, freeze_after=10.0)) as world:
            world.wake()
            await world.until(lambda: world.ready() == 1)
            (replica,) = world.replicas()
            for _ in range(3):
                await world.until(lambda: world.replicas(State.FROZEN), within=12)
                assert world.ready() == 0
                world.wake()
                await world.until(lambda: world.ready() == 1, within=0.01)
                assert world.replicas()[0].id == replica.id
            await world.until(lambda: world.replicas(State.FROZEN))
            await world.until(lambda: not world.running(), within=601)

    run(story())


def test_an_engine_that_cannot_freeze_is_not_asked_all_the_time() -> None:
    class Stubborn(SimulatedEngine):
        asked = 0

        def freeze(self, specimen: object) -> None:
            self.asked += 1
            raise RuntimeFailure("unsupported", "cannot freeze")

    engine = Stubborn()

    async def story() -> None:
        async with control_world(
            sleeper(stop_after=1000.0, freeze_after=1.0), engine=engine
        ) as world:
            world.wake()
            await world.until(lambda: world.ready() == 1)
            await asyncio.sleep(100)
            assert 2 <= engine.asked <= 100 / FREEZE_AGAIN_AFTER + 1
            world.wake()
            assert world.running()

    run(story())


def test_a_woken_replica_is_routed_before_the_engine_has_thawed_it() -> None:
    """The kernel takes its connections meanwhile. If the engine cannot thaw it, it is replaced; if
    the engine is in trouble, it is thawed later."""

    class Slow(SimulatedEngine):
        registry: Registry
        routed_at_thaw: int | None = None
        fails: RuntimeFailure | None = None

        def thaw(self, specimen: Specimen) -> None:
            self.routed_at_thaw = len(self.registry.snapshot("web").endpoints)
            if self.fails and specimen.instance.status is InstanceStatus.FROZEN:
                failure, self.fails = self.fails, None
                raise failure
            super().thaw(specimen)

    engine = Slow()

    async def story() -> None:
        service = sleeper(stop_after=600.0, freeze_after=10.0)
        async with control_world(service, engine=engine) as world:
            engine.registry = world.registry
            world.wake()
            await world.until(lambda: world.ready() == 1)
            (first,) = world.replicas()
            await world.until(lambda: world.replicas(State.FROZEN))
            world.wake()
            await world.until(lambda: engine.routed_at_thaw is not None, within=0.01)
            assert engine.routed_at_thaw == 1
            await world.until(lambda: world.replicas(State.FROZEN))
            engine.fails = RuntimeFailure("engine-unavailable", "no answer", transient=True)
            world.wake()
            await world.until(lambda: world.replicas(State.FROZEN), within=0.01)
            await world.until(lambda: world.ready() == 1, within=0.2)
            assert [one.id for one in world.replicas()] == [first.id]
            await world.until(lambda: world.replicas(State.FROZEN))
            engine.fails = RuntimeFailure("unsupported", "cannot thaw")
            world.wake()
            await world.until(lambda: world.ready() == 1 and first.id not in world.running())
            assert any("cannot thaw" in line for line in world.happened("replica-failed"))

    run(story())


def test_what_runs_already_is_adopted_and_not_restarted() -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        service = a_service(scaling=scaled(min=2))
        async with control_world(service, engine=engine) as world:
            await world.until(lambda: world.ready() == 2)
            before = sorted(world.running())
        async with control_world(service, engine=engine) as again:
            await again.until(lambda: again.ready() == 2)
            await asyncio.sleep(120)
            assert sorted(again.running()) == before
            assert len(again.happened("replica-adopted")) == 2
            assert again.happened("replica-started") == []

    run(story())


def test_adopted_replicas_are_kept_for_a_full_window() -> None:
    """A restart never scales down before it has seen a full stable window."""
    engine = SimulatedEngine()

    async def story() -> None:
        service = sleeper(stop_after=30.0)
        async with control_world(service, engine=engine) as world:
            world.scaler.scale("web", 4, None, 0)
            await world.until(lambda: world.ready() == 4)
        async with control_world(service, engine=engine) as again:
            for _ in range(20):
                await asyncio.sleep(1)
                again.load(1)
            assert len(again.running()) == 4

    run(story())


def test_instances_of_an_unknown_service_are_removed() -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(a_service("gone", scaling=scaled(min=2)), engine=engine) as world:
            await world.until(lambda: world.ready("gone") == 2)
        async with control_world(a_service("web"), engine=engine) as again:
            await again.until(lambda: not again.running(), within=1)

    run(story())


def test_a_changed_revision_replaces_one_by_one() -> None:
    async def story() -> None:
        service = a_service(scaling=scaled(min=3))
        async with control_world(service) as world:
            await world.until(lambda: world.ready() == 3)
            before = {replica.id for replica in world.replicas()}
            changed = service.model_copy(update={"command": ("serve", "--new")})
            reconfigure(world, changed)
            least, most = 3, 3
            while before & {replica.id for replica in world.replicas()}:
                await asyncio.sleep(0.001)
                least = min(least, world.ready())
                most = max(most, len(world.running()))
            await world.until(lambda: len(world.running()) == 3)
            assert least >= 3, "never less than wanted"
            assert most <= 4, "never more than the surge"

    run(story())


def test_a_service_that_left_the_file_is_stopped() -> None:
    async def story() -> None:
        async with control_world(a_service(scaling=scaled(min=2))) as world:
            await world.until(lambda: world.ready() == 2)
            reconfigure(world)
            await world.until(lambda: not world.running(), within=1)
            assert world.replicas() == []

    run(story())


def test_an_engine_that_is_away_keeps_what_runs_and_comes_back() -> None:
    async def story() -> None:
        async with control_world(a_service(scaling=scaled(min=2))) as world:
            await world.until(lambda: world.ready() == 2)
            before = sorted(world.running())
            world.engine.break_down()
            await asyncio.sleep(40)
            assert world.ready() == 2
            world.engine.mend()
            await asyncio.sleep(60)
            assert sorted(world.running()) == before
            assert len(world.happened("engine-away")) == 1
            assert len(world.happened("engine-back")) == 1

    run(story())


def test_a_stop_that_an_absent_engine_misses_is_made_good() -> None:
    async def story() -> None:
        async with control_world(sleeper(stop_after=5.0)) as world:
            world.wake()
            await world.until(lambda: world.ready() == 1)
            world.engine.break_down()
            await asyncio.sleep(600)
            assert len(world.running()) == 1
            assert len(world.happened("stop-failed")) == 1
            world.engine.mend()
            await world.until(lambda: not world.running(), within=31)
            assert world.replicas() == []

    run(story())


def test_a_drain_overtakes_a_start_that_is_under_way() -> None:
    engine = SimulatedEngine(Behaviour(start_delay=5))

    async def story() -> None:
        async with control_world(sleeper(stop_after=1.0), engine=engine) as world:
            world.wake()
            await world.until(lambda: world.replicas(State.STARTING))
            await world.until(lambda: not world.replicas(), within=4)
            await asyncio.sleep(30)
            assert world.running() == []

    run(story())


def test_static_endpoints_are_replicas_that_nobody_starts() -> None:
    async def story() -> None:
        service = Service(name="web", endpoints=("10.0.0.1:80", "10.0.0.2:80"))
        probed = service.model_copy(
            update={"health": Health(readiness=Probe(tcp=True, every=5.0, failures=100))}
        )
        async with control_world(probed) as world:
            await world.until(lambda: world.ready() == 2, within=1)
            assert world.running() == []
            reconfigure(world, probed.model_copy(update={"endpoints": ("10.0.0.2:80",)}))
            await world.until(lambda: len(world.replicas()) == 1, within=1)
            assert str(world.replicas()[0].address) == "10.0.0.2:80"

    run(story())


def test_nothing_exists_for_services_that_sleep() -> None:
    async def story() -> None:
        services = [a_service(f"s{number}") for number in range(10_000)]
        async with control_world(*services) as world:
            await asyncio.sleep(1)
            assert list(world.registry.used_services()) == []
            tasks = {task.get_name() for task in asyncio.all_tasks()}
            assert not any(name.startswith("s1") for name in tasks)
            world.wake("s77")
            await world.until(lambda: world.ready("s77") == 1, within=1)
            assert list(world.registry.used_services()) == ["s77"]

    run(story())
