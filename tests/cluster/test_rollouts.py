"""Rollouts, restarts and roll-backs: the whole control plane on virtual time.

Sources of the faults: Kubernetes deployments (minReadySeconds, progressDeadlineSeconds), Nomad's
auto_revert, Swarm's update failure action.
"""

import asyncio
from typing import Any

import pytest

from cluster.lifecycle import State
from cluster.rollout import Phase
from cluster.rollouts import NothingToReturnTo
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.support.control_world import control_world, reconfigure
from tests.support.rollout_world import (
    CRASHES,
    NEVER_READY,
    NO_IMAGE,
    Watched,
    names,
    now,
    phase,
    proven,
    revision,
    settled,
    sleeper,
    web,
)
from tests.support.virtual_time import run


def test_a_restart_replaces_every_replica_and_never_lacks_one() -> None:
    async def story() -> None:
        async with control_world(web(least=4)) as world:
            await proven(world, web(), 4)
            before, watched = names(world), Watched(world)
            assert world.rollouts.restart(world.registry.specs["web"]) == 4
            await world.until(lambda: phase(world) is Phase.RESTARTING)
            await world.until(lambda: phase(world) is None)
            await settled(world, web(), 4)
            assert not names(world) & before
            assert (watched.least_ready, watched.most_alive) == (4, 5)
            assert revision(world, web()) == world.replicas()[0].revision
            await asyncio.sleep(600)
            assert len(world.happened("rollout-began")) == 1

    run(story())


def test_the_old_one_leaves_when_the_new_one_was_ready_for_long_enough() -> None:
    async def story() -> None:
        async with control_world(web(least=1, healthy_for=20.0)) as world:
            await proven(world, web(healthy_for=20.0), 1)
            world.rollouts.restart(world.registry.specs["web"])
            await world.until(lambda: world.ready() == 2)
            begun = now()
            await world.until(lambda: world.ready() == 1)
            assert now() - begun == pytest.approx(20, abs=0.1)

    run(story())


def test_one_that_is_ejected_meanwhile_is_not_yet_healthy() -> None:
    """Traffic finds out what no probe does: a new revision that answers 500."""

    async def story() -> None:
        async with control_world(web(least=1)) as world:
            await proven(world, web(), 1)
            (old,) = names(world)
            reconfigure(world, web("green", least=1))
            await world.until(lambda: len(names(world)) == 2)
            (new,) = names(world) - {old}
            world.registry.eject(new, True)
            await asyncio.sleep(30)
            assert old in names(world)
            world.registry.eject(new, False)
            begun = now()
            await world.until(lambda: names(world) == {new})
            assert now() - begun == pytest.approx(5, abs=0.1)

    run(story())


@pytest.mark.parametrize("bad", [CRASHES, NO_IMAGE], ids=["crashes", "image-missing"])
def test_a_new_revision_that_cannot_start_is_rolled_back_while_the_old_one_serves(
    bad: Behaviour,
) -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(web(), engine=engine) as world:
            await proven(world, web())
            before, watched = names(world), Watched(world)
            engine.script("web", bad)
            reconfigure(world, web("bad"))
            await world.until(lambda: phase(world) is Phase.ROLLED_BACK, within=30)
            await settled(world, web())
            assert names(world) == before, "not one of the old was touched"
            assert watched.least_ready == 2
            assert world.registry.trouble("web") is None
            status = world.rollouts.status(world.registry.specs["web"])
            assert status is not None
            assert status.failed
            assert (status.revision, status.filed) == (
                revision(world, web()), revision(world, web("bad")),
            )  # fmt: skip
            (said,) = world.happened("rolled-back")
            assert "3 of its replicas failed" in said
            starts = len(world.happened("replica-started"))
            await asyncio.sleep(3600)
            assert len(world.happened("replica-started")) == starts, "it is not tried again"

    run(story())


def test_no_progress_until_the_deadline_is_a_failure() -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(web(deadline=30.0), engine=engine) as world:
            await proven(world, web())
            before = names(world)
            engine.script("web", NEVER_READY)
            reconfigure(world, web("bad", deadline=30.0))
            begun = now()
            await world.until(lambda: world.happened("rolled-back"))
            assert now() - begun == pytest.approx(30, abs=0.5)
            await settled(world, web())
            assert names(world) == before

    run(story())


def test_progress_moves_the_deadline() -> None:
    """Four replicas of 8 s each take longer than a deadline of 20 s, and none of them too long."""
    engine = SimulatedEngine(Behaviour(listens_after=8.0))

    async def story() -> None:
        service = web(least=4, deadline=20.0)
        async with control_world(service, engine=engine) as world:
            await proven(world, service, 4)
            begun = now()
            reconfigure(world, web("green", least=4, deadline=20.0))
            await settled(world, web("green"), 4)
            assert now() - begun > 40
            assert not world.happened("rolled-back")
            assert len(world.happened("rollout-completed")) == 1

    run(story())


