"""Services that need each other: woken in order and in parallel, asleep in the other order.

The whole control plane on virtual time; the conditions are those of Compose's `depends_on`.
"""

import asyncio

import pytest

from cluster.lifecycle import State
from cluster.model import Exit
from config.wake import Condition
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.support.control_world import control_world, reconfigure
from tests.support.linked_services import (
    Beginnings,
    code_of,
    linked,
    now,
    scripted,
    slow,
    used,
)
from tests.support.virtual_time import run


def test_one_wake_wakes_all_that_is_needed_in_order_and_in_parallel() -> None:
    engine = scripted(
        web=slow(listens_after=1), api=slow(listens_after=2), db=slow(listens_after=3),
        cache=slow(listens_after=5),
    )  # fmt: skip
    shop = (
        linked("web", "api", "cache"),
        linked("api", "db"),
        linked("db", initial=2),
        linked("cache"),
        linked("blog"),
    )

    async def story() -> None:
        async with control_world(*shop, engine=engine) as world:
            began = Beginnings(world)
            world.wake("web")
            wanted = [world.registry.desired(name).replicas for name in ("db", "cache", "api")]
            assert wanted == [2, 1, 1], "before the wake returns, each its own initial number"
            await world.until(lambda: world.ready("web"), within=60)
            assert began.of["db"] == pytest.approx([0, 0], abs=0.01)
            assert began["cache"] == pytest.approx(0, abs=0.01), "at once, beside db"
            assert began["api"] == pytest.approx(3, abs=0.2), "when db is ready, not before"
            assert began["web"] == pytest.approx(5, abs=0.3), "when api and cache are"
            assert world.replicas(service="blog") == []
            assert now() == pytest.approx(6, abs=0.5)

    run(story())


@pytest.mark.parametrize(
    ("condition", "starts"), [("started", 2.0), ("healthy", 5.0), ("completed", 9.0)]
)
def test_a_service_starts_when_its_condition_holds(condition: Condition, starts: float) -> None:
    """2 s until an instance runs, 3 s more until it listens, 7 s until it has ended."""
    behaviour = Behaviour(start_delay=2, listens_after=3)
    if condition == "completed":
        behaviour = Behaviour(start_delay=2, listens_after=None, exits_after=7, exit=Exit(0))
    engine = scripted(db=behaviour)

    async def story() -> None:
        async with control_world(
            linked("web", f"db:{condition}"), linked("db"), engine=engine
        ) as w:
            began = Beginnings(w)
            w.wake("web")
            await w.until(lambda: w.ready("web"), within=60)
            assert began["web"] == pytest.approx(starts, abs=0.3)

    run(story())


def test_they_sleep_from_the_top_and_each_after_its_own_time() -> None:
    shop = (
        linked("web", "api", stop_after=10.0),
        linked("api", "db", stop_after=5.0),
        linked("db", stop_after=0.0),
    )

    async def story() -> None:
        async with control_world(*shop) as world:
            world.wake("web")
            await world.until(lambda: world.ready("web"))
            used(world)
            begun = now()
            ended = {}
            for name in ("web", "api", "db"):
                await world.until(lambda name=name: not world.replicas(service=name))  # type: ignore[misc]
                ended[name] = now() - begun
            assert ended["web"] == pytest.approx(10, abs=2)
            assert ended["api"] - ended["web"] == pytest.approx(5, abs=2)
            assert ended["db"] - ended["api"] == pytest.approx(0, abs=2)
            assert world.running() == []

    run(story())


def test_a_shared_dependency_stays_while_anybody_awake_needs_it() -> None:
    shop = (linked("web", "db"), linked("admin", "db"), linked("db", stop_after=1.0))

    async def story() -> None:
        async with control_world(*shop) as world:
            world.wake("web")
            await world.until(lambda: world.ready("web"))
            await asyncio.sleep(30)
            world.wake("admin")
            await world.until(lambda: world.ready("admin"))
            used(world, "web")
            (first,) = world.replicas(service="db")
            await asyncio.sleep(40)
            used(world, "admin")
            await world.until(lambda: not world.replicas(service="web"))
            await asyncio.sleep(20)
            assert world.replicas(service="admin")
            assert [one.id for one in world.replicas(service="db")] == [first.id]
            await world.until(lambda: not world.running())

    run(story())


