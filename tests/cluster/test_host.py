"""A full host: the whole control plane on virtual time, with a budget of memory."""

import asyncio

from cluster.host import PATIENCE, UNKNOWN
from cluster.room import IDLE_FOR
from config.rules import CpuRule, MemoryRule, MetricRule
from config.scaling import Idle, Scaling
from config.service import Resources, Service
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.cluster.builders import a_service
from tests.support.control_world import ControlWorld, control_world, reconfigure
from tests.support.virtual_time import run

MIB = 2**20


def sized(name: str, mebibytes: int | None = 100, **changes: object) -> Service:
    scaling = {"idle": Idle(stop_after=3600.0), **changes.pop("scaling", {})}  # type: ignore[dict-item]
    size = Resources(memory=mebibytes * MIB if mebibytes else None)
    return a_service(name, resources=size, scaling=Scaling(**scaling), **changes)


def now() -> float:
    return asyncio.get_running_loop().time()


async def used(world: ControlWorld, service: str) -> None:
    """Woken and answered: idle from now on."""
    world.wake(service)
    world.load(1, service)
    await world.until(lambda: world.ready(service), within=60)
    await fall_idle(world, service)


async def fall_idle(world: ControlWorld, service: str) -> None:
    world.load(0, service)
    await asyncio.sleep(1)
    world.load(0, service)


async def keep_busy(world: ControlWorld, service: str) -> None:
    while True:
        world.load(1, service)
        await asyncio.sleep(1)


async def seem_idle(world: ControlWorld, service: str) -> None:
    while True:
        world.load(0, service)
        await asyncio.sleep(1)


def taken(world: ControlWorld) -> float | None:
    labels = {"kind": "taken"}
    return world.collectors.get_sample_value("tidegate_host_memory_bytes", labels)


def test_an_idle_service_makes_room_for_one_that_is_asked_for() -> None:
    async def story() -> None:
        async with control_world(sized("a"), sized("b"), sized("c"), memory=200 * MIB) as world:
            await used(world, "a")
            await used(world, "b")
            await asyncio.sleep(10)
            assert taken(world) == 200 * MIB
            begun = now()
            world.wake("c")
            await world.until(lambda: world.ready("c"), within=60)
            assert now() - begun < 0.1
            assert (world.ready("a"), world.ready("b")) == (0, 1)  # the least recently used
            assert world.registry.trouble("c") is None
            assert world.registry.desired("a").reason.startswith("idle, and c needs its memory")
            (told,) = world.happened("host-full")
            assert told.startswith("c waits for a, which is idle and stopped for it: needs 100MiB")
            assert "0MiB free of 200MiB" in told
            assert taken(world) == 200 * MIB
            # It stays asleep: nothing but its former use would want it awake.
            await asyncio.sleep(30)
            assert world.ready("a") == 0

    run(story())


def test_whoever_is_in_use_stays_and_the_other_is_told_why() -> None:
    async def story() -> None:
        async with (
            control_world(sized("a"), sized("b"), memory=150 * MIB) as world,
            asyncio.TaskGroup() as group,
        ):
            await used(world, "a")
            busy = group.create_task(keep_busy(world, "a"))
            await asyncio.sleep(5)
            world.wake("b")
            world.load(1, "b")
            await asyncio.sleep(PATIENCE - 0.1)
            assert world.registry.snapshot("b").trouble is None
            await asyncio.sleep(0.2)
            trouble = world.registry.snapshot("b").trouble
            assert trouble is not None
            assert (trouble.code, trouble.retry_after) == ("host-full", 5.0)
            assert trouble.detail == ""  # who else is there is nothing for clients
            known = world.registry.trouble("b")
            assert known is not None
            assert "needs 100MiB, 50MiB free of 150MiB, held by a: 100MiB" in str(known)
            assert (world.ready("a"), world.ready("b")) == (1, 0)
            told = world.happened("host-full")
            assert len(told) == 1
            assert told[0].startswith("b is not started: needs 100MiB")
            # Once it falls idle it makes room.
            busy.cancel()
            begun = now()
            await fall_idle(world, "a")
            await world.until(lambda: world.ready("b"), within=10)
            assert IDLE_FOR - 0.001 < now() - begun < IDLE_FOR + 2.5
            assert world.registry.trouble("b") is None

    run(story())


