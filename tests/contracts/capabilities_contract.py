"""What a driver may offer: freezing, logs, commands beside a replica. If it offers them, so."""

import asyncio
from collections.abc import Awaitable

import pytest

from cluster.model import InstanceStatus
from cluster.runtime import InstanceRuntime, RuntimeFailure
from tests.contracts.driver_case import DriverCase
from tests.contracts.observation import (
    DEADLINE,
    eventually,
    first_lines,
    has_status,
    seconds,
    texts,
)
from tests.contracts.workloads import Workloads


class CapabilitiesContract(DriverCase):
    # Freezing.

    async def test_a_frozen_replica_is_silent_and_answers_again_once_thawed(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.freeze, "freeze")
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)
        await runtime.freeze(instance.id)
        await runtime.freeze(instance.id)
        assert await has_status(runtime, "web-1", InstanceStatus.FROZEN)
        assert not await self.answers(runtime, instance, timeout=0.3)
        await runtime.thaw(instance.id)
        await runtime.thaw(instance.id)
        assert await has_status(runtime, "web-1", InstanceStatus.RUNNING)
        await self.serving(runtime, instance)

    async def test_a_frozen_replica_can_be_stopped_politely(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.freeze, "freeze")
        instance = await runtime.start("web-1", workloads.server())
        await self.serving(runtime, instance)
        await runtime.freeze(instance.id)
        assert await seconds(runtime.stop(instance.id, grace=60)) < 10
        assert await runtime.instances() == []

    async def test_a_call_on_an_unknown_instance_fails(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        calls: list[Awaitable[object]] = []
        if runtime.capabilities.freeze:
            calls += [runtime.freeze("no-such-instance"), runtime.thaw("no-such-instance")]
        if runtime.capabilities.keep:
            calls += [runtime.halt("no-such-instance", 1), runtime.resume("no-such-instance")]
        if runtime.capabilities.exec:
            calls += [runtime.execute("no-such-instance", workloads.exit_with(0), timeout=5)]
        if runtime.capabilities.logs:
            calls += [first_lines(runtime.logs("no-such-instance"), 1)]
        for call in calls:
            with pytest.raises(RuntimeFailure) as failure:
                await call
            assert failure.value.code == "unknown-instance"

    # What it uses.

    async def test_usage_tells_cpu_time_and_memory_of_all_processes_of_a_replica(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.usage, "usage")
        idle = await runtime.start("web-1", workloads.server())
        burner = await runtime.start("burn-1", workloads.burner())
        await self.serving(runtime, idle)
        ids = [idle.id, burner.id]
        before = await runtime.usage(ids)
        assert before.keys() == set(ids)

        async def burned() -> bool:
            after = await runtime.usage(ids)
            return after[burner.id].cpu_seconds > before[burner.id].cpu_seconds + 0.3

        await eventually(burned, "the burner has used 0.3 s more")
        after = await runtime.usage(ids)
        assert after[idle.id].cpu_seconds - before[idle.id].cpu_seconds < 0.1
        assert all(100 * 1024 < usage.memory < 1024**3 for usage in after.values())

    async def test_a_frozen_replica_uses_no_cpu_and_keeps_its_memory(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.usage and runtime.capabilities.freeze, "usage and freeze")
        burner = await runtime.start("burn-1", workloads.burner())

        async def burns() -> bool:
            usage = await runtime.usage([burner.id])
            return usage[burner.id].cpu_seconds > 0.1

        await eventually(burns, "the burner burns")
        await runtime.freeze(burner.id)
        before = (await runtime.usage([burner.id]))[burner.id]
        await asyncio.sleep(0.3)
        after = (await runtime.usage([burner.id]))[burner.id]
        assert after.cpu_seconds - before.cpu_seconds < 0.05
        assert after.memory > 100 * 1024

    async def test_usage_leaves_out_what_has_ended_or_is_unknown(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.usage, "usage")
        assert await runtime.usage([]) == {}
        one = await runtime.start("burn-1", workloads.burner())
        other = await runtime.start("burn-2", workloads.burner())
        await self.kill(runtime, other)
        await self.ended(runtime, "burn-2")
        assert (await runtime.usage([one.id, other.id, "no-such-instance"])).keys() == {one.id}

    # Looking inside.

    async def test_logs_tell_the_last_lines_of_both_streams(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.logs, "logs")
        instance = await runtime.start("talk-1", workloads.talker())

        async def spoke() -> bool:
            told = [line async for line in runtime.logs(instance.id, tail=1000)]
            has_begun = any(line.text.startswith("beat") for line in told)
            # The order between the two streams is not known.
            return has_begun and len(texts(told, "stderr")) == 3

        await eventually(spoke, "the talker's lines are told")
        told = [line async for line in runtime.logs(instance.id, tail=1000)]
        assert {line.replica for line in told} == {"talk-1"}
        assert texts(told, "stdout")[:4] == ["out 1", "out 2", "out 3", "beat 1"]
        assert texts(told, "stderr") == ["err 1", "err 2", "err 3"]
        assert len([line async for line in runtime.logs(instance.id, tail=2)]) == 2

    async def test_followed_logs_tell_new_lines_and_end_with_the_replica(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.logs, "logs")
        instance = await runtime.start("talk-1", workloads.talker())
        lines = runtime.logs(instance.id, tail=1000, follow=True)
        async with asyncio.timeout(DEADLINE):
            told = await first_lines(lines, 10)
            assert texts(told, "stdout")[:4] == ["out 1", "out 2", "out 3", "beat 1"]
            await self.kill(runtime, instance)
            told += [line async for line in lines]
        beats = [text for text in texts(told, "stdout") if text.startswith("beat")]
        assert beats == [f"beat {number}" for number in range(1, len(beats) + 1)]

    async def test_a_command_beside_a_replica_gives_its_code(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.exec, "exec")
        instance = await runtime.start("web-1", workloads.server())
        assert await runtime.execute(instance.id, workloads.exit_with(0), timeout=DEADLINE) == 0
        assert await runtime.execute(instance.id, workloads.exit_with(7), timeout=DEADLINE) == 7

    async def test_a_command_that_takes_too_long_is_a_timeout(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        self.needs(runtime.capabilities.exec, "exec")
        instance = await runtime.start("web-1", workloads.server())
        with pytest.raises(RuntimeFailure) as failure:
            await runtime.execute(instance.id, workloads.lingering(), timeout=0.3)
        assert failure.value.code == "timeout"
