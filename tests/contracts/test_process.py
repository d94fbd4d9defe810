"""The process driver keeps the runtime contract, on asyncio's loop and on uvloop."""

import asyncio
import os
import signal
from pathlib import Path
from typing import ClassVar

import pytest
import uvloop

from cluster.model import Instance
from cluster.runtime import InstanceRuntime, RuntimeFailure
from runtimes.process import ProcessRuntime
from tests.contracts.driver_case import MakeRuntime
from tests.contracts.runtime_contract import InstanceRuntimeContract
from tests.contracts.workloads import Workloads
from tests.support.process_workloads import ProcessWorkloads


class TestProcessRuntime(InstanceRuntimeContract):
    loops: ClassVar = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

    @pytest.fixture
    def make_runtime(self, tmp_path: Path) -> MakeRuntime:
        return lambda owner: ProcessRuntime(owner, tmp_path / owner, tmp_path)

    @pytest.fixture
    def workloads(self) -> Workloads:
        return ProcessWorkloads()

    async def kill(self, runtime: InstanceRuntime, instance: Instance) -> None:
        os.kill(int(instance.id.partition("-")[0]), signal.SIGKILL)

    async def test_it_keeps_nothing_and_says_so(
        self, runtime: InstanceRuntime, workloads: Workloads
    ) -> None:
        """What is left of a process that has ended is nothing."""
        assert not runtime.capabilities.keep
        instance = await runtime.start("web-1", workloads.server())
        for call in (runtime.halt(instance.id, grace=1), runtime.resume(instance.id)):
            with pytest.raises(RuntimeFailure) as failure:
                await call
            assert failure.value.code == "unsupported"
        await self.serving(runtime, instance)
