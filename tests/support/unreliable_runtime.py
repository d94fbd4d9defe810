"""A runtime over the simulated engine on which nothing can be relied: for virtual time.

Every call may be slow, may fail before it is made, or be made and its answer lost; a list may be a
former one; news are lost, late, out of order, and cut off. `Chances.calm` ends all of that.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cluster.model import Instance, Usage
from cluster.runtime import Hint, RuntimeFailure
from cluster.workload import Workload
from runtimes.simulated import SimulatedRuntime
from runtimes.simulated_engine import SimulatedEngine

T = TypeVar("T")
_CODES = ("engine-unavailable", "engine-unavailable", "start-failed")


@dataclass(slots=True)
class Chances:
    """`failure` is the chance that a call fails; `slowest` what it may take (seconds). `calls` is
    when each one was made."""

    rng: random.Random
    failure: float
    slowest: float = 3.0
    calls: list[float] = field(default_factory=list)

    def calm(self) -> None:
        self.failure = self.slowest = 0.0

    def strikes(self) -> bool:
        return self.rng.random() < self.failure

    def delay(self) -> float:
        """Mostly short."""
        return self.slowest * self.rng.random() ** 4

    def error(self) -> RuntimeFailure:
        return RuntimeFailure(self.rng.choice(_CODES), "it is unreliable", transient=True)


class UnreliableRuntime(SimulatedRuntime):
    def __init__(self, owner: str, engine: SimulatedEngine, chances: Chances) -> None:
        super().__init__(owner, engine)
        self._chances = chances
        self._former: Sequence[Instance] = ()

    async def open(self) -> None:
        await self._call(super().open())

    async def instances(self) -> Sequence[Instance]:
        found = await self._call(super().instances())
        # Never twice in a row: that is a lie, and no list at all is better than one that lies.
        if self._former and self._chances.strikes():
            stale, self._former = self._former, ()
            return stale
        self._former = found
        return found

    async def watch(self) -> AsyncIterator[Hint]:
        async for hint in super().watch():
            if self._chances.strikes():
                continue
            if self._chances.strikes():
                raise self._chances.error()
            await asyncio.sleep(self._chances.delay())
            yield hint

    async def start(self, replica: str, workload: Workload) -> Instance:
        return await self._call(super().start(replica, workload))

    async def stop(self, instance: str, grace: float) -> None:
        await self._call(super().stop(instance, grace))

    async def freeze(self, instance: str) -> None:
        await self._call(super().freeze(instance))

    async def thaw(self, instance: str) -> None:
        await self._call(super().thaw(instance))

    async def halt(self, instance: str, grace: float) -> None:
        await self._call(super().halt(instance, grace))

    async def resume(self, instance: str) -> Instance:
        return await self._call(super().resume(instance))

    async def usage(self, instances: Sequence[str]) -> Mapping[str, Usage]:
        return await self._call(super().usage(instances))

    async def _call(self, work: Awaitable[T]) -> T:
        chances = self._chances
        chances.calls.append(asyncio.get_running_loop().time())
        try:
            await asyncio.sleep(chances.delay())
            if chances.strikes():
                raise chances.error()
        except BaseException:
            work.close()  # type: ignore[attr-defined]
            raise
        done = await work
        await asyncio.sleep(chances.delay())
        if chances.strikes():
            raise chances.error()
        return done
