"""Starting, stopping and ending: nothing is started twice, and nothing is left behind."""

import asyncio

import pytest

from cluster.model import InstanceStatus
from cluster.runtime import InstanceRuntime, RuntimeFailure
from tests.contracts.driver_case import DriverCase
from tests.contracts.observation import (
    DEADLINE,
    seconds,
)
from tests.contracts.workloads import Workloads


class LifecycleContract(DriverCase):
    # Starting.

    async def test_a_started_replica_is_listed_as_it_was_asked_for_and_answers(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        workload = workloads.server()
        started = await runtime.start("web-1", workload)
        assert (started.replica, started.service) == ("web-1", workload.service)
        assert started.revision == workload.revision
        assert started.status is InstanceStatus.RUNNING
        assert started.address is not None
        assert await runtime.instances() == [started]
        await self.serving(runtime, started)

    async def test_two_replicas_of_one_service_have_addresses_of_their_own(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        workload = workloads.server()
        first = await runtime.start("web-1", workload)
        second = await runtime.start("web-2", workload)
        assert first.id != second.id
        assert first.address != second.address
        await self.serving(runtime, first)
        await self.serving(runtime, second)

    async def test_starting_a_replica_again_returns_what_exists(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        first = await runtime.start("web-1", workloads.server())
        second = await runtime.start("web-1", workloads.server())
        assert (second.id, second.address) == (first.id, first.address)
        assert len(await runtime.instances()) == 1

    async def test_starting_a_replica_twice_at_once_makes_one_instance(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        first, second = await asyncio.gather(
            runtime.start("web-1", workloads.server()),
            runtime.start("web-1", workloads.server()),
        )
        assert (second.id, second.address) == (first.id, first.address)
        assert len(await runtime.instances()) == 1

    async def test_a_start_that_fails_says_why_and_leaves_nothing(
        self, runtime: InstanceRuntime, workloads: Workloads, owner: str
    ) -> None:
        with pytest.raises(RuntimeFailure) as failure:
            await runtime.start("web-1", workloads.broken())
        assert failure.value.code == self.broken_code
        assert failure.value.message
        assert not failure.value.transient
        assert await runtime.instances() == []
        await self.assert_nothing_left(owner)

    async def test_a_cancelled_start_leaves_nothing(
        self, runtime: InstanceRuntime, workloads: Workloads, owner: str
    ) -> None:
        for number, delay in enumerate(self.cancel_after):
            async with asyncio.TaskGroup() as group:
                start = group.create_task(runtime.start(f"web-{number}", workloads.server()))
                await asyncio.sleep(delay)
                start.cancel()
            if not start.cancelled():
                await runtime.stop(start.result().id, grace=0)
            assert await runtime.instances() == []
            await self.assert_nothing_left(owner)

    # Stopping.

    async def test_a_stopped_replica_is_gone_and_may_be_stopped_again(
        self, runtime: InstanceRuntime, workloads: Workloads, owner: str
    ) -> None:
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)
        await runtime.stop(instance.id, grace=DEADLINE)
        assert await runtime.instances() == []
        assert not await self.answers(runtime, instance)
        await runtime.stop(instance.id, grace=DEADLINE)
        await self.assert_nothing_left(owner)

    async def test_stopping_an_unknown_instance_succeeds(self, runtime: InstanceRuntime) -> None:
        await runtime.stop("no-such-instance", grace=DEADLINE)

    async def test_two_stops_at_once_both_succeed(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        instance = await runtime.start("web-1", workloads.server())
        await asyncio.gather(
            runtime.stop(instance.id, grace=DEADLINE), runtime.stop(instance.id, grace=DEADLINE)
        )
        assert await runtime.instances() == []

    async def test_a_replica_that_heeds_sigterm_does_not_use_its_grace(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)
        assert await seconds(runtime.stop(instance.id, grace=60)) < 10

    async def test_a_replica_that_ignores_sigterm_is_killed_after_its_grace(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        instance = await runtime.start("web-1", workloads.stubborn())
        await self.serving(runtime, instance)
        assert 0.99 <= await seconds(runtime.stop(instance.id, grace=1)) < 10
        assert await runtime.instances() == []
        assert not await self.answers(runtime, instance)

    async def test_a_stopped_replica_may_be_started_anew(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        first = await runtime.start("web-1", workloads.server())
        await runtime.stop(first.id, grace=0)
        second = await runtime.start("web-1", workloads.server())
        assert second.id != first.id
        await self.serving(runtime, second)

    # Ending by itself.

    async def test_an_ended_replica_is_listed_with_its_code_until_stopped(
        self, runtime: InstanceRuntime, workloads: Workloads, owner: str
    ) -> None:
        started = await runtime.start("job-1", workloads.exits())
        ended = await self.ended(runtime, "job-1")
        assert (ended.id, ended.service) == (started.id, started.service)
        assert ended.exit is not None
        assert ended.exit.code == 3
        await runtime.stop(ended.id, grace=DEADLINE)
        assert await runtime.instances() == []
        await self.assert_nothing_left(owner)

    async def test_a_killed_replica_is_listed_as_ended(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)
        await self.kill(runtime, instance)
        ended = await self.ended(runtime, "web-1")
        assert ended.exit is not None
        assert ended.exit.code != 0