def test_a_dependency_is_not_stopped_under_a_request_that_still_ends() -> None:
    """The reverse of the order of waking, as Compose stops."""
    shop = (linked("web", "db", stop_after=1.0), linked("db", stop_after=0.0))

    async def story() -> None:
        async with control_world(*shop) as world:
            world.wake("web")
            await world.until(lambda: world.ready("web"))
            (web,) = world.replicas(service="web")
            world.holding.add(web.id)
            await world.until(lambda: world.replicas(State.DRAINING, service="web"))
            await asyncio.sleep(20)
            assert world.registry.desired("db").replicas == 0
            assert world.replicas(State.READY, service="db"), "web still answers somebody"
            world.release("web", web.id)
            await world.until(lambda: not world.running(), within=3)

    run(story())


def test_the_operators_hand_waits_for_nobody() -> None:
    shop = (linked("web", "db", min=1), linked("db"))

    async def story() -> None:
        async with control_world(*shop) as world:
            await world.until(lambda: world.ready("web"))
            world.scaler.scale("db", 0, None, now())
            await world.until(lambda: not world.replicas(service="db"), within=3)
            assert world.ready("web") == 1
            (web,) = world.replicas(service="web")
            world.engine.crash(web.id)
            await world.until(lambda: code_of(world, "web") == "dependency-off", within=3)
            world.scaler.automatic("db")
            await world.until(lambda: world.ready("web"), within=10)
            assert world.registry.trouble("web") is None

    run(story())


def test_min_of_a_service_keeps_awake_what_it_needs() -> None:
    async def story() -> None:
        async with control_world(linked("web", "db", min=1), linked("db", stop_after=1.0)) as world:
            await world.until(lambda: world.ready("web"))
            await asyncio.sleep(600)
            assert world.ready("db") == 1
            told = str(world.scaler.explain("db", now())["outcome"])
            assert "kept awake by web, which depends on it" in told
            reconfigure(world, linked("web", min=1), linked("db", stop_after=1.0))
            await world.until(lambda: not world.replicas(service="db"), within=5)
            assert world.ready("web") == 1

    run(story())


def test_a_dependency_that_cannot_start_is_told_to_those_who_wait() -> None:
    """Instead of a request that hangs; and tried again by the dependency's own back-off."""
    engine = SimulatedEngine()
    engine.script("db", *[Behaviour(listens_after=None, exits_after=0.5, exit=Exit(3))] * 4, slow())

    async def story() -> None:
        shop = (linked("web", "api"), linked("api", "db"), linked("db"))
        async with control_world(*shop, engine=engine) as world:
            world.wake("web")
            await world.until(lambda: world.registry.snapshot("web").trouble, within=10)
            told = world.registry.snapshot("web").trouble
            assert told is not None
            assert told.code == "dependency-failed"
            assert told.message.startswith("api, which it needs, has failed: db, which")
            assert "exited with code 3" in told.message
            assert told.retry_after >= 1
            assert world.replicas(service="web") == []
            assert world.replicas(service="api") == []
            for _ in range(12):  # somebody keeps asking, so it stays wanted
                world.wake("web")
                await asyncio.sleep(1)
            await world.until(lambda: world.ready("web"), within=60)
            assert world.registry.trouble("web") is None

    run(story())


def test_one_that_serves_grows_though_its_dependency_is_away() -> None:
    engine = scripted()
    engine.script("db", slow(), Behaviour(listens_after=None))

    async def story() -> None:
        async with control_world(linked("web", "db", min=1), linked("db"), engine=engine) as world:
            await world.until(lambda: world.ready("web"))
            (db,) = world.replicas(service="db")
            world.engine.crash(db.id)
            await world.until(lambda: not world.ready("db"), within=1)
            world.scaler.scale("web", 3, None, now())
            await world.until(lambda: world.ready("web") == 3, within=5)
            assert world.ready("db") == 0

    run(story())
