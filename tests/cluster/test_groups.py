"""Services that wake together and sleep together, awake or frozen, on virtual time."""

import asyncio

import pytest

from cluster.lifecycle import State
from tests.support.control_world import control_world
from tests.support.linked_services import (
    linked,
    now,
    scripted,
    slow,
    used,
)
from tests.support.virtual_time import run


def test_a_group_wakes_together_and_sleeps_when_none_is_used() -> None:
    shop = (
        linked("a", group="g", stop_after=10.0),
        linked("b", group="g", stop_after=5.0, initial=2),
        linked("c", group="other"),
    )

    async def story() -> None:
        async with control_world(*shop) as world:
            world.wake("a")
            assert world.registry.desired("b").replicas == 2
            assert world.registry.desired("c").replicas == 0
            await world.until(lambda: world.ready("a") and world.ready("b") == 2)
            used(world, "a")
            await asyncio.sleep(9)
            assert world.ready("a") == 1, "b alone would sleep after 5 s"
            assert world.ready("b") >= 1
            used(world, "b")
            await asyncio.sleep(4)
            assert world.ready("a") == 1, "a alone would sleep now"
            begun = now()
            await world.until(lambda: not world.running())
            assert now() - begun < 3, "all of them together"

    run(story())


def test_a_group_with_dependencies_inside_sleeps_too() -> None:
    """Being needed is no use: otherwise the two would keep each other awake for ever."""
    shop = (
        linked("web", "db", group="g", stop_after=10.0),
        linked("db", group="g", stop_after=10.0),
    )

    async def story() -> None:
        async with control_world(*shop) as world:
            world.wake("db")
            await world.until(lambda: world.ready("web"), within=5)
            used(world, "db")
            await world.until(lambda: not world.running(), within=40)
            await asyncio.sleep(300)
            assert world.running() == []

    run(story())


def test_frozen_ones_are_thawed_in_order_and_freeze_with_their_own_times() -> None:
    shop = (
        linked("web", "db", freeze_after=5.0, stop_after=100.0),
        linked("db", freeze_after=20.0, stop_after=60.0),
    )
    engine = scripted(db=slow(listens_after=3))

    async def story() -> None:
        async with control_world(*shop, engine=engine) as world:
            world.wake("web")
            await world.until(lambda: world.ready("web"))
            used(world)
            await world.until(lambda: world.replicas(State.FROZEN, service="web"), within=8)
            assert world.ready("db") == 1
            await world.until(lambda: world.replicas(State.FROZEN, service="db"), within=25)
            world.wake("web")
            await world.until(lambda: world.ready("web"), within=1)
            assert world.ready("db") == 1
            used(world)
            await world.until(lambda: not world.replicas(service="db"), within=80)
            assert world.replicas(State.FROZEN, service="web")
            begun = now()
            world.wake("web")
            await world.until(lambda: world.ready("web"))
            assert now() - begun == pytest.approx(3, abs=0.3), "db had to be started anew"

    run(story())


def test_linked_services_that_sleep_have_no_timer_and_no_record() -> None:
    async def story() -> None:
        async with control_world(linked("web", "db"), linked("db")) as world:
            world.wake("web")
            await world.until(lambda: world.ready("web"))
            used(world)
            await world.until(lambda: not world.running())
            await asyncio.sleep(100)
            assert not world.scaler._active
            assert not world.scaler._agenda._moments

    run(story())
