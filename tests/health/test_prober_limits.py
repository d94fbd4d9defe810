"""How many probes there are at once and in a second, under virtual time."""

import asyncio

import pytest

from cluster.lifecycle import State
from cluster.model import Replica
from config.health import Check, Probe
from health.verdict import Finding
from tests.support import virtual_time
from tests.support.probed_world import (
    FAILED,
    PASSED,
    Fate,
    World,
    a_health,
    a_replica,
    a_world,
    play,
)  # fmt: skip


@pytest.mark.parametrize(("services", "limit"), [(("web",), 4), (("web", "api", "db"), 7)])
def test_200_replicas_never_exceed_the_limit_and_starts_do_not_wait(
    services: tuple[str, ...], limit: int
) -> None:
    """Seven places, and half of them at most for one service."""
    under_way, most = 0, 0

    async def slow(check: Check, replica: Replica, timeout: float) -> Finding:
        nonlocal under_way, most
        if check.http is None:
            return PASSED
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.9)
        under_way -= 1
        return PASSED

    health = a_health(readiness=Probe(http="/ready", every=1.0))

    async def story() -> None:
        async with a_world(health, slow, limit=7) as world:
            for number in range(200):
                service = services[number % len(services)]
                world.configure(health, service=service)
                world.add(a_replica(f"{service}-{number}", State.READY, service=service))
            await asyncio.sleep(30)
            assert most == limit

            world.configure(a_health(), service="late")
            world.add(a_replica("late-1", service="late"))
            await asyncio.sleep(0)
            assert world.state("late-1") is State.READY

    virtual_time.run(story())


def test_a_hung_service_does_not_delay_the_probes_of_another() -> None:
    async def sight(check: Check, replica: Replica, timeout: float) -> Finding:
        await asyncio.sleep(60.0 if replica.service == "web" else 0.001)
        return PASSED

    health = a_health(readiness=Probe(http="/ready", every=1.0))

    async def story() -> None:
        async with a_world(health, sight, limit=10) as world:
            world.configure(health, service="api")
            for number in range(50):
                world.add(a_replica(f"web-{number}", State.READY))
            world.add(a_replica("api-1", State.READY, service="api"))
            await asyncio.sleep(30)
            assert sum(look.replica == "api-1" for look in world.looks) >= 27

    virtual_time.run(story())


def test_200_replicas_at_1_s_are_never_probed_in_a_burst() -> None:
    """The probes of one second are spread over it, also after the loop stood still."""

    async def story(world: World) -> None:
        for number in range(200):
            world.add(a_replica(f"web-{number}", State.READY))
        await asyncio.sleep(30)
        per_tenth: dict[int, int] = {}
        for look in world.looks:
            per_tenth[int(look.at * 10)] = per_tenth.get(int(look.at * 10), 0) + 1
        assert len(world.looks) == pytest.approx(30 * 200 / 0.95, rel=0.02)
        assert max(per_tenth.values()) < 50

    play(story, a_health(readiness=Probe(http="/ready", every=1.0)), Fate())


def test_a_thousand_starts_at_once_are_tried_at_a_bounded_rate() -> None:
    under_way, most = 0, 0

    async def closed(check: Check, replica: Replica, timeout: float) -> Finding:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return FAILED

    async def story() -> None:
        async with a_world(a_health(), closed) as world:
            for number in range(1000):
                service = f"web{number % 10}"
                world.configure(a_health(), service=service)
                world.add(a_replica(f"{service}-{number}", service=service))
            await asyncio.sleep(10)
            lately = [look for look in world.looks if look.at > 5.0]
            assert most == 100
            assert len(lately) / 5 < 2100

    virtual_time.run(story())


def test_the_limit_delays_no_replica_for_ever() -> None:
    async def slow(check: Check, replica: Replica, timeout: float) -> Finding:
        await asyncio.sleep(0.5)
        return PASSED

    async def story() -> None:
        async with a_world(a_health(readiness=Probe(http="/ready", every=1.0)), slow, limit=2) as w:
            for number in range(40):
                w.add(a_replica(f"web-{number}", State.READY))
            await asyncio.sleep(25)
            assert {look.replica for look in w.looks} == {f"web-{n}" for n in range(40)}

    virtual_time.run(story())
