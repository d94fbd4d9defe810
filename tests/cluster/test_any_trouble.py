"""Whatever the engine does wrong, in whatever order: when it is well again, what runs is what is
wanted, nothing twice, nothing left over; and it was never pressed (FoundationDB's kind of test).

TIDEGATE_SEED=N repeats one run; the seed of a failed one is in its name and its message.
"""

import asyncio
import os
import random
from bisect import bisect_left
from collections import Counter
from functools import partial

import pytest

from cluster.lifecycle import State
from config.scaling import Idle, Scaling
from config.service import Service
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.cluster.builders import a_service
from tests.support import control_world as worlds
from tests.support.control_world import ControlWorld, control_world, reconfigure
from tests.support.unreliable_runtime import Chances, UnreliableRuntime
from tests.support.virtual_time import run

STEPS = 3000
SEEDS = [int(os.environ["TIDEGATE_SEED"])] if "TIDEGATE_SEED" in os.environ else [1, 2]
# The longest back-off of a crash loop, and the longest pause after a stop that failed.
QUIET = 60.0 + 15.0
MOST_CALLS = 60  # in any second: six services of at most four replicas, and what is done to them


def services(revision: int) -> list[Service]:
    def one(name: str, least: int, most: int, idle: Idle) -> Service:
        scaling = Scaling().model_copy(update={"min": least, "max": most, "idle": idle})
        return a_service(name=name, scaling=scaling, env={"REVISION": str(revision)})

    return [
        one("plain", 0, 4, Idle(stop_after=20.0)),
        one("steady", 2, 4, Idle(stop_after=20.0)),
        one("sleeper", 0, 2, Idle(freeze_after=5.0, stop_after=30.0)),
        one("keeper", 0, 2, Idle(stop_after=10.0, remove_after=40.0)),
        one("light", 1, 3, Idle(freeze_after=3.0, stop_after=9.0)),
        one("single", 1, 1, Idle(stop_after=20.0)),
    ]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("failure", [0.01, 0.1, 0.3])
def test_after_any_trouble_what_runs_is_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch, seed: int, failure: float
) -> None:
    chances = Chances(random.Random(seed), failure)
    made = partial(UnreliableRuntime, chances=chances)
    monkeypatch.setattr(worlds, "SimulatedRuntime", made)
    engine = SimulatedEngine(Behaviour(start_delay=0.2, listens_after=0.1, stop_delay=0.3))

    async def story() -> None:
        async with control_world(*services(0), engine=engine) as world:
            for _ in range(STEPS):
                await a_step(world, chances)
                for name in world.registry.specs:
                    limit = world.registry.specs[name].scaling.max
                    assert world.registry.desired(name).replicas <= limit
            engine.mend()
            chances.calm()
            await asyncio.sleep(QUIET)
            calls = len(chances.calls)
            assert wrong(world) == [], f"TIDEGATE_SEED={seed}, failure {failure}"
            await asyncio.sleep(120)
            assert wrong(world) == [], f"TIDEGATE_SEED={seed}, failure {failure}"
            assert len(chances.calls) - calls <= 20, "it is busy with nothing to do"

    run(story())
    assert busiest_second(chances.calls) <= MOST_CALLS, f"TIDEGATE_SEED={seed}"


async def a_step(world: ControlWorld, chances: Chances) -> None:
    rng = chances.rng
    name = rng.choice(list(world.registry.specs))
    alive = world.running()
    match rng.choices(
        ["wake", "load", "crash", "take away", "break", "mend", "reload", "wait"],
        [20, 40, 5, 3, 1, 3, 1, 27],
    )[0]:
        case "wake":
            world.wake(name)
        case "load":
            world.load(rng.choice([0, 0, 5, 20, 100]), name)
        case "crash" if alive:
            world.engine.crash(rng.choice(alive))
        case "take away" if alive:
            victim = rng.choice(list(world.engine.running()))
            world.engine.remove(victim)
        case "break":
            world.engine.break_down()
        case "mend":
            world.engine.mend()
        case "reload":
            reconfigure(world, *services(rng.randrange(3)))
        case _:
            await asyncio.sleep(rng.random() * 10)
    await asyncio.sleep(rng.random())


def wrong(world: ControlWorld) -> list[str]:
    """What is not as it should be when all is quiet."""
    found = []
    running = Counter(specimen.instance.replica for specimen in world.engine.running())
    found += [f"{replica} runs {count} times" for replica, count in running.items() if count > 1]
    for name in world.registry.specs:
        desired = world.registry.desired(name)
        expected = State.FROZEN if desired.frozen else State.READY
        there = [one for one in world.registry.replicas(name) if one.state is not State.STOPPED]
        if desired.replicas != len(there) or any(one.state is not expected for one in there):
            states = [str(one.state) for one in there]
            found.append(f"{name}: {desired.replicas} {expected} wanted, there are {states}")
        for one in there:
            if one.id not in running:
                found.append(f"{one.id} is believed to run")
            running.pop(one.id, None)
    found += [f"{replica} is an orphan" for replica in running]
    for specimen in world.engine.owned("us"):
        if world.registry.replica(specimen.instance.replica) is None:
            found.append(f"{specimen.instance.replica} is left behind")
    return found


def busiest_second(calls: list[float]) -> int:
    calls.sort()
    return max(bisect_left(calls, at + 1.0) - place for place, at in enumerate(calls))
