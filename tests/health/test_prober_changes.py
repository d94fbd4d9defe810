"""Reloads, endpoints that others run, and refusals that traffic reports."""

import asyncio

import pytest

from cluster.lifecycle import State
from cluster.model import Replica
from config.service import Outliers, Probe, StartupProbe
from health.duties import Check
from health.verdict import Finding
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


# Reload


def test_a_reload_adds_and_removes_probes_of_running_replicas() -> None:
    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        await asyncio.sleep(0)
        assert health_tasks() == []
        world.configure(BOTH)
        await asyncio.sleep(0)
        assert health_tasks() == ["health liveness web-1", "health readiness web-1"]
        world.configure(a_health(readiness=READINESS))
        await asyncio.sleep(0)
        assert health_tasks() == ["health readiness web-1"]
        world.registry.configure({})
        await asyncio.sleep(0)
        assert health_tasks() == []

    play(story, a_health(), Fate())


def test_each_round_uses_the_current_spec() -> None:
    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        await asyncio.sleep(12)
        assert {look.check.http for look in world.looks} == {"/ready"}
        world.configure(a_health(readiness=Probe(http="/live", every=5.0, timeout=3.0)))
        world.looks.clear()
        await asyncio.sleep(12)
        assert {(look.check.http, look.timeout) for look in world.looks} == {("/live", 3.0)}

    play(story, a_health(readiness=READINESS), Fate())


def test_a_reload_that_drops_readiness_does_not_strand_the_unhealthy() -> None:
    async def story(world: World) -> None:
        world.add(a_replica(state=State.UNHEALTHY))
        await asyncio.sleep(20)
        assert world.state() is State.UNHEALTHY
        world.configure(a_health())
        await asyncio.sleep(0.01)
        assert world.state() is State.READY

    play(story, a_health(readiness=READINESS), Fate(ready=FAILED))


# Endpoints that others run


def test_an_endpoint_is_tried_for_ever_and_in_no_hurry() -> None:
    fate = Fate(startup=FAILED)

    async def story(world: World) -> None:
        world.add(a_replica(static=True))
        await asyncio.sleep(600)
        assert world.state() is State.STARTING
        assert world.told() == ["endpoint-silent"]
        world.looks.clear()
        await asyncio.sleep(600)
        assert len(world.looks) == 120
        fate.startup = PASSED
        await asyncio.sleep(5)
        assert world.state() is State.READY

    play(story, a_health(), fate)


def test_an_endpoint_leaves_and_returns_by_its_liveness() -> None:
    fate = Fate(live=FAILED)

    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY, static=True))
        await asyncio.sleep(33)
        assert world.state() is State.UNHEALTHY
        fate.live = PASSED
        await asyncio.sleep(11)
        assert world.state() is State.READY

    play(story, a_health(liveness=LIVENESS), fate)


# Refused by traffic


def test_a_refused_request_is_confirmed_at_once() -> None:
    fate = Fate()

    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        world.prober.confirm("web-1")
        await asyncio.sleep(0)
        assert [look.check for look in world.looks] == [StartupProbe(tcp=True)]
        assert world.state() is State.READY

        fate.startup = FAILED
        world.prober.confirm("web-1")
        world.prober.confirm("web-1")
        await asyncio.sleep(0)
        assert world.state() is State.UNHEALTHY
        text = "requests failed and a probe confirms it: connection refused"
        assert world.known().reason == text
        assert len(world.looks) == 2

    play(story, BOTH, fate)


def test_one_look_is_enough_for_many_refusals_and_a_reload_does_not_disturb_it() -> None:
    async def slow(check: Check, replica: Replica, timeout: float) -> Finding:
        await asyncio.sleep(0.5)
        return FAILED

    async def story() -> None:
        async with a_world(a_health(), slow) as world:
            world.add(a_replica(state=State.READY))
            for _ in range(10):
                world.prober.confirm("web-1")
                await asyncio.sleep(0.04)
            world.configure(a_health(outliers=Outliers(failures=0)))
            assert len(world.looks) == 1
            await asyncio.sleep(0.11)
            assert world.state() is State.UNHEALTHY

    virtual_time.run(story())


def test_without_readiness_a_refused_replica_returns_when_its_port_opens_again() -> None:
    fate = Fate(startup=FAILED)

    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        world.prober.confirm("web-1")
        await asyncio.sleep(30)
        assert world.state() is State.UNHEALTHY
        assert health_tasks() == ["health recovery web-1"]
        fate.startup = PASSED
        await asyncio.sleep(5)
        assert world.state() is State.READY

    play(story, a_health(), fate)


def test_a_refused_replica_that_stays_closed_is_condemned() -> None:
    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        world.prober.confirm("web-1")
        await asyncio.sleep(60.1)
        assert world.state() is State.FAILED
        text = "port 8080 did not open again within 60 s (last try: connection refused)"
        assert world.known().reason == text

    play(story, a_health(), Fate(startup=FAILED))


def test_one_success_after_a_refusal_is_not_yet_enough_when_two_are_asked_for() -> None:
    fate = Fate()
    health = a_health(readiness=Probe(http="/ready", every=5.0, successes=2))

    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        await asyncio.sleep(60)
        fate.startup = FAILED
        world.prober.confirm("web-1")
        world.looks.clear()
        await asyncio.sleep(5.5)
        assert sum(look.check.http == "/ready" for look in world.looks) == 1
        assert world.state() is State.UNHEALTHY
        await asyncio.sleep(5.5)
        assert world.state() is State.READY

    play(story, health, fate)


def test_an_unclear_look_confirms_nothing() -> None:
    async def story(world: World) -> None:
        world.add(a_replica(state=State.READY))
        world.prober.confirm("web-1")
        await asyncio.sleep(1)
        assert world.state() is State.READY

    play(story, a_health(), Fate(startup=UNKNOWN))


@pytest.mark.parametrize(
    "replica",
    [
        pytest.param(a_replica(state=State.READY, static=True), id="run by others"),
        pytest.param(a_replica(state=State.UNHEALTHY), id="out already"),
        pytest.param(a_replica("gone", state=State.READY), id="unknown"),
    ],
)
def test_nothing_is_confirmed_about(replica: Replica) -> None:
    async def story(world: World) -> None:
        world.add(replica)
        await asyncio.sleep(0)
        world.looks.clear()
        world.prober.confirm("web-1")
        await asyncio.sleep(0)
        assert all(look.check.http for look in world.looks)

    play(story, BOTH, Fate(startup=FAILED))
