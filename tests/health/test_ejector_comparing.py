"""Replicas that do worse than their siblings leave, by what gateways report; virtual time."""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable

import pytest

from cluster.buckets import EDGES
from cluster.lifecycle import Event, State
from cluster.messages import LoadReport, Served
from config.service import Health, Outliers
from tests.support import virtual_time
from tests.support.probed_world import PASSED, World, a_health, a_replica, a_world

COMPARED = a_health(
    outliers=Outliers(
        failures=0, error_rate=0.5, slow=5.0, min_requests=20, window=10.0, eject_for=10.0
    )
)


def play(
    story: Callable[[World], Awaitable[None]], health: Health = COMPARED, replicas: int = 4
) -> None:
    async def tell() -> None:
        async with a_world(health, lambda *_: PASSED) as world:
            for number in range(1, replicas + 1):
                world.add(a_replica(f"web-{number}", State.READY))
            await story(world)

    virtual_time.run(tell(), start=100.0)


async def report(
    world: World,
    *served: Served,
    source: str = "gateway",
    seconds: float = 1.0,
) -> None:
    """What a gateway tells once a second."""
    await asyncio.sleep(seconds)
    now = asyncio.get_running_loop().time()
    world.ejector.report(
        LoadReport("web", now, 1.0, 1.0, 10, 0, 1, 0, source=source, served=served)
    )


def did(replica: str, answers: int = 10, failures: int = 0, seconds: float = 0.01) -> Served:
    return Served(replica, answers, failures, ((bisect_left(EDGES, seconds), answers),))


def siblings(count: int = 4) -> list[Served]:
    """All but the first."""
    return [did(f"web-{number}") for number in range(2, count + 1)]


def test_one_that_fails_more_often_than_its_siblings_leaves() -> None:
    async def story(world: World) -> None:
        await report(world, did("web-1", 4, 6), *siblings())
        assert len(world.endpoints()) == 4, "too little was seen"
        await report(world, did("web-1", 4, 6), *siblings())
        assert world.endpoints() == ["web-2", "web-3", "web-4"]
        assert world.said("replica-ejected") == [
            "web-1: 12 of its 20 requests failed, 0 of 60 of its siblings'; "
            "it gets none for 10 s, see `tidegate logs web`"
        ]
        await asyncio.sleep(10.01)
        assert len(world.endpoints()) == 4

    play(story)


def test_a_slow_one_leaves_once_it_is_no_newcomer() -> None:
    async def story(world: World) -> None:
        for _ in range(9):
            await report(world, did("web-1", seconds=0.5), *siblings())
        assert len(world.endpoints()) == 4, "it may be warming up"
        await report(world, did("web-1", seconds=0.5), *siblings())
        assert world.endpoints() == ["web-2", "web-3", "web-4"]
        assert "(median), those of its siblings after " in world.said("replica-ejected")[0]
        await asyncio.sleep(10.01)
        for _ in range(2):
            await report(world, *siblings())
        assert len(world.endpoints()) == 4, "what was before its ejection is forgotten"

    play(story)


def test_a_dependency_that_makes_all_slow_or_fail_ejects_none() -> None:
    async def story(world: World) -> None:
        for _ in range(30):
            await report(world, *(did(f"web-{n}", 3, 7, seconds=9.0) for n in range(1, 5)))
        assert world.told() == []

    play(story)


def test_of_two_a_failing_one_leaves_and_a_slow_one_stays() -> None:
    async def story(world: World) -> None:
        for _ in range(20):
            await report(world, did("web-1", seconds=9.0), did("web-2"))
        assert world.told() == []
        for _ in range(4):
            await report(world, did("web-1", 0, 10), did("web-2"))
        assert len(world.endpoints()) == 2, "over the whole window it is not half yet"
        await report(world, did("web-1", 0, 10), did("web-2"))
        assert world.endpoints() == ["web-2"]

    play(story, replicas=2)


def test_one_alone_is_compared_with_nobody() -> None:
    async def story(world: World) -> None:
        for _ in range(30):
            await report(world, did("web-1", 0, 10, seconds=9.0))
        assert world.endpoints() == ["web-1"]
        assert world.told() == []

    play(story, replicas=1)


def test_at_most_so_many_leave_the_worst_first() -> None:
    async def story(world: World) -> None:
        for _ in range(12):
            await report(
                world,
                did("web-1", seconds=1.0),
                did("web-2", seconds=2.0),
                *(did(f"web-{number}") for number in range(3, 6)),
            )
        assert world.endpoints() == ["web-1", "web-3", "web-4", "web-5"]

    slow = Outliers(slow=5.0, max_ejected=0.3, eject_for=60.0)
    play(story, a_health(outliers=slow), replicas=5)


@pytest.mark.parametrize("how", ["ejected", "not ready"])
def test_what_it_did_before_it_was_away_is_not_held_against_it(how: str) -> None:
    """The window reaches back to before."""

    async def story(world: World) -> None:
        await report(
            world, did("web-1", 0, 60 if how == "ejected" else 19), *siblings(), *siblings()
        )
        if how == "not ready":
            world.advance(Event.UNREADY)
            world.advance(Event.PASSED)
        else:
            assert world.endpoints() == ["web-2", "web-3", "web-4"]
            await asyncio.sleep(10.01)
        await report(world, did("web-1", 1, 2), *siblings())
        assert len(world.endpoints()) == 4

    limits = Outliers(failures=0, error_rate=0.5, min_requests=20, window=300.0, eject_for=10.0)
    play(story, a_health(outliers=limits))


def test_several_gateways_are_one_picture() -> None:
    async def story(world: World) -> None:
        for source in ("gateway-0", "gateway-1"):
            await report(world, did("web-1", 4, 6), *siblings(), source=source, seconds=0.5)
        assert world.endpoints() == ["web-2", "web-3", "web-4"]

    play(story)


def test_a_service_that_sleeps_leaves_nothing_to_compare() -> None:
    async def story(world: World) -> None:
        await report(world, did("web-1", 4, 6), *siblings())
        assert vars(world.ejector)["_comparisons"]
        for number in range(1, 5):
            world.registry.forget(f"web-{number}")
        assert not vars(world.ejector)["_comparisons"]

    play(story)


def test_a_reload_that_turns_comparing_off_forgets_what_was_seen() -> None:
    async def story(world: World) -> None:
        for _ in range(2):
            await report(world, did("web-1", 4, 6), *siblings())
        assert len(world.endpoints()) == 3
        world.configure(a_health(outliers=Outliers(failures=0)))
        assert len(world.endpoints()) == 4
        await report(world, did("web-1", 0, 100), *siblings())
        assert not vars(world.ejector)["_comparisons"]

    play(story)