def test_whoever_was_asked_just_now_is_in_use() -> None:
    """By the reports, which are up to a second old, it is idle."""

    async def story() -> None:
        async with control_world(sized("a"), sized("b"), memory=100 * MIB) as world:
            await used(world, "a")
            await asyncio.sleep(10)
            world.busy["a"] = 1
            world.wake("b")
            await asyncio.sleep(PATIENCE + 0.1)
            assert (world.ready("a"), world.ready("b")) == (1, 0)
            trouble = world.registry.trouble("b")
            assert trouble is not None
            assert trouble.code == "host-full"
            del world.busy["a"]
            await fall_idle(world, "a")
            await world.until(lambda: world.ready("b"), within=10)

    run(story())


def test_in_use_in_spite_of_the_reports_is_told_once() -> None:
    """Whoever is refused room is not told so anew each time that somebody seemed to be idle."""

    async def story() -> None:
        async with (
            control_world(sized("a"), sized("b"), memory=100 * MIB) as world,
            asyncio.TaskGroup() as group,
        ):
            await used(world, "a")
            await asyncio.sleep(10)
            world.busy["a"] = 1
            world.wake("b")
            seeming = group.create_task(seem_idle(world, "a"))
            await asyncio.sleep(PATIENCE + 1)
            troubles = set[object]()
            for _ in range(600):
                trouble = world.registry.snapshot("b").trouble
                troubles.add(trouble and trouble.code)
                await asyncio.sleep(0.1)
            assert troubles == {"host-full"}
            assert len(world.happened("host-full")) == 1
            del world.busy["a"]
            await world.until(lambda: world.ready("b"), within=10)
            assert world.registry.snapshot("b").trouble is None
            seeming.cancel()

    run(story())


def test_min_leases_and_what_never_stops_are_spared() -> None:
    async def story() -> None:
        kept = sized("kept", scaling={"min": 1})
        leased, frozen = sized("leased"), sized("frozen", scaling={"idle": Idle(stop_after=None)})
        by_hand = sized("hand")
        async with control_world(
            kept, leased, frozen, by_hand, sized("new"), memory=400 * MIB
        ) as world:
            await world.until(lambda: world.ready("kept"))
            await used(world, "leased")
            world.leasing.take("leased", 600.0, wake=False, replica=None)
            await used(world, "frozen")
            world.scaler.scale("hand", 1, None, now())
            await world.until(lambda: world.ready("hand"))
            await asyncio.sleep(20)
            world.wake("new")
            await asyncio.sleep(5)
            assert world.ready("new") == 0
            assert all(world.ready(name) for name in ("kept", "leased", "frozen", "hand"))
            trouble = world.registry.trouble("new")
            assert trouble is not None
            assert trouble.code == "host-full"
            # It is told no more once nobody asks.
            world.scaler.scale("new", 0, None, now())
            await asyncio.sleep(1)
            assert world.registry.trouble("new") is None

    run(story())


def test_a_rule_about_cpu_or_memory_keeps_nobody_who_may_sleep() -> None:
    async def story() -> None:
        rules: tuple[MetricRule, ...] = (CpuRule(metric="cpu"), MemoryRule(metric="memory"))
        a = sized("a", scaling={"rules": rules})
        async with control_world(a, sized("b"), memory=100 * MIB) as world:
            await used(world, "a")
            await asyncio.sleep(10)
            world.wake("b")
            await world.until(lambda: world.ready("b"), within=1)
            assert world.ready("a") == 0

    run(story())


def test_a_higher_priority_is_spared_and_served_first() -> None:
    async def story() -> None:
        high, low = sized("high", priority=1), sized("low")
        async with control_world(
            high, low, sized("a"), sized("b", priority=1), memory=100 * MIB
        ) as world:
            await used(world, "high")
            await asyncio.sleep(10)
            world.wake("low")
            await asyncio.sleep(3)
            assert (world.ready("high"), world.ready("low")) == (1, 0)
            world.wake("b")  # asked later, but comes first
            await world.until(lambda: world.ready("b"), within=10)
            assert (world.ready("high"), world.ready("low")) == (0, 0)

    run(story())


