"""What all parts of the contract stand on: the hooks a driver fills in, and the fixtures."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

import pytest

from cluster.model import Exit, Instance, InstanceStatus
from cluster.runtime import InstanceRuntime
from tests.contracts.observation import answers_http, eventually, has_status, listed
from tests.contracts.workloads import Workloads

MakeRuntime = Callable[[str], InstanceRuntime]
OpenRuntime = Callable[[str], AbstractAsyncContextManager[InstanceRuntime]]


class DriverCase:
    # The event loops on which every case runs, by name.
    loops: ClassVar[Mapping[str, Callable[[], asyncio.AbstractEventLoop]]] = {
        "asyncio": asyncio.new_event_loop
    }
    broken_code = "start-failed"  # of the failure that starting `broken` raises
    adopts = True  # a second runtime of the same owner lists what the first one started
    cancel_after: tuple[float, ...] = (0, 0.001, 0.005, 0.02, 0.06)  # seconds into a start

    # What a driver's module gives.

    @pytest.fixture
    def make_runtime(self) -> MakeRuntime:
        """Makes a runtime of an owner, not yet opened; all of one test reach the same engine."""
        raise NotImplementedError

    @pytest.fixture
    def workloads(self) -> Workloads:
        raise NotImplementedError

    async def kill(self, runtime: InstanceRuntime, instance: Instance) -> None:
        """Makes the instance end from outside, as the engine's own tools or a crash would."""
        raise NotImplementedError

    async def answers(
        self, runtime: InstanceRuntime, instance: Instance, timeout: float = 1.0
    ) -> bool:
        """Whether a request to it is answered within `timeout` seconds."""
        assert instance.address is not None
        return await answers_http(instance.address, timeout)

    async def assert_nothing_left(self, owner: str) -> None:
        """Fails when the engine holds anything of this owner that `instances` does not show."""

    # What the suite builds from it.

    @pytest.fixture
    def owner(self) -> str:
        return f"contract-{uuid.uuid4().hex[:8]}"

    @pytest.fixture
    def open_runtime(self, make_runtime: MakeRuntime) -> OpenRuntime:
        @contextlib.asynccontextmanager
        async def opened(owner: str) -> AsyncIterator[InstanceRuntime]:
            runtime = make_runtime(owner)
            await runtime.open()
            try:
                yield runtime
            finally:
                for instance in await runtime.instances():
                    await runtime.stop(instance.id, grace=0)
                await runtime.close()

        return opened

    @pytest.fixture
    async def runtime(
        self, open_runtime: OpenRuntime, owner: str
    ) -> AsyncIterator[InstanceRuntime]:
        async with open_runtime(owner) as runtime:
            yield runtime

    async def serving(self, runtime: InstanceRuntime, instance: Instance) -> None:
        await eventually(lambda: self.answers(runtime, instance), f"{instance.replica} answers")

    async def ended(self, runtime: InstanceRuntime, replica: str) -> Instance:
        await eventually(
            lambda: has_status(runtime, replica, InstanceStatus.EXITED), f"{replica} ended"
        )
        instance = await listed(runtime, replica)
        assert instance is not None
        assert isinstance(instance.exit, Exit)
        return instance

    def needs(self, ability: bool, name: str) -> None:
        if not ability:
            pytest.skip(f"this driver does not offer {name}")
