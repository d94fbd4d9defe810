"""The control plane: its parts, and who tells whom.

Production, simulations and the tests under virtual time stand on this one assembly. What is
different between them is an argument; a part that all of them have is added here and nowhere else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from autoscaler.habits import Habits
from autoscaler.leasing import Book, Leasing
from autoscaler.metrics import AutoscalerMetrics
from autoscaler.scaler import Scaler
from cluster.counting import Counting
from cluster.courses import Courses
from cluster.discovery import Discovery
from cluster.endpoints import StaticEndpoints
from cluster.events import Events
from cluster.failures import Failures
from cluster.host import HostMemory
from cluster.keeping import Keeping
from cluster.metrics import ReplicaLedger
from cluster.placing import Given, Placing
from cluster.reconciler import Reconciler
from cluster.registry import Registry
from cluster.rollouts import Rollouts
from cluster.runtime import CountRuntime, InstanceRuntime
from cluster.starts import Starts
from cluster.tasks import Tasks
from config.service import Service
from control.ground import Ground, Measure
from control.spine import InFlight, Spine
from health.ejector import Ejector
from health.metrics import HealthMetrics
from health.prober import Attempt, Prober

Levels = Callable[[], Awaitable[Mapping[str, int]]]


@dataclass(frozen=True, slots=True)
class Plane:
    """Wired, and at rest until it is begun."""

    runtime: InstanceRuntime | CountRuntime
    registry: Registry
    events: Events
    collectors: CollectorRegistry
    starts: Starts
    performer: Placing | Counting
    rollouts: Rollouts
    scaler: Scaler
    leasing: Leasing
    host: HostMemory
    reconciler: Reconciler
    discovery: Discovery
    prober: Prober
    ejector: Ejector
    spine: Spine

    def configure(self, specs: Mapping[str, Service]) -> None:
        """Before anything is discovered."""
        self.registry.configure(specs)
        self.scaler.configure(specs)

    def decide(self, tasks: Tasks) -> list[asyncio.Task[None]]:
        """From now on, by itself."""
        measure = "measure replicas without a limit of memory"
        return [
            tasks.start(self.scaler.run(), "autoscaler"),
            tasks.start(self.host.run(), measure),
        ]

    async def begin(self, specs: Mapping[str, Service], tasks: Tasks) -> None:
        """All of it at once, where there is no gateway from before to be taken over."""
        self.configure(specs)
        await self.discovery.sync()
        self.reconciler.begin()
        tasks.start(self.discovery.run(), "discovery")
        self.decide(tasks)

    def reconfigure(self, specs: Mapping[str, Service]) -> None:
        """Another file, while all of it runs."""
        self.registry.configure(specs)
        self.reconciler.configure(specs)
        self.scaler.configure(specs)
        self.leasing.configure(specs)

    def close(self) -> None:
        """No more probes, and nobody is let back; the reconciler is halted before that."""
        self.prober.close()
        self.ejector.close()


def plane_on(
    ground: Ground,
    *,
    levels: Levels,
    leases: Book,
    courses: Path | None,
    habits: Habits | None = None,
    usage: Measure | None = None,
    given: Given = lambda service: {},
    attempt: Attempt | None = None,
) -> Plane:
    """`levels`: requests in flight and queued at this moment, by service. `courses`: the folder in
    which revisions are remembered. `usage` and `attempt` are in place of the runtime's own usage
    and of real probes; `given` is what replicas have in their environment from us."""
    registry, events, metrics = ground.registry, ground.events, ground.metrics
    runtime, tasks, clock, wall = ground.runtime, ground.tasks, ground.clock, ground.wall
    failures = Failures(
        registry, events, metrics, clock,
        engine_owns_count=isinstance(runtime, CountRuntime), jitter=ground.jitter,
    )  # fmt: skip
    rollouts = Rollouts(registry, events, metrics, failures, Courses(courses, events), clock)
    starts = Starts(registry, metrics)
    performer = _performer_on(ground, failures, rollouts, starts, given)
    scaler = Scaler(registry, events, clock, wall, AutoscalerMetrics(ground.collectors), habits)
    rollouts.on_turn(scaler.relearn)
    leasing = Leasing(scaler, events, clock, wall, ground.lease_name, leases)
    host = HostMemory(
        registry, failures, events, metrics, clock, scaler.idle_since, scaler.put_to_sleep,
        usage or ground.usage, levels, tasks,
    )  # fmt: skip
    keeping = Keeping(registry, clock, can=runtime.capabilities.keep)
    in_flight = InFlight()
    reconciler = Reconciler(
        registry, performer, StaticEndpoints(registry, clock, wall), failures, in_flight.of,
        rollouts, leasing.replicas, keeping=keeping, host=host,
    )  # fmt: skip
    probes = HealthMetrics(ground.collectors)
    prober = Prober(
        registry, runtime.execute, tasks, events, clock, ground.rng, probes,
        attempt=attempt, evicted=failures.evicted, may_run=host.may_run,
    )  # fmt: skip
    ejector = Ejector(registry, events, clock, probes, prober.confirm)
    discovery = Discovery(
        registry, runtime, failures, events, metrics, clock, adopt=scaler.adopt,
        discard=performer.discard, keeping=keeping, jitter=ground.jitter,
    )  # fmt: skip
    ground.collectors.register(ReplicaLedger(registry, clock))
    return Plane(
        runtime, registry, events, ground.collectors, starts, performer, rollouts, scaler, leasing,
        host, reconciler, discovery, prober, ejector,
        Spine(scaler, ejector, reconciler, host, in_flight),
    )  # fmt: skip


def _performer_on(
    ground: Ground, failures: Failures, rollouts: Rollouts, starts: Starts, given: Given
) -> Placing | Counting:
    """As the engine demands."""
    runtime, registry, events = ground.runtime, ground.registry, ground.events
    if isinstance(runtime, CountRuntime):
        return Counting(
            registry, runtime, ground.tasks, failures, events, ground.metrics, ground.clock,
            rollouts.target,
        )  # fmt: skip
    return Placing(
        registry, runtime, ground.tasks, failures, events, ground.metrics, ground.clock,
        ground.wall, ground.replica_name, given, ground.jitter, starts,
    )  # fmt: skip
