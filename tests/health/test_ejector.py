"""Outcomes of requests become ejections, and ejections end, under virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cluster.lifecycle import Event, State
from cluster.messages import Outcome, OutcomeKind
from cluster.model import Replica
from config.service import Health, Outliers
from health.duties import Check
from health.verdict import Finding
from tests.support import virtual_time
from tests.support.probed_world import (
    FAILED,
    PASSED,
    World,
    a_health,
    a_replica,
    a_world,
    health_tasks,
)

HEALTH = a_health(outliers=Outliers(failures=3, eject_for=10.0, max_ejected=0.5))


def play(
    story: Callable[[World], Awaitable[None]],
    health: Health = HEALTH,
    sight: Finding = PASSED,
    replicas: int = 4,
) -> None:
    def look(check: Check, replica: Replica, timeout: float) -> Finding:
        return sight

    async def tell() -> None:
        async with a_world(health, look) as world:
            for number in range(1, replicas + 1):
                world.add(a_replica(f"web-{number}", State.READY))
            await story(world)

    virtual_time.run(tell(), start=100.0)


def fail(
    world: World,
    replica: str = "web-1",
    times: int = 3,
    kind: OutcomeKind = OutcomeKind.SERVER_ERROR,
) -> None:
    for _ in range(times):
        world.ejector.record(Outcome("web", replica, kind))


def timers() -> int:
    return sum(not handle.cancelled() for handle in vars(asyncio.get_running_loop())["_scheduled"])


def test_an_outlier_leaves_the_snapshot_at_once_and_returns_by_itself() -> None:
    async def story(world: World) -> None:
        fail(world)
        assert world.endpoints() == ["web-2", "web-3", "web-4"]
        assert world.state() is State.READY
        await asyncio.sleep(9.99)
        assert "web-1" not in world.endpoints()
        await asyncio.sleep(0.02)
        assert "web-1" in world.endpoints()
        assert world.told() == ["replica-ejected", "replica-returned"]
        assert world.count("tidegate_ejections_total", service="web") == 1

    play(story)


def test_the_event_says_what_was_seen_and_for_how_long() -> None:
    async def story(world: World) -> None:
        fail(world, kind=OutcomeKind.TIMEOUT)
        message = world.events.since()[0].message
        assert message == (
            "web-1: 3 requests in a row failed (last: no answer in time); "
            "it gets none for 10 s, see `tidegate logs web`"
        )

    play(story)


def test_a_success_between_failures_prevents_it() -> None:
    async def story(world: World) -> None:
        for _ in range(5):
            fail(world, times=2)
            world.ejector.record(Outcome("web", "web-1", OutcomeKind.OK))
        assert len(world.endpoints()) == 4

    play(story)


def test_the_last_ready_replica_is_never_ejected() -> None:
    async def story(world: World) -> None:
        fail(world, times=100)
        assert world.endpoints() == ["web-1"]

    play(story, replicas=1)


def test_half_of_them_stay_whatever_fails() -> None:
    async def story(world: World) -> None:
        for number in range(1, 4):
            fail(world, f"web-{number}", times=30)
        assert len(world.endpoints()) == 2

    play(story)


def test_what_all_do_alike_ejects_none() -> None:
    """A dependency that is down, or an answer 500 on purpose: F7 asks for outliers."""

    async def story(world: World) -> None:
        for _ in range(30):
            for number in range(1, 5):
                fail(world, f"web-{number}", times=1)
        assert len(world.endpoints()) == 4
        assert world.told() == []

    play(story)


def test_when_those_that_are_left_fail_as_well_all_return() -> None:
    """Fail open: to be out has helped nobody. One that then succeeds shows who the outliers are."""

    async def story(world: World) -> None:
        fail(world, "web-1")
        fail(world, "web-2")
        fail(world, "web-3", times=2)
        assert world.endpoints() == ["web-3", "web-4"]
        fail(world, "web-4")
        assert len(world.endpoints()) == 4
        assert world.said("replica-returned") == [
            f"web-{number}: all others fail as well, it gets requests again" for number in (1, 2)
        ]
        world.ejector.record(Outcome("web", "web-4", OutcomeKind.OK))
        fail(world, "web-1")
        assert world.endpoints() == ["web-2", "web-3", "web-4"]

    play(story)


def test_of_two_the_second_brings_the_first_back() -> None:
    async def story(world: World) -> None:
        fail(world, "web-1")
        assert world.endpoints() == ["web-2"]
        fail(world, "web-2")
        assert world.endpoints() == ["web-1", "web-2"]
        await asyncio.sleep(60)
        assert timers() == 0

    play(story, replicas=2)


def test_when_the_others_leave_the_ejected_return_early() -> None:
    async def story(world: World) -> None:
        fail(world)
        world.advance(Event.DRAIN, "web-2")
        assert world.endpoints() == ["web-3", "web-4"]
        world.advance(Event.DRAIN, "web-3")
        world.registry.forget("web-4")
        assert world.endpoints() == ["web-1"]

    play(story)


def test_each_ejection_in_a_row_lasts_longer() -> None:
    async def story(world: World) -> None:
        fail(world)
        await asyncio.sleep(10.01)
        fail(world)
        await asyncio.sleep(19.9)
        assert "web-1" not in world.endpoints()
        await asyncio.sleep(0.2)
        assert "web-1" in world.endpoints()

    play(story)


def test_several_ejections_end_one_by_one() -> None:
    async def story(world: World) -> None:
        fail(world, "web-1")
        await asyncio.sleep(4)
        fail(world, "web-2")
        await asyncio.sleep(6.01)
        assert world.endpoints() == ["web-1", "web-3", "web-4"]
        await asyncio.sleep(4)
        assert len(world.endpoints()) == 4

    play(story)


def test_nothing_ejected_is_nothing_waited_for() -> None:
    """The virtual loop names a deadlock when no timer is left."""

    async def story(world: World) -> None:
        fail(world)
        await asyncio.sleep(10.01)
        await asyncio.Event().wait()

    with pytest.raises(virtual_time.Deadlock):
        play(story)


def test_an_ejected_replica_that_leaves_takes_its_timer_along() -> None:
    async def story(world: World) -> None:
        assert timers() == 0
        fail(world)
        assert timers() == 1
        world.registry.forget("web-1")
        assert timers() == 0

    play(story)


def test_a_reload_that_turns_it_off_ends_all_ejections() -> None:
    async def story(world: World) -> None:
        fail(world)
        world.configure(a_health(outliers=Outliers(failures=0)))
        assert len(world.endpoints()) == 4
        fail(world, times=100)
        assert len(world.endpoints()) == 4

    play(story)


def test_late_news_is_ignored() -> None:
    async def story(world: World) -> None:
        fail(world, "web-9", times=10)
        world.ejector.record(Outcome("other", "web-1", OutcomeKind.RESET))
        world.advance(Event.UNREADY, "web-2")
        fail(world, "web-2", times=10)
        assert world.endpoints() == ["web-1", "web-3", "web-4"]
        assert world.told() == []

    play(story)


def test_failures_of_a_replica_that_is_out_do_not_count_when_it_is_back() -> None:
    async def story(world: World) -> None:
        world.advance(Event.UNREADY)
        fail(world, times=2)
        world.advance(Event.PASSED)
        fail(world, times=1)
        assert "web-1" in world.endpoints()

    play(story)


def test_a_refusal_that_a_probe_confirms_takes_out_even_the_last() -> None:
    """A closed port is no doubt but a fact: requests must wait for a replacement instead."""

    async def story(world: World) -> None:
        fail(world, times=1, kind=OutcomeKind.REFUSED)
        assert health_tasks() == ["health confirm web-1"]
        await asyncio.sleep(0)
        assert world.state() is State.UNHEALTHY
        assert world.endpoints() == []

    play(story, sight=FAILED, replicas=1)


def test_a_refusal_that_a_probe_denies_is_one_failure() -> None:
    async def story(world: World) -> None:
        fail(world, times=1, kind=OutcomeKind.REFUSED)
        await asyncio.sleep(0)
        assert len(world.looks) == 1
        assert "web-1" in world.endpoints()
        fail(world, times=2, kind=OutcomeKind.REFUSED)
        assert "web-1" not in world.endpoints()

    play(story)


def test_other_failures_are_not_probed() -> None:
    async def story(world: World) -> None:
        for kind in (OutcomeKind.RESET, OutcomeKind.TIMEOUT):
            fail(world, times=1, kind=kind)
        assert health_tasks() == []

    play(story)


def test_one_ejected_for_silence_is_looked_at_and_one_for_its_answers_is_not() -> None:
    """It may be down rather than doubtful; then it waits until a probe finds it again."""

    async def story(world: World) -> None:
        fail(world, "web-1", kind=OutcomeKind.SERVER_ERROR)
        assert health_tasks() == []
        fail(world, "web-2", kind=OutcomeKind.RESET)
        assert health_tasks() == ["health confirm web-2"]
        await asyncio.sleep(0)
        assert world.state("web-2") is State.UNHEALTHY
        assert not world.registry.is_ejected("web-2")

    play(story, sight=FAILED)


def test_whatever_traffic_meets_nothing_is_condemned() -> None:
    async def story(world: World) -> None:
        for _ in range(20):
            for kind in (OutcomeKind.RESET, OutcomeKind.TIMEOUT, OutcomeKind.SERVER_ERROR):
                fail(world, "web-1", kind=kind)
            await asyncio.sleep(10)
        assert world.state() is State.READY
        assert "replica-condemned" not in world.told()

    play(story)


def test_unhealthy_ends_an_ejection() -> None:
    async def story(world: World) -> None:
        fail(world)
        world.advance(Event.UNREADY)
        assert not world.registry.is_ejected("web-1")
        world.advance(Event.PASSED)
        assert "web-1" in world.endpoints()

    play(story)


def test_it_is_seen_while_it_lasts() -> None:
    async def story(world: World) -> None:
        assert world.metrics.get_sample_value("tidegate_ejected", {"service": "web"}) is None
        fail(world)
        assert world.registry.ejection("web-1") == (
            "ejected for 10 s: 3 requests in a row failed (last: an answer 5xx)"
        )
        assert world.count("tidegate_ejected", service="web") == 1
        fail(world, "web-2")
        assert world.count("tidegate_ejected", service="web") == 2
        await asyncio.sleep(10.01)
        assert world.registry.ejection("web-1") is None
        assert world.metrics.get_sample_value("tidegate_ejected", {"service": "web"}) is None

    play(story)
