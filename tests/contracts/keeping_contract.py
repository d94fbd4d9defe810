"""A driver that keeps what it halts: listed as ended, and only a start away from serving."""

import asyncio

import pytest

from cluster.model import InstanceStatus
from cluster.runtime import InstanceRuntime, RuntimeFailure
from tests.contracts.driver_case import DriverCase
from tests.contracts.observation import seconds
from tests.contracts.workloads import Workloads


class KeepingContract(DriverCase):
    async def test_a_halted_replica_is_kept_and_answers_again_once_resumed(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        first = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, first)
        await runtime.halt(first.id, grace=60)
        await runtime.halt(first.id, grace=60)
        ended = await self.ended(runtime, "web-1")
        assert (ended.id, ended.address) == (first.id, ended.address)
        assert not await self.answers(runtime, first, timeout=0.3)
        for _ in range(2):
            again = await runtime.resume(first.id)
            assert (again.id, again.replica, again.service, again.revision) == (
                first.id, first.replica, first.service, first.revision,
            )  # fmt: skip
            assert again.status is InstanceStatus.RUNNING
            assert again.exit is None
            await self.serving(runtime, again)
        assert await runtime.instances() == [again]
        await runtime.stop(again.id, grace=60)
        assert await runtime.instances() == []

    async def test_a_frozen_replica_can_be_halted_politely(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)
        await runtime.freeze(instance.id)
        assert await seconds(runtime.halt(instance.id, grace=60)) < 10
        await self.ended(runtime, "web-1")

    async def test_what_is_being_resumed_is_never_listed_as_ended(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)  # before that, SIGTERM may find nobody who heeds it
        await runtime.halt(instance.id, grace=60)
        await self.ended(runtime, "web-1")
        seen = []
        async with asyncio.TaskGroup() as group:
            resuming = group.create_task(runtime.resume(instance.id))
            await asyncio.sleep(0)
            while not resuming.done():
                seen += [one.status for one in await runtime.instances()]
                await asyncio.sleep(0.001)
        assert set(seen) <= {InstanceStatus.RUNNING}
        assert seen

    async def test_a_halted_replica_that_was_stopped_is_gone(
        self, runtime: InstanceRuntime, workloads: Workloads, owner: str
    ) -> None:
        assert runtime.capabilities.keep
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)  # before that, SIGTERM may find nobody who heeds it
        await runtime.halt(instance.id, grace=60)
        await runtime.stop(instance.id, grace=60)
        assert await runtime.instances() == []
        await self.assert_nothing_left(owner)
        with pytest.raises(RuntimeFailure) as failure:
            await runtime.resume(instance.id)
        assert failure.value.code == "unknown-instance"
