"""Learned sleep beside what else keeps awake, and wakes: leases, dependencies, groups."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from config.scaling import Idle
from config.service import Service
from config.wake import Needed
from tests.autoscaler.test_leases import leasing_of, take
from tests.support.control_world import ControlWorld, control_world
from tests.support.learned_services import LEARNED, PERIOD, call, timer
from tests.support.linked_services import Beginnings, linked, now, scripted, slow, used
from tests.support.scaling_facts import report, service
from tests.support.scaling_plane import Plane, in_time, with_loop
from tests.support.virtual_time import run

TIMES = 20
AWAKE = 65.0  # seconds after a call; then it sleeps, if nothing else keeps it awake
SLEEPY = Idle.model_validate(LEARNED["idle"])


def needing(spec: Service, *others: str) -> Service:
    return spec.model_copy(update={"depends_on": tuple((other, Needed()) for other in others)})


def grouped(spec: Service) -> Service:
    return spec.model_copy(update={"group": "shop"})


def planned(*services: Service, story: Callable[[Plane], Awaitable[None]]) -> None:
    async def steps() -> None:
        plane = Plane(*services)
        await with_loop(plane, story(plane))

    in_time(steps)


def use(plane: Plane, name: str) -> None:
    """A request that is answered at once."""
    plane.wake(name)
    plane.scaler.report(report(plane.loop.time(), 1, in_flight=0, requests=1, name=name))


async def seconds_awake(plane: Plane, name: str, within: float) -> int:
    """From now on, until it sleeps or freezes."""
    for second in range(round(within)):
        if not plane.desired(name).replicas or plane.desired(name).frozen:
            return second
        await asyncio.sleep(1)
    return round(within)


async def woken_before_a_call(plane: Plane) -> None:
    async with asyncio.timeout(PERIOD):
        while not plane.desired().replicas:  # noqa: ASYNC110 (time is virtual)
            await asyncio.sleep(1)
    assert "learned sleep" in plane.desired().reason


# Alone: what the others are measured by


def test_it_sleeps_about_a_minute_after_a_call_and_is_woken_before_the_next() -> None:
    async def story(plane: Plane) -> None:
        await timer(plane, TIMES)
        await call(plane)
        assert await seconds_awake(plane, "web", within=600) < AWAKE
        await asyncio.sleep(PERIOD - 100)
        assert plane.desired().replicas == 1
        assert "learned sleep" in plane.scaler.decisions("web")[0].reason

    planned(service("web", **LEARNED), story=story)


# Leases


FREEZING = {"idle": {**LEARNED["idle"], "freeze_after": 20.0}}


@pytest.mark.parametrize("rules", [LEARNED, FREEZING], ids=["stops", "freezes first"])
def test_a_lease_keeps_it_awake_past_the_time_that_was_learned(rules: dict[str, Any]) -> None:
    async def story(plane: Plane) -> None:
        leasing = leasing_of(plane)
        await timer(plane, TIMES)
        await call(plane)
        take(leasing, 400)
        assert await seconds_awake(plane, "web", within=600) in range(400, 422)
        await asyncio.sleep(20)
        assert plane.desired().replicas == 0
        assert "learned" in plane.desired().reason

    planned(service("web", **rules), story=story)


def test_a_lease_is_no_call() -> None:
    async def story(plane: Plane) -> None:
        leasing = leasing_of(plane)
        await timer(plane, TIMES)
        await call(plane)
        for _ in range(5):
            take(leasing, 60, wake=True)
            await asyncio.sleep(100)
        sleep = plane.scaler.explain("web", plane.loop.time())["sleep"]
        assert isinstance(sleep, dict)
        assert sleep["calls"] == TIMES + 1
        await asyncio.sleep(PERIOD - 2 - 500 - 20)
        assert plane.desired().replicas == 1, "woken before the next call all the same"

    planned(service("web", **LEARNED), story=story)


@pytest.mark.parametrize("rules", [LEARNED, FREEZING], ids=["stops", "freezes first"])
def test_a_lease_on_one_that_sleeps_neither_wakes_it_nor_hinders_a_wake_before_a_call(
    rules: dict[str, Any],
) -> None:
    async def story(plane: Plane) -> None:
        leasing = leasing_of(plane)
        await timer(plane, TIMES)
        await call(plane)
        await asyncio.sleep(100)
        take(leasing, 2 * PERIOD)
        await asyncio.sleep(300)
        assert plane.desired().replicas == 0
        await asyncio.sleep(PERIOD - 2 - 400 - 20)
        assert plane.desired().replicas == 1
        assert await seconds_awake(plane, "web", within=2 * PERIOD) > PERIOD, "now it counts"

    planned(service("web", **rules), story=story)


# Dependencies


def test_a_dependency_does_not_sleep_while_one_who_needs_it_is_awake() -> None:
    async def story(plane: Plane) -> None:
        await timer(plane, TIMES, name="db")
        await call(plane, "db")
        use(plane, "web")
        web, db = await asyncio.gather(
            seconds_awake(plane, "web", within=600), seconds_awake(plane, "db", within=600)
        )
        assert 290 < web < 310
        assert web <= db < web + 10, "it was worth staying for nobody else"

    planned(
        needing(service("web", idle={"stop_after": 300.0}), "db"),
        service("db", **LEARNED),
        story=story,
    )


def test_a_dependency_that_is_woken_for_another_one_stays_as_long() -> None:
    """Also in the middle of what was learned to be a silence."""

    async def story(plane: Plane) -> None:
        await timer(plane, TIMES, name="db")
        await call(plane, "db")
        await asyncio.sleep(200)
        assert plane.desired("db").replicas == 0
        use(plane, "web")
        assert plane.desired("db").replicas == 1
        web, db = await asyncio.gather(
            seconds_awake(plane, "web", within=600), seconds_awake(plane, "db", within=600)
        )
        assert 190 < web < 210
        assert web <= db < web + 10

    planned(
        needing(service("web", idle={"stop_after": 200.0}), "db"),
        service("db", **LEARNED),
        story=story,
    )


def test_a_dependency_that_nobody_calls_has_its_plain_time_after_the_need() -> None:
    async def story(plane: Plane) -> None:
        for _ in range(TIMES):
            use(plane, "web")
            web, db = await asyncio.gather(
                seconds_awake(plane, "web", within=800), seconds_awake(plane, "db", within=800)
            )
            assert 90 < web < 110
            assert 590 < db - web < 610

    planned(
        needing(service("web", idle={"stop_after": 100.0}), "db"),
        service("db", **LEARNED),
        story=story,
    )


def test_a_wake_before_a_call_wakes_what_it_needs_and_keeps_that() -> None:
    async def story(plane: Plane) -> None:
        await timer(plane, TIMES)
        await call(plane)
        await asyncio.sleep(AWAKE + 35)
        asleep = [plane.desired(name).replicas for name in ("web", "api", "db")]
        assert asleep == [0, 0, 0]
        await woken_before_a_call(plane)
        assert plane.desired("api").reason == "woken by web, which depends on it, initial is 1"
        for _ in range(300):
            await asyncio.sleep(1)
            if plane.desired().replicas:
                assert plane.desired("api").replicas
                assert plane.desired("db").replicas
        await asyncio.sleep(PERIOD * 10)
        assert [plane.desired(name).replicas for name in ("web", "api", "db")] == [0, 0, 0]

    idle = {"idle": {"stop_after": 10.0}}
    planned(
        needing(service("web", **LEARNED), "api"),
        needing(service("api", **idle), "db"),
        service("db", **idle),
        story=story,
    )


def test_what_it_needs_is_started_first_when_it_is_woken_before_a_call() -> None:
    shop = (linked("web", "db", idle=SLEEPY), linked("db", stop_after=30.0))
    engine = scripted(web=slow(listens_after=1), db=slow(listens_after=3))

    async def called(world: ControlWorld) -> None:
        world.wake("web")
        await world.until(lambda: world.ready("web"))
        used(world)

    async def story() -> None:
        async with control_world(*shop, engine=engine) as world:
            for _ in range(TIMES):
                begun = now()
                await called(world)
                await asyncio.sleep(begun + PERIOD - now())
            await called(world)
            await asyncio.sleep(100)
            assert world.running() == []
            began = Beginnings(world)
            await world.until(lambda: world.ready("web"), within=PERIOD - 100)
            assert began["web"] - began["db"] >= 3, "when db is ready, and not before"
            reasons = [one.reason for one in world.scaler.decisions("web")]
            assert any("woken by learned sleep" in reason for reason in reasons[:3])

    run(story())


# Groups


def test_a_member_does_not_sleep_while_another_one_is_used() -> None:
    async def story(plane: Plane) -> None:
        await timer(plane, TIMES)
        await call(plane)
        use(plane, "mate")
        web, mate = await asyncio.gather(
            seconds_awake(plane, "web", within=600), seconds_awake(plane, "mate", within=600)
        )
        assert 290 < mate < 310
        assert abs(web - mate) < 5, "together"

    planned(
        grouped(service("web", **LEARNED)),
        grouped(service("mate", idle={"stop_after": 300.0})),
        story=story,
    )


def test_a_wake_before_a_call_wakes_the_whole_group_and_lets_it_sleep_again() -> None:
    async def story(plane: Plane) -> None:
        await timer(plane, TIMES)
        await call(plane)
        await asyncio.sleep(AWAKE + 35)
        assert [plane.desired(name).replicas for name in ("web", "mate")] == [0, 0]
        await woken_before_a_call(plane)
        assert plane.desired("mate").replicas == 1
        await asyncio.sleep(PERIOD * 10)
        assert [plane.desired(name).replicas for name in ("web", "mate")] == [0, 0]

    planned(
        grouped(service("web", **LEARNED)),
        grouped(service("mate", idle={"stop_after": 30.0})),
        story=story,
    )
