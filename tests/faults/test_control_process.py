"""The control process is killed under load (fault F16): its gateway processes go on serving what
runs, until the one that is started next takes over."""

import asyncio
import contextlib

from tests.faults.ground import Ground, until_ready
from tests.faults.judge import NOTHING
from tests.faults.mode import LONG
from tests.faults.scenario import staged
from tests.support.running import tidegate

AWAY = 5.0 if LONG else 1.0  # seconds without a control process


async def test_kill_9_of_the_control_process(ground: Ground) -> None:
    web = ground.service(scaling={"min": 2, "max": 2})
    async with staged(ground, "kill-9-control", NOTHING, {"web": web}) as stage:
        before = {one["id"]: one["address"] for one in await stage.running.replicas("web")}
        async with contextlib.AsyncExitStack() as stack:
            async with stage.loaded():
                await stage.running.kill()
                await asyncio.sleep(AWAY)
                again = await stack.enter_async_context(tidegate(stage.running.file))
                await until_ready(again, 2)
                await stage.calm(2)
            after = {one["id"]: one["address"] for one in await again.replicas("web")}
            assert after == before
            assert again.said("replica-started") == []
            assert again.said("gateway-taken-over")
            stage.notes.append(f"{AWAY:g} s without a control process")