def test_what_is_freed_for_one_is_not_given_to_another() -> None:
    """The one that was put to sleep is asked for at once: it does not take its room back."""

    async def story() -> None:
        engine = SimulatedEngine()
        engine.script("a", Behaviour(stop_delay=2.0))
        async with (
            control_world(sized("a"), sized("b"), engine=engine, memory=100 * MIB) as world,
            asyncio.TaskGroup() as group,
        ):
            await used(world, "a")
            await asyncio.sleep(10)
            world.wake("b")
            asking = group.create_task(keep_busy(world, "b"))
            await asyncio.sleep(0.5)
            world.wake("a")
            world.load(1, "a")
            await world.until(lambda: world.ready("b") or world.ready("a"), within=10)
            assert (world.ready("a"), world.ready("b")) == (0, 1)
            asking.cancel()

    run(story())


def test_half_of_what_is_freed_is_not_given_away_either() -> None:
    """Two make room for a large one, one after the other, and a small one asks in between."""

    async def story() -> None:
        engine = SimulatedEngine()
        engine.script("slow", Behaviour(stop_delay=3.0))
        services = sized("quick"), sized("slow"), sized("large", 200), sized("small")
        async with (
            control_world(*services, engine=engine, memory=200 * MIB) as world,
            asyncio.TaskGroup() as group,
        ):
            await used(world, "quick")
            await used(world, "slow")
            await asyncio.sleep(10)
            world.wake("large")
            asking = group.create_task(keep_busy(world, "large"))
            await world.until(lambda: not world.replicas(service="quick"), within=1)
            world.wake("small")
            world.load(1, "small")
            await world.until(lambda: world.ready("large") or world.ready("small"), within=10)
            assert (world.ready("small"), world.ready("large")) == (0, 1)
            asking.cancel()

    run(story())


def test_whoever_is_needed_by_one_that_is_awake_stays() -> None:
    async def story() -> None:
        db = sized("db")
        web = a_service("web", depends_on={"db": {}}, resources=Resources(memory=100 * MIB))
        async with control_world(db, web, sized("new"), memory=200 * MIB) as world:
            world.wake("web")
            world.load(1, "web")
            await world.until(lambda: world.ready("web") and world.ready("db"), within=10)
            async with asyncio.TaskGroup() as group:
                busy = group.create_task(keep_busy(world, "web"))
                await asyncio.sleep(10)
                world.wake("new")
                await asyncio.sleep(PATIENCE + 1)
                assert (world.ready("web"), world.ready("db"), world.ready("new")) == (1, 1, 0)
                busy.cancel()

    run(story())


def test_as_many_as_fit_are_started() -> None:
    async def story() -> None:
        big = sized("big", scaling={"min": 5, "max": 10})
        async with control_world(big, memory=350 * MIB) as world:
            await world.until(lambda: world.ready("big") == 3)
            await asyncio.sleep(10)
            assert len(world.replicas(service="big")) == 3
            trouble = world.registry.trouble("big")
            assert trouble is not None
            assert "held by big: 300MiB" in str(trouble)
            world.host.configure(600 * MIB)
            await world.until(lambda: world.ready("big") == 5, within=1)
            assert world.registry.trouble("big") is None

    run(story())


def test_without_a_limit_what_was_measured_counts() -> None:
    async def story() -> None:
        engine = SimulatedEngine(Behaviour(memory=10 * MIB))
        free = sized("free", None, scaling={"min": 1, "max": 10})
        async with control_world(free, engine=engine, memory=UNKNOWN + 100 * MIB) as world:
            await world.until(lambda: world.ready("free"))
            assert taken(world) == UNKNOWN
            await world.until(lambda: taken(world) == 10 * MIB, within=10)
            world.scaler.scale("free", 10, None, now())
            await world.until(lambda: world.ready("free") == 10, within=1)

    run(story())


def test_a_service_that_left_the_file_waits_no_more() -> None:
    async def story() -> None:
        a = sized("a", scaling={"min": 1})
        async with control_world(a, sized("b"), memory=100 * MIB) as world:
            await world.until(lambda: world.ready("a"))
            world.wake("b")
            await asyncio.sleep(5)
            assert world.happened("host-full")
            reconfigure(world, a)
            await asyncio.sleep(1)
            assert world.host._waiting == {}

    run(story())


def test_without_a_budget_nothing_is_counted() -> None:
    async def story() -> None:
        async with control_world(sized("a", 10**6)) as world:
            await used(world, "a")
            assert world.happened("host-full") == []
            assert taken(world) in (None, 0)

    run(story())
