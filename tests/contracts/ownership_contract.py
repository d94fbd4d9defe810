"""Owners are apart from each other, and find what a former run of theirs left running."""

import uuid

from cluster.model import InstanceStatus
from cluster.runtime import InstanceRuntime
from tests.contracts.driver_case import DriverCase, MakeRuntime, OpenRuntime
from tests.contracts.observation import DEADLINE, has_status
from tests.contracts.workloads import Workloads


class OwnershipContract(DriverCase):
    async def test_owners_never_see_or_touch_each_others_replicas(
        self, runtime: InstanceRuntime, open_runtime: OpenRuntime, workloads: Workloads
    ) -> None:
        async with open_runtime(f"contract-{uuid.uuid4().hex[:8]}") as other:
            ours = await runtime.start("web-1", workloads.server())
            theirs = await other.start("web-1", workloads.server())
            assert [one.id for one in await runtime.instances()] == [ours.id]
            assert [one.id for one in await other.instances()] == [theirs.id]
            await other.stop(ours.id, grace=0)
            assert await has_status(runtime, "web-1", InstanceStatus.RUNNING)
            await self.serving(runtime, ours)

    async def test_replicas_outlive_a_close_and_are_found_again(
        self,
        make_runtime: MakeRuntime,
        open_runtime: OpenRuntime,
        workloads: Workloads,
        owner: str,
    ) -> None:
        self.needs(self.adopts, "adoption")
        former = make_runtime(owner)
        await former.open()
        started = await former.start("web-1", workloads.server())
        await former.close()
        async with open_runtime(owner) as runtime:
            assert await runtime.instances() == [started]
            again = await runtime.start("web-1", workloads.server())
            assert again.id == started.id
            await self.serving(runtime, started)
            await runtime.stop(started.id, grace=DEADLINE)
            assert not await self.answers(runtime, started)
        await self.assert_nothing_left(owner)
