"""The process driver keeps the runtime contract, on asyncio's loop and on uvloop."""

import asyncio
import os
import signal
from pathlib import Path
from typing import ClassVar

import pytest
import uvloop

from cluster.model import Instance
from cluster.runtime import InstanceRuntime
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
