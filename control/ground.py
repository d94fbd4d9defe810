"""What every part of a control plane stands on: an engine, a clock, chance, and what is known."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from cluster.calls import Calls
from cluster.events import Events
from cluster.metrics import ClusterMetrics
from cluster.model import Usage
from cluster.registry import Registry
from cluster.runtime import CountRuntime, InstanceRuntime
from cluster.tasks import Tasks

Clock = Callable[[], float]
Measure = Callable[[Sequence[str]], Awaitable[Mapping[str, Usage]]]


@dataclass(frozen=True, slots=True)
class Ground:
    """`clock` is loop time, `wall` seconds since 1970; all chance is drawn from `rng`."""

    runtime: InstanceRuntime | CountRuntime
    tasks: Tasks
    clock: Clock
    wall: Clock
    rng: random.Random
    registry: Registry
    events: Events
    collectors: CollectorRegistry
    metrics: ClusterMetrics

    @classmethod
    def of(
        cls, runtime: InstanceRuntime | CountRuntime, tasks: Tasks, clock: Clock, wall: Clock,
        rng: random.Random,
    ) -> "Ground":  # fmt: skip
        """On which nothing stands yet."""
        collectors = CollectorRegistry()
        return cls(
            runtime, tasks, clock, wall, rng,
            Registry(), Events(wall), collectors, ClusterMetrics(collectors),
        )  # fmt: skip

    def jitter(self) -> float:
        """About 1."""
        return self.rng.uniform(0.7, 1.3)

    def replica_name(self, service: str) -> str:
        """`web` -> `web-7f3a21c0`: short enough to type, never the same twice in one run."""
        return f"{service}-{self.rng.getrandbits(32):08x}"

    def lease_name(self) -> str:
        return f"{self.rng.getrandbits(48):012x}"

    async def usage(self, instances: Sequence[str]) -> Mapping[str, Usage]:
        """The runtime's, timed and counted."""
        return await Calls(self.metrics, self.clock)("usage", self.runtime.usage(instances))
