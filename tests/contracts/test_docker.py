"""The Docker driver keeps the contract of every runtime, on a real engine."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from cluster.model import Instance
from cluster.runtime import InstanceRuntime
from cluster.workload import Workload
from runtimes.docker import DockerRuntime
from tests.contracts.driver_case import MakeRuntime
from tests.contracts.keeping_contract import KeepingContract
from tests.contracts.observation import eventually
from tests.contracts.runtime_contract import InstanceRuntimeContract
from tests.support.docker_engine import (
    busybox_image,
    containers_of,
    docker_engine,
    engine,
)

__all__ = ["busybox_image", "docker_engine"]

SERVE = "trap 'exit 0' TERM; httpd -f -p $PORT -h /www & wait"
TALK = """
trap 'exit 0' TERM
for n in 1 2 3; do echo out $n; echo err $n >&2; done
n=0
while :; do n=$((n+1)); echo beat $n; sleep 0.1; done
"""


@dataclass(frozen=True, slots=True)
class BusyboxWorkloads:
    image: str

    def server(self) -> Workload:
        return self._shell("web", SERVE)

    def stubborn(self) -> Workload:
        return self._shell(
            "web", "trap '' TERM; httpd -f -p $PORT -h /www & while :; do wait; done"
        )

    def exits(self) -> Workload:
        return self._shell("job", "exit 3")

    def talker(self) -> Workload:
        return self._shell("talk", TALK)

    def burner(self) -> Workload:
        return self._shell("burn", "trap 'exit 0' TERM; (while :; do :; done) & wait")

    def broken(self) -> Workload:
        return Workload("web", "r1", image=self.image, command=("/bin/no-such-program",))

    def exit_with(self, code: int) -> Sequence[str]:
        return ("sh", "-c", f"exit {code}")

    def lingering(self) -> Sequence[str]:
        return ("sleep", "100")

    def _shell(self, service: str, script: str) -> Workload:
        return Workload(service, "r1", image=self.image, command=("sh", "-c", script))


@pytest.mark.docker
class TestDockerRuntime(InstanceRuntimeContract, KeepingContract):
    @pytest.fixture
    def make_runtime(self, docker_engine: str) -> MakeRuntime:
        return DockerRuntime

    @pytest.fixture
    def workloads(self, busybox_image: str) -> BusyboxWorkloads:
        return BusyboxWorkloads(busybox_image)

    async def kill(self, runtime: InstanceRuntime, instance: Instance) -> None:
        async with engine() as docker:
            await docker.containers.container(instance.id).kill()

    async def assert_nothing_left(self, owner: str) -> None:
        assert await containers_of(owner) == []

    async def test_the_engine_tells_the_same_as_control_groups(
        self,
        runtime: InstanceRuntime,
        workloads: BusyboxWorkloads,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """For an engine on another machine, or with groups elsewhere."""
        ended = await runtime.start("job-1", workloads.exits())
        await self.ended(runtime, "job-1")
        burner = await runtime.start("burn-1", workloads.burner())
        ids = [burner.id, ended.id, "no-such-instance"]
        before = await runtime.usage(ids)

        async def burned_more() -> bool:
            now = (await runtime.usage(ids))[burner.id]
            return now.cpu_seconds > before[burner.id].cpu_seconds

        await eventually(burned_more, "it has had a turn of the processor")
        with monkeypatch.context() as patch:
            patch.setattr("runtimes.docker.usage_of", lambda ids: {})
            asked = await runtime.usage(ids)
        after = await runtime.usage(ids)
        assert before.keys() == asked.keys() == after.keys() == {burner.id}
        one, other, third = before[burner.id], asked[burner.id], after[burner.id]
        assert one.cpu_seconds < other.cpu_seconds <= third.cpu_seconds
        assert abs(other.memory - one.memory) < 8 * 1024**2