def test_the_file_may_name_the_next_revision_after_a_failure() -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(web(), engine=engine) as world:
            await proven(world, web())
            engine.script("web", CRASHES)
            reconfigure(world, web("bad"))
            await world.until(lambda: phase(world) is Phase.ROLLED_BACK)
            engine.script("web", Behaviour())
            reconfigure(world, web("bad", least=3))
            await settled(world, web(), 3)
            reconfigure(world, web("good"))
            await settled(world, web("good"))
            assert phase(world) is None

    run(story())


def test_paused_leaves_what_has_come_and_starts_only_the_former_revision() -> None:
    """Two of four are replaced; then the new revision cannot be started any more."""
    engine = SimulatedEngine()

    async def story() -> None:
        rules: dict[str, Any] = {"on_failure": "pause", "healthy_for": 1.0}
        async with control_world(web(least=4, **rules), engine=engine) as world:
            await proven(world, web(**rules), 4)
            engine.script("web", Behaviour(), Behaviour(), CRASHES)
            bad = web("bad", least=4, **rules)
            reconfigure(world, bad)
            await world.until(lambda: phase(world) is Phase.PAUSED)
            await world.until(lambda: world.ready() == 4)
            engine.script("web", Behaviour())
            await asyncio.sleep(60)
            mixed = sorted(one.revision for one in world.replicas(State.READY))
            blue, new = revision(world, web()), revision(world, bad)
            assert mixed == sorted([blue, blue, new, new])
            reconfigure(world, web("bad", least=6, **rules))
            await world.until(lambda: world.ready() == 6)
            assert [one.revision for one in world.replicas()].count(blue) == 4

    run(story())


def test_by_hand_back_to_the_revision_before_and_forth() -> None:
    async def story() -> None:
        async with control_world(web("blue")) as world:
            with pytest.raises(NothingToReturnTo):
                world.rollouts.rollback(world.registry.specs["web"])
            await proven(world, web("blue"))
            reconfigure(world, web("green"))
            await proven(world, web("green"))
            spec, watched = world.registry.specs["web"], Watched(world)
            assert world.rollouts.rollback(spec).revision == revision(world, web("blue"))
            await settled(world, web("blue"))
            assert phase(world) is Phase.ROLLED_BACK
            assert not world.rollouts.status(spec).failed  # type: ignore[union-attr]
            with pytest.raises(NothingToReturnTo):
                world.rollouts.rollback(spec)
            assert world.rollouts.release(spec)
            await settled(world, web("green"))
            assert phase(world) is None
            assert not world.rollouts.release(spec)
            assert watched.least_ready == 2

    run(story())


def test_without_another_revision_a_crash_loop_is_a_crash_loop() -> None:
    engine = SimulatedEngine(CRASHES)

    async def story() -> None:
        async with control_world(web(), engine=engine) as world:
            await asyncio.sleep(120)
            trouble = world.registry.trouble("web")
            assert trouble is not None
            assert trouble.code == "crash-looping"
            assert phase(world) is None

    run(story())


def test_an_engine_that_is_away_is_no_fault_of_a_revision() -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(web(), engine=engine) as world:
            await proven(world, web())
            engine.break_down()
            reconfigure(world, web("green"))
            await asyncio.sleep(120)
            assert not world.happened("rolled-back")
            engine.mend()
            await settled(world, web("green"))

    run(story())


def test_a_sleeping_service_gets_its_new_revision_at_the_next_wake() -> None:
    async def story() -> None:
        async with control_world(sleeper()) as world:
            world.wake()
            await proven(world, sleeper(), 1)
            await world.until(lambda: not world.running())
            reconfigure(world, sleeper("green"))
            await asyncio.sleep(10)
            assert world.running() == []
            world.wake()
            await settled(world, sleeper("green"), 1)
            await world.until(lambda: not world.running())

    run(story())


def test_sleep_comes_in_the_middle_of_a_rollout() -> None:
    """Idle for a minute while the new revision never gets ready: it stops, and fails at nothing."""
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(sleeper(deadline=90.0), engine=engine) as world:
            world.wake()
            await proven(world, sleeper(deadline=90.0), 1)
            engine.script("web", NEVER_READY)
            reconfigure(world, sleeper("green", deadline=90.0))
            await world.until(lambda: not world.running(), within=80)
            await asyncio.sleep(300)
            assert not world.happened("rolled-back")
            engine.script("web", Behaviour())
            world.wake()
            await settled(world, sleeper("green"), 1)

    run(story())


def test_a_revision_that_fails_on_a_wake_is_rolled_back_too() -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(sleeper(), engine=engine) as world:
            world.wake()
            await proven(world, sleeper(), 1)
            await world.until(lambda: not world.running())
            engine.script("web", CRASHES, CRASHES, CRASHES, Behaviour())
            reconfigure(world, sleeper("bad"))
            world.wake()
            await settled(world, sleeper(), 1)
            assert len(world.happened("rolled-back")) == 1

    run(story())


def test_a_restart_that_cannot_go_on_leaves_the_others_as_they_are() -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(web(), engine=engine) as world:
            await proven(world, web())
            before = names(world)
            engine.script("web", CRASHES)
            world.rollouts.restart(world.registry.specs["web"])
            await world.until(lambda: world.happened("restart-ended"))
            await settled(world, web())
            assert names(world) == before
            assert phase(world) is None

    run(story())
