"""A gateway process that is killed under load costs only what was in flight in it (fault F16)."""

import asyncio
import os
import signal

from tests.e2e.test_workers import gateways_of
from tests.faults.ground import Ground
from tests.faults.judge import Bar, in_flight
from tests.faults.mode import LONG
from tests.faults.scenario import WORKERS, Stage, staged
from tests.support.callers import ports_of, stop

KILLS = 10 if LONG else 2


async def test_kill_9_of_a_gateway_process(ground: Ground) -> None:
    """Which connections it had is looked up while it is stopped, so that it takes no more."""
    doomed: set[int] = set()

    def bar(stage: Stage) -> Bar:
        return in_flight(doomed)

    web = ground.service(scaling={"min": 2, "max": 2})
    async with staged(ground, "kill-9-gateway", bar, {"web": web}) as stage:
        loop = asyncio.get_running_loop()
        async with stage.loaded():
            for _ in range(KILLS):
                victim = sorted(gateways_of(stage.running))[0]
                await stop(victim)
                doomed |= ports_of(victim, stage.running)
                at = loop.time()
                os.kill(victim, signal.SIGKILL)
                await until_replaced(stage, victim)
                stage.replaced.append(loop.time() - at)
                await stage.calm(1)
        assert len(stage.running.said("gateway-died")) == KILLS


async def until_replaced(stage: Stage, victim: int) -> None:
    async def is_replaced() -> bool:
        present = gateways_of(stage.running)
        return victim not in present and len(present) == WORKERS

    await stage.running.until(is_replaced)
