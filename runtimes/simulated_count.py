"""The other kind of engine, simulated: it owns the count, as Swarm, Kubernetes or Nomad do.

Told a number, it starts and stops by itself, replaces what ended, and rolls a new revision out by
starting each new instance before it stops an old one.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from cluster.model import Instance, Usage
from cluster.runtime import Capabilities, Hint, LogLine
from cluster.workload import Workload
from runtimes.simulated_engine import Behaviour, SimulatedEngine, Specimen
from runtimes.simulated_view import EngineView


@dataclass(slots=True, eq=False)
class _Wanted:
    """What the engine was told of a service."""

    workload: Workload
    count: int
    spare: list[str] = field(default_factory=list)
    starting: int = 0  # on their way, not yet instances


class SimulatedCountRuntime:
    """A `CountRuntime`. Without `choose_victim` the engine stops whichever it likes."""

    name = "simulated-count"

    def __init__(
        self,
        owner: str = "tidegate",
        engine: SimulatedEngine | None = None,
        *,
        choose_victim: bool = True,
        restart_delay: float = 1.0,
        rng: random.Random | None = None,
    ) -> None:
        """`restart_delay` (seconds) passes before the engine tries a failed start again."""
        self.capabilities = Capabilities(
            exec=True, logs=True, usage=True, choose_victim=choose_victim
        )
        self.engine = engine or SimulatedEngine()
        self._owner = owner
        self._view = EngineView(owner, self.engine)
        self._restart_delay = restart_delay
        self._rng = rng or random.Random(0)
        self._wanted: dict[str, _Wanted] = {}
        self._made = 0

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

    async def set_count(self, workload: Workload, count: int, spare: Sequence[str]) -> None:
        self.engine.check()
        wanted = self._wanted.setdefault(workload.service, _Wanted(workload, count))
        wanted.workload, wanted.count = workload, count
        wanted.spare = list(spare) if self.capabilities.choose_victim else []
        self._converge(workload.service)

    async def remove(self, service: str) -> None:
        self.engine.check()
        self._wanted.pop(service, None)
        for specimen in self.engine.owned(self._owner):
            if specimen.instance.service == service:
                self.engine.remove(specimen)

    def _converge(self, service: str) -> None:
        """One step of the engine's own towards what it was told."""
        wanted = self._wanted.get(service)
        if wanted is None:
            return
        current = [one for one in self._of(service) if _runs(one, wanted.workload)]
        former = [one for one in self._of(service) if not _runs(one, wanted.workload)]
        for _ in range(wanted.count - len(current) - wanted.starting):
            self._launch(wanted)
        for victim in self._victims(current, len(current) - wanted.count, wanted.spare):
            self.engine.remove(victim)
        room = max(0, wanted.count - len(current))
        for victim in self._victims(former, len(former) - room, wanted.spare):
            self.engine.remove(victim)

    def _launch(self, wanted: _Wanted) -> None:
        wanted.starting += 1
        behaviour = self.engine.next_behaviour(wanted.workload.service)
        asyncio.get_running_loop().call_later(
            behaviour.start_delay, self._arrive, wanted, wanted.workload, behaviour
        )

    def _arrive(self, wanted: _Wanted, workload: Workload, behaviour: Behaviour) -> None:
        if behaviour.failure is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self._restart_delay, self._give_up_start, wanted)
            return
        wanted.starting -= 1
        if self._wanted.get(workload.service) is wanted and workload == wanted.workload:
            self._made += 1
            name = f"{workload.service}.{self._made}"
            self.engine.begin(self._owner, name, workload, behaviour, self._on_end)
        self._converge(workload.service)

    def _give_up_start(self, wanted: _Wanted) -> None:
        wanted.starting -= 1
        self._converge(wanted.workload.service)

    def _on_end(self, specimen: Specimen) -> None:
        asyncio.get_running_loop().call_later(self._restart_delay, self._replace, specimen)

    def _replace(self, specimen: Specimen) -> None:
        self.engine.remove(specimen)
        self._converge(specimen.instance.service)

    def _victims(self, among: list[Specimen], count: int, spare: list[str]) -> list[Specimen]:
        """`spare` in its order, then the engine's own choice."""
        if count <= 0:
            return []
        shuffled = self._rng.sample(among, len(among))
        place = {instance: number for number, instance in enumerate(spare)}
        shuffled.sort(key=lambda one: place.get(one.instance.id, len(place)))
        return shuffled[:count]

    def _of(self, service: str) -> list[Specimen]:
        owned = self.engine.owned(self._owner)
        return [one for one in owned if one.instance.service == service and not one.has_ended]


def _runs(specimen: Specimen, workload: Workload) -> bool:
    return specimen.instance.revision == workload.revision
