"""A runtime over the simulated engine, in memory and on the loop's clock.

It keeps the contract that the real drivers keep, so what is shown with it holds for those.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from weakref import WeakValueDictionary

from cluster.model import Exit, Instance, Usage
from cluster.runtime import Capabilities, Hint, LogLine
from cluster.workload import Workload
from runtimes.simulated_engine import SimulatedEngine, Specimen
from runtimes.simulated_view import EngineView


class SimulatedRuntime:
    """An `InstanceRuntime`. `engine` is the script: what instances do, when it breaks down."""

    name = "simulated"
    capabilities = Capabilities(freeze=True, keep=True, exec=True, logs=True, usage=True)

    def __init__(self, owner: str = "tidegate", engine: SimulatedEngine | None = None) -> None:
        """Runtimes that share an engine see it as several Tidegates see one Docker."""
        self.engine = engine or SimulatedEngine()
        self._owner = owner
        self._view = EngineView(owner, self.engine)
        self._starting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self) -> None:
        self.engine.check()

    async def close(self) -> None:
        self._view.end_watches()

    async def instances(self) -> Sequence[Instance]:
        return self._view.instances()

    def watch(self) -> AsyncIterator[Hint]:
        return self._view.watch()

    def logs(
        self, instance: str, *, tail: int = 100, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        return self._view.logs(instance, tail, follow)

    async def execute(self, instance: str, command: Sequence[str], timeout: float) -> int:
        return await self._view.execute(instance, command, timeout)

    async def usage(self, instances: Sequence[str]) -> Mapping[str, Usage]:
        return self._view.usage(instances)

    async def start(self, replica: str, workload: Workload) -> Instance:
        async with self._starting.setdefault(replica, asyncio.Lock()):
            existing = self._existing(replica)
            return existing.instance if existing else await self._start(replica, workload)

    async def stop(self, instance: str, grace: float) -> None:
        specimen = self._view.find(instance)
        if specimen is None:
            return
        self.engine.thaw(specimen)
        if not specimen.has_ended:
            await self._end(specimen, grace)
        self.engine.remove(specimen)

    async def freeze(self, instance: str) -> None:
        self.engine.freeze(self._view.running(instance))

    async def thaw(self, instance: str) -> None:
        self.engine.thaw(self._view.running(instance))

    async def halt(self, instance: str, grace: float) -> None:
        specimen = self._view.known(instance)
        self.engine.thaw(specimen)
        if not specimen.has_ended:
            await self._end(specimen, grace)

    async def resume(self, instance: str) -> Instance:
        specimen = self._view.known(instance)
        if specimen.has_ended:
            behaviour = self.engine.next_behaviour(specimen.instance.service)
            self.engine.begin_again(specimen, behaviour)
            await asyncio.sleep(behaviour.start_delay)
            self.engine.check()
            if behaviour.failure is not None:
                self.engine.end(specimen, Exit(message=behaviour.failure.message))
                raise behaviour.failure
        return specimen.instance

    async def _start(self, replica: str, workload: Workload) -> Instance:
        behaviour = self.engine.next_behaviour(workload.service)
        await asyncio.sleep(behaviour.start_delay)
        self.engine.check()
        if behaviour.failure is not None:
            raise behaviour.failure
        return self.engine.begin(self._owner, replica, workload, behaviour).instance

    async def _end(self, specimen: Specimen, grace: float) -> None:
        delay = specimen.behaviour.stop_delay
        heeds = delay is not None and delay <= grace
        await asyncio.sleep(delay if heeds and delay is not None else grace)
        self.engine.end(specimen, Exit(-15 if heeds else -9))

    def _existing(self, replica: str) -> Specimen | None:
        self.engine.check()
        owned = self.engine.owned(self._owner)
        return next((one for one in owned if one.instance.replica == replica), None)
