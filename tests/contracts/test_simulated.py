"""The simulated runtime keeps the contract too, which makes it a verified fake; in virtual time.

What the contract says of real sockets, its hook `answers` asks the engine.
"""

from collections.abc import Sequence
from typing import ClassVar

import pytest

from cluster.model import Exit, Instance
from cluster.runtime import InstanceRuntime, RuntimeFailure
from cluster.workload import Workload
from runtimes.simulated import SimulatedRuntime
from runtimes.simulated_engine import Behaviour, Saying, SimulatedEngine
from tests.contracts.driver_case import MakeRuntime
from tests.contracts.keeping_contract import KeepingContract
from tests.contracts.runtime_contract import InstanceRuntimeContract
from tests.contracts.workloads import Workloads
from tests.support.virtual_time import VirtualTimeLoop


def _execute(command: Sequence[str]) -> tuple[float, int]:
    return (100.0, 0) if command[0] == "linger" else (0.1, int(command[1]))


class SimulatedWorkloads:
    """Names of services, for which `scripted` has what they do."""

    def server(self) -> Workload:
        return Workload("web", "r1")

    def stubborn(self) -> Workload:
        return Workload("stubborn", "r1")

    def exits(self) -> Workload:
        return Workload("job", "r1")

    def talker(self) -> Workload:
        return Workload("talk", "r1")

    def burner(self) -> Workload:
        return Workload("burn", "r1")

    def broken(self) -> Workload:
        return Workload("broken", "r1")

    def exit_with(self, code: int) -> Sequence[str]:
        return ("exit", str(code))

    def lingering(self) -> Sequence[str]:
        return ("linger",)


def scripted() -> SimulatedEngine:
    engine = SimulatedEngine(Behaviour(0.02, listens_after=0.1, memory=1024**2, execute=_execute))
    engine.script("stubborn", Behaviour(listens_after=0.1, stop_delay=None))
    engine.script("burn", Behaviour(listens_after=None, cpu=1.0, memory=1024**2))
    engine.script("job", Behaviour(exits_after=0.0, exit=Exit(3)))
    engine.script("broken", Behaviour(0.02, RuntimeFailure("start-failed", "no such image")))
    numbers = (1, 2, 3)
    engine.script(
        "talk",
        Behaviour(
            says=(
                *(Saying(0.0, "stdout", f"out {number}") for number in numbers),
                *(Saying(0.0, "stderr", f"err {number}") for number in numbers),
                *(Saying(number * 0.05, "stdout", f"beat {number}") for number in range(1, 500)),
            )
        ),
    )
    return engine


class TestSimulatedRuntime(InstanceRuntimeContract, KeepingContract):
    loops: ClassVar = {"virtual": VirtualTimeLoop}

    @pytest.fixture
    def engine(self) -> SimulatedEngine:
        return scripted()

    @pytest.fixture
    def make_runtime(self, engine: SimulatedEngine) -> MakeRuntime:
        return lambda owner: SimulatedRuntime(owner, engine)

    @pytest.fixture
    def workloads(self) -> Workloads:
        return SimulatedWorkloads()

    async def kill(self, runtime: InstanceRuntime, instance: Instance) -> None:
        assert isinstance(runtime, SimulatedRuntime)
        runtime.engine.crash(instance.replica)

    async def answers(
        self, runtime: InstanceRuntime, instance: Instance, timeout: float = 1.0
    ) -> bool:
        assert isinstance(runtime, SimulatedRuntime)
        assert instance.address is not None
        return runtime.engine.answers(instance.address)
