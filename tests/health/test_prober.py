"""Who is probed when, under virtual time; and real ports at the end."""

import asyncio
from collections.abc import Callable

import pytest

from cluster.lifecycle import Event, State
from cluster.model import Address, Replica
from config.service import Probe
from health.duties import Check
from health.verdict import Finding, Result
from tests.support import virtual_time
from tests.support.probed_world import (
    FAILED,
    PASSED,
    UNKNOWN,
    Fate,
    World,
    a_health,
    a_replica,
    a_world,
    health_tasks,
    play,
)

READINESS = Probe(http="/ready", every=5.0, failures=3)
LIVENESS = Probe(http="/live", every=10.0, failures=3)
BOTH = a_health(readiness=READINESS, liveness=LIVENESS)


def opens_at(seconds: float) -> "Callable[[Check, Replica, float], Finding]":
    def sight(check: Check, replica: Replica, timeout: float) -> Finding:
        return PASSED if asyncio.get_running_loop().time() >= seconds else FAILED

    return sight


# Startup


def test_a_starting_replica_is_tried_at_once_then_with_a_growing_pause() -> None:
    async def story() -> None:
        async with a_world(a_health(), opens_at(100.2)) as world:
            world.add(a_replica())
            assert health_tasks() == ["health startup web-1"]
            await asyncio.sleep(1)
            pauses = [b.at - a.at for a, b in zip(world.looks, world.looks[1:], strict=False)]
            assert world.looks[0].at == 100.0
            assert pauses[:3] == pytest.approx([0.001, 0.0011, 0.00121])
            assert world.known().since <= 100.2 + 0.02
            assert len(world.looks) < 40
            assert world.state() is State.READY

    virtual_time.run(story(), start=100.0)


def test_ready_is_published_in_the_turn_in_which_the_port_opened() -> None:
    async def story(world: World) -> None:
        published: list[float] = []
        world.registry.on_snapshot(lambda snapshot: published.append(len(world.looks)))
        world.add(a_replica())
        await asyncio.sleep(0)
        assert world.endpoints() == ["web-1"]
        assert published == [1]
        assert world.told() == ["replica-ready"]

    play(story, a_health(), Fate())


def test_a_replica_without_an_address_is_tried_once_it_has_one() -> None:
    async def story(world: World) -> None:
        world.add(a_replica(address=None))
        await asyncio.sleep(10)
        assert world.looks == []
        world.registry.locate("web-1", "i-web-1", Address("127.0.0.1", 8080))
        await asyncio.sleep(0.01)
        assert world.state() is State.READY

    play(story, a_health(), Fate())


def test_a_new_address_is_a_new_start() -> None:
    async def story(world: World) -> None:
        world.add(a_replica())
        await asyncio.sleep(50)
        world.registry.locate("web-1", "i-web-1", Address("127.0.0.1", 9090))
        await asyncio.sleep(50)
        assert world.state() is State.STARTING
        assert health_tasks() == ["health startup web-1"]

    play(story, a_health(), Fate(startup=FAILED))


def test_a_missed_deadline_condemns() -> None:
    async def story(world: World) -> None:
        world.add(a_replica())
        await asyncio.sleep(59.99)
        assert world.state() is State.STARTING
        await asyncio.sleep(0.02)
        assert world.state() is State.FAILED
        text = "port 8080 did not open within 60 s (last try: connection refused)"
        assert world.known().reason == text
        assert world.told() == ["replica-condemned"]
        assert health_tasks() == []

    play(story, a_health(), Fate(startup=FAILED))


def test_with_readiness_a_start_needs_both_and_asks_readiness_at_once() -> None:
    fate = Fate(ready=FAILED)

    async def story(world: World) -> None:
        world.add(a_replica())
        await asyncio.sleep(0.0001)
        assert [look.check.http for look in world.looks] == [None, "/ready"]
        await asyncio.sleep(1)
        assert world.state() is State.STARTING
        fate.ready = PASSED
        await asyncio.sleep(0.06)
        assert world.state() is State.READY
        assert sum(look.check.http is None for look in world.looks) == 1

    play(story, BOTH, fate)


def test_readiness_is_asked_at_once_however_late_the_port_opened() -> None:
    def sight(check: Check, replica: Replica, timeout: float) -> Finding:
        return PASSED if check.http else opens_at(105.0)(check, replica, timeout)

    async def story() -> None:
        async with a_world(BOTH, sight) as world:
            world.add(a_replica())
            await asyncio.sleep(5.06)
            first_ready = next(look for look in world.looks if look.check.http == "/ready")
            last_startup = [look for look in world.looks if look.check.http is None][-1]
            assert first_ready.at == last_startup.at

    virtual_time.run(story(), start=100.0)


def test_an_adopted_ready_replica_has_no_startup_probe() -> None:
    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        assert health_tasks() == ["health liveness web-1", "health readiness web-1"]

    play(story, BOTH, Fate(startup=FAILED))


# Repeated probes


def test_readiness_takes_out_and_brings_back() -> None:
    fate = Fate()

    async def story(world: World) -> None:
        world.add(a_replica())
        await asyncio.sleep(20)
        fate.ready = Finding(Result.FAILED, "GET /ready answered 503")
        await asyncio.sleep(3 * 5.5)
        assert world.state() is State.UNHEALTHY
        assert world.endpoints() == []
        text = "readiness failed, 3 times in a row: GET /ready answered 503"
        assert world.known().reason == text
        fate.ready = PASSED
        await asyncio.sleep(5.5)
        assert world.state() is State.READY
        assert world.told() == ["replica-ready", "replica-unready", "replica-ready"]

    play(story, BOTH, fate)


