"""Replicas that come, go and are killed under load (faults F2, F3, F4, F37)."""

import asyncio
import os
import signal

from tests.faults.ground import Ground, until_ready, until_some
from tests.faults.judge import NOTHING, ONLY_UNSAFE
from tests.faults.mode import LONG
from tests.faults.scenario import HUNG_WITHIN, LIVE, Stage, staged

KILLS = 60 if LONG else 8
THREE = {"min": 3, "max": 3}
# Whichever comes first: a busy engine tells of an end only after it has cleared up, and one that a
# probe found to be lost by then is replaced like any unready one.
LOST = ("replica-failed", "replica-unready")


async def scale(stage: Stage, count: int) -> None:
    answer = await stage.running.api("/v1/services/web/scale", "POST", json={"replicas": count})
    assert answer.status == 200, answer.body


async def test_scaling_loses_nothing(ground: Ground) -> None:
    """1 → 5 → 1 → 0 → 3. By hand at zero, a service refuses; so it goes to zero by being idle."""
    web = ground.service(scaling={"min": 0, "max": 5, "idle": {"stop_after": "1s"}})
    async with staged(ground, "scale", NOTHING, {"web": web}) as stage:
        await scale(stage, 3)
        await until_ready(stage.running, 3)
        await stage.measure()
        async with stage.loaded():
            for count in (1, 5, 1):
                await scale(stage, count)
                await until_ready(stage.running, count)
                await stage.calm(1)
        await stage.running.api("/v1/services/web/scale", "DELETE")
        await until_ready(stage.running, 0)
        async with stage.loaded():
            await scale(stage, 3)
            await until_ready(stage.running, 3)
            await stage.calm(1)


async def test_kill_9_of_one_of_three_every_second(ground: Ground) -> None:
    async with staged(
        ground, "kill-9-each-second", ONLY_UNSAFE, {"web": ground.service(scaling=THREE)}
    ) as stage:
        loop = asyncio.get_running_loop()
        killed: list[str] = []  # some may not be missed yet
        async with stage.loaded(), asyncio.TaskGroup() as group:
            for _ in range(KILLS):
                victim = (await until_some(stage.running, but=killed))[0]
                killed.append(victim)
                pid = await ground.pid(stage.running, victim)
                at = loop.time()
                os.kill(pid, signal.SIGKILL)
                group.create_task(stage.times_of(victim, at, LOST), name="times")
                await asyncio.sleep(1 - (loop.time() - at))
        await until_ready(stage.running, 3)


async def test_a_replica_that_hangs(ground: Ground) -> None:
    health = {"liveness": LIVE}
    # Those that hang are waited for until then; in the long run it is the default.
    drain = {} if LONG else {"drain": "5s"}
    web = ground.service(scaling=THREE, health=health, stop_grace="1s", **drain)
    async with staged(ground, "hang", ONLY_UNSAFE, {"web": web}) as stage:
        async with stage.loaded():
            victim = (await until_some(stage.running))[0]
            at = await ground.hang(stage.running, victim)
            await stage.times_of(victim, at, ("replica-evicted",))
            await stage.watch.first("replica-stopped", since=at, replica=victim)
            await until_ready(stage.running, 3)
        stage.notes.append(f"period x failures + timeout {HUNG_WITHIN * 1000:.0f} ms")
