"""Hints: who looks only when hinted at misses nothing."""

import asyncio

from cluster.model import Instance, InstanceStatus
from cluster.runtime import Hint, InstanceRuntime
from tests.contracts.driver_case import DriverCase, MakeRuntime
from tests.contracts.observation import (
    DEADLINE,
    has_status,
    watching,
)
from tests.contracts.workloads import Workloads


class WatchingContract(DriverCase):
    async def test_the_first_hint_says_look_everywhere(self, runtime: InstanceRuntime) -> None:
        async with asyncio.timeout(DEADLINE), watching(runtime) as hints:
            assert hints.empty()

    async def test_a_start_an_end_and_a_kill_are_hinted_at_with_the_service(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        server, job = workloads.server(), workloads.exits()
        async with watching(runtime) as hints:
            instance = await runtime.start("web-1", server)
            await self.hinted(runtime, hints, instance, InstanceStatus.RUNNING)
            await self.kill(runtime, instance)
            await self.hinted(runtime, hints, instance, InstanceStatus.EXITED)
            ended = await runtime.start("job-1", job)
            await self.hinted(runtime, hints, ended, InstanceStatus.EXITED)

    async def hinted(
        self,
        runtime: InstanceRuntime,
        hints: "asyncio.Queue[Hint]",
        instance: Instance,
        status: InstanceStatus,
    ) -> None:
        """Looking only when hinted at this service, one comes to see that status."""
        async with asyncio.timeout(30):
            while True:
                hint = await hints.get()
                if hint.service == instance.service and await has_status(
                    runtime, instance.replica, status
                ):
                    return

    async def test_closing_ends_a_watch(self, make_runtime: MakeRuntime, owner: str) -> None:
        runtime = make_runtime(owner)
        await runtime.open()
        async with asyncio.timeout(DEADLINE):
            async for hint in runtime.watch():
                assert hint.service is None
                await runtime.close()