def test_liveness_evicts_and_a_replica_that_nothing_replaces_goes_after_all() -> None:
    fate = Fate()

    async def story(world: World) -> None:
        world.add(a_replica())
        await asyncio.sleep(20)
        fate.live = FAILED
        await asyncio.sleep(33)
        assert world.state() is State.UNHEALTHY
        assert world.endpoints() == []
        assert world.known().reason == "liveness failed, 3 times in a row: connection refused"
        failed = world.count(
            "tidegate_probes_total", service="web", kind="liveness", outcome="failed"
        )
        assert failed in (3, 4)
        await asyncio.sleep(75)
        assert world.state() is State.FAILED
        assert "no replacement was ready within" in world.known().reason
        assert health_tasks() == []
        assert world.told() == ["replica-ready", "replica-evicted", "replica-condemned"]

    play(story, BOTH, fate)


def test_readiness_of_an_evicted_replica_does_not_forgive_its_liveness() -> None:
    fate = Fate(ready=PASSED, live=FAILED)

    async def story(world: World) -> None:
        world.add(a_replica(state=State.UNHEALTHY))
        await asyncio.sleep(33)
        assert world.told()[-1] == "replica-evicted"
        await asyncio.sleep(20)
        assert world.state() is State.UNHEALTHY
        fate.live = PASSED
        await asyncio.sleep(11)
        assert world.state() is State.READY

    play(story, BOTH, fate)


def test_unknown_results_change_nothing() -> None:
    """An engine that restarts or a lack of descriptors must not evict the whole fleet."""

    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        await asyncio.sleep(600)
        assert world.state() is State.READY
        assert world.count(
            "tidegate_probes_total", service="web", kind="liveness", outcome="unknown"
        ) == pytest.approx(60, abs=7)

    play(story, BOTH, Fate(ready=UNKNOWN, live=UNKNOWN))


@pytest.mark.parametrize(
    ("leave", "state"),
    [
        (Event.FREEZE, State.FROZEN),
        (Event.DRAIN, State.DRAINING),
        (Event.EXITED, State.FAILED),
        (Event.CONDEMNED, State.FAILED),
    ],
)
def test_no_task_is_left_after_a_replica_left(leave: Event, state: State) -> None:
    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        await asyncio.sleep(12)
        world.advance(leave)
        before = len(world.looks)
        await asyncio.sleep(0)
        assert health_tasks() == []
        await asyncio.sleep(100)
        assert (world.state(), len(world.looks)) == (state, before)

    play(story, BOTH, Fate())


def test_a_probe_under_way_ends_when_its_replica_leaves() -> None:
    async def hang(check: Check, replica: Replica, timeout: float) -> Finding:
        await asyncio.Event().wait()
        return PASSED

    async def story() -> None:
        async with a_world(BOTH, hang) as world:
            for name in ("web-1", "web-2"):
                world.add(a_replica(name))
            await asyncio.sleep(1)
            world.registry.forget("web-1")
            world.advance(Event.DRAIN, "web-2")
            await asyncio.sleep(0)
            assert health_tasks() == []

    virtual_time.run(story())


def test_a_thawed_replica_is_ready_at_once_and_probed_again() -> None:
    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        world.advance(Event.FREEZE)
        await asyncio.sleep(50)
        world.advance(Event.THAW)
        assert world.endpoints() == ["web-1"]
        await asyncio.sleep(25)
        assert {look.check.http for look in world.looks} == {"/ready", "/live"}

    play(story, BOTH, Fate())


def test_failures_before_a_freeze_are_forgotten() -> None:
    fate = Fate(ready=FAILED)

    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        while sum(look.check.http == "/ready" for look in world.looks) < 2:  # noqa: ASYNC110 (on virtual time)
            await asyncio.sleep(0.1)
        world.advance(Event.FREEZE)
        world.advance(Event.THAW)
        await asyncio.sleep(10)
        assert world.state() is State.READY

    play(story, a_health(readiness=READINESS), fate)


def test_a_forgotten_replica_is_left_alone() -> None:
    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY, static=True))
        await asyncio.sleep(12)
        world.registry.forget("web-1")
        await asyncio.sleep(0)
        assert health_tasks() == []

    play(story, BOTH, Fate())


def test_a_sleeping_service_costs_no_task_and_no_timer() -> None:
    """Without the deadlock the virtual loop would find a timer to jump to."""

    async def story(world: World) -> None:
        world.add(a_replica())
        await asyncio.sleep(12)
        world.advance(Event.DRAIN)
        world.advance(Event.EXITED)
        world.registry.forget("web-1")
        await asyncio.Event().wait()

    with pytest.raises(virtual_time.Deadlock):
        play(story, BOTH, Fate())


# The end


def test_a_closed_prober_starts_nothing_more() -> None:
    async def story(world: World) -> None:
        world.add(a_replica())
        await asyncio.sleep(1)
        world.prober.close()
        world.add(a_replica("web-2"))
        await asyncio.sleep(0)
        assert health_tasks() == []

    play(story, BOTH, Fate())
