"""A rolling restart under load (fault F23)."""

import asyncio

from tests.faults.ground import Ground, ready
from tests.faults.judge import NOTHING
from tests.faults.scenario import staged


async def test_a_rolling_restart_loses_nothing(ground: Ground) -> None:
    rollout = {"max_surge": 1, "max_unavailable": 0, "healthy_for": "500ms"}
    web = ground.service(scaling={"min": 3, "max": 3}, rollout=rollout)
    async with staged(ground, "rolling-restart", NOTHING, {"web": web}) as stage:
        loop = asyncio.get_running_loop()
        former = set(await ready(stage.running))
        async with stage.loaded():
            at = loop.time()
            answer = await stage.running.api("/v1/services/web/restart", "POST")
            assert answer.status == 202, answer.body

            async def is_through() -> bool:
                present = [one["id"] for one in await stage.running.replicas("web")]
                return len(present) == 3 and not former & set(present)

            await stage.running.until(is_through)
            stage.notes.append(f"three replicas restarted in {loop.time() - at:.1f} s")
