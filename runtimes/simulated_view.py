"""What both kinds of simulated runtime share: one owner's view of the engine."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from cluster.model import Instance, Usage
from cluster.runtime import Hint, LogLine, RuntimeFailure
from runtimes.simulated_engine import SimulatedEngine, Specimen


class EngineView:
    """The instances of one owner, as its runtime tells of them."""

    def __init__(self, owner: str, engine: SimulatedEngine) -> None:
        self._owner = owner
        self._engine = engine

    def instances(self) -> list[Instance]:
        self._engine.check()
        return [specimen.instance for specimen in self._engine.owned(self._owner)]

    def end_watches(self) -> None:
        self._engine.hints_of(self._owner).end()

    async def watch(self) -> AsyncIterator[Hint]:
        self._engine.check()
        async for hint in self._engine.hints_of(self._owner).watch():
            yield hint
        self._engine.check()

    async def logs(self, instance: str, tail: int, follow: bool) -> AsyncIterator[LogLine]:
        specimen = self.known(instance)
        told = max(0, len(specimen.lines) - tail)
        while True:
            specimen.news.clear()
            last = specimen.has_ended or not follow
            for line in specimen.lines[told:]:
                told += 1
                yield line
            if last:
                return
            await specimen.news.wait()

    async def execute(self, instance: str, command: Sequence[str], timeout: float) -> int:
        seconds, code = self.running(instance).behaviour.execute(command)
        await asyncio.sleep(min(seconds, timeout))
        if seconds > timeout:
            raise RuntimeFailure("timeout", f"the command took over {timeout:g} s")
        return code

    def usage(self, instances: Sequence[str]) -> Mapping[str, Usage]:
        now = asyncio.get_running_loop().time()
        found = ((id, self.find(id)) for id in instances)
        return {
            id: Usage(one.behaviour.cpu * one.age(now), one.behaviour.memory)
            for id, one in found
            if one is not None and not one.has_ended
        }

    def find(self, instance: str) -> Specimen | None:
        self._engine.check()
        owned = self._engine.owned(self._owner)
        return next((one for one in owned if one.instance.id == instance), None)

    def known(self, instance: str) -> Specimen:
        """Raises RuntimeFailure(unknown-instance)."""
        specimen = self.find(instance)
        if specimen is None:
            raise RuntimeFailure("unknown-instance", f'there is no instance "{instance}"')
        return specimen

    def running(self, instance: str) -> Specimen:
        """Raises RuntimeFailure(unknown-instance)."""
        specimen = self.known(instance)
        if specimen.has_ended:
            raise RuntimeFailure("unknown-instance", f'the instance "{instance}" has ended')
        return specimen
