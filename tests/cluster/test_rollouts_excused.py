"""What happens to a rollout and is no fault of the revision: the engine and the host.

The whole control plane on virtual time. Sources: dockerd restarts without live-restore (every
container ends together, shortly before the engine is gone), a daemon that is upgraded for longer
than a rollout's deadline, a host without room for the surge.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from cluster.lifecycle import State
from cluster.model import Exit, Replica
from config.scaling import Scaling
from config.service import Resources, Rollout, Service
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.support.control_world import ControlWorld, control_world, reconfigure
from tests.support.rollout_world import CRASHES, NEVER_READY, names, proven, settled, web
from tests.support.virtual_time import run

MIB = 2**20


async def soon(change: Awaitable[None]) -> None:
    async with asyncio.timeout(60):
        await change


def end_all(world: ControlWorld, exit: Exit) -> None:
    for specimen in list(world.engine.running()):
        world.engine.end(specimen, exit)


@pytest.mark.parametrize("exit", [Exit(0), Exit(-9)], ids=["ended", "killed"])
def test_new_replicas_that_a_restarted_engine_ends_do_not_condemn_their_revision(
    exit: Exit,
) -> None:
    async def story() -> None:
        rules: dict[str, Any] = {"max_surge": 4, "healthy_for": 20.0}
        async with control_world(web(least=4, **rules)) as world:
            await proven(world, web(least=4, **rules), 4)
            reconfigure(world, web("green", least=4, **rules))
            await world.until(lambda: world.ready() == 8)
            end_all(world, exit)
            await asyncio.sleep(0.1)
            world.engine.break_down()
            await asyncio.sleep(20)
            world.engine.mend()
            await soon(settled(world, web("green", **rules), 4))
            assert not world.happened("rolled-back")

    run(story())


def test_failures_that_the_engine_is_to_blame_for_are_forgiven_to_the_rollout_too() -> None:
    """Two new replicas end while dockerd stops. A third that fails later is the first."""
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(web(), engine=engine) as world:
            await proven(world, web())
            engine.script("web", CRASHES, CRASHES, CRASHES, Behaviour())
            reconfigure(world, web("green"))
            await world.until(lambda: len(world.happened("replica-failed")) == 2)
            engine.break_down()
            await asyncio.sleep(20)
            engine.mend()
            await soon(settled(world, web("green")))
            assert len(world.happened("replica-failed")) == 3
            assert not world.happened("rolled-back")

    run(story())


def test_replicas_that_crash_together_again_and_again_still_fail_their_revision() -> None:
    """Not at once, but after the pauses of a crash loop."""
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(web(least=4, max_surge=4), engine=engine) as world:
            await proven(world, web(least=4, max_surge=4), 4)
            engine.script("web", CRASHES)
            reconfigure(world, web("bad", least=4, max_surge=4))
            await world.until(lambda: world.happened("rolled-back"), within=90)

    run(story())


def test_a_deadline_does_not_run_while_the_engine_is_away() -> None:
    async def story() -> None:
        async with control_world(web(deadline=30.0)) as world:
            await proven(world, web(deadline=30.0))
            world.engine.break_down()
            reconfigure(world, web("green", deadline=30.0))
            await asyncio.sleep(120)
            assert not world.happened("rolled-back")
            world.engine.mend()
            await soon(settled(world, web("green")))
            assert not world.happened("rolled-back")

    run(story())


def test_but_it_runs_again_when_the_engine_is_back() -> None:
    engine = SimulatedEngine()

    async def story() -> None:
        async with control_world(web(deadline=30.0), engine=engine) as world:
            await proven(world, web(deadline=30.0))
            engine.script("web", NEVER_READY)
            engine.break_down()
            reconfigure(world, web("green", deadline=30.0))
            await asyncio.sleep(60)
            engine.mend()
            await world.until(lambda: world.happened("rolled-back"), within=45)

    run(story())


def sized(colour: str) -> Service:
    return Service(
        name="web",
        command=("serve",),
        env=(("COLOUR", colour),),
        scaling=Scaling().model_copy(update={"min": 2}),
        resources=Resources(memory=100 * MIB),
        rollout=Rollout(deadline=30.0),
    )


def test_a_deadline_does_not_run_while_the_host_is_full() -> None:
    """The surge does not fit: that is told, and no fault of the new revision."""

    async def story() -> None:
        async with control_world(sized("blue"), memory=250 * MIB) as world:
            await proven(world, sized("blue"))
            reconfigure(world, sized("green"))
            await asyncio.sleep(120)
            trouble = world.registry.trouble("web")
            assert trouble is not None
            assert trouble.code == "host-full"
            assert not world.happened("rolled-back")
            world.host.configure(300 * MIB)
            await soon(settled(world, sized("green")))
            assert not world.happened("rolled-back")

    run(story())


def test_one_that_is_ejected_is_not_healthy_however_short_the_time_to_prove_it() -> None:
    async def story() -> None:
        service, green = web(least=1, healthy_for=0.0), web("green", least=1, healthy_for=0.0)
        async with control_world(service) as world:
            await proven(world, service, 1)
            (old,) = names(world)

            def eject(replica: Replica) -> None:
                if replica.id != old and replica.state is State.READY:
                    world.registry.eject(replica.id, True)

            world.registry.on_replica(eject)
            reconfigure(world, green)
            await asyncio.sleep(30)
            assert old in names(world)
            (new,) = names(world) - {old}
            world.registry.eject(new, False)
            await soon(settled(world, green, 1))

    run(story())
