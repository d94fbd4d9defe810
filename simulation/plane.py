"""The control plane of a simulation: everything of the production code but sockets and engines.

Probes ask the simulated engine whether a replica would answer. What is measured elsewhere (CPU,
memory, Prometheus, Redis, JSON) is not simulated: such rules have no data, and hold.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry

from autoscaler.leases import Kept
from autoscaler.leasing import Leasing
from autoscaler.metrics import AutoscalerMetrics
from autoscaler.scaler import Scaler
from cluster.courses import Courses
from cluster.discovery import Discovery
from cluster.endpoints import StaticEndpoints
from cluster.events import Events
from cluster.failures import Failures
from cluster.host import HostMemory
from cluster.keeping import Keeping
from cluster.messages import Drained, LoadReport, Outcome, Wake
from cluster.metrics import ClusterMetrics
from cluster.model import Replica
from cluster.placing import Placing
from cluster.reconciler import Reconciler
from cluster.registry import Registry
from cluster.rollouts import Rollouts
from cluster.starts import Starts, starts_of
from cluster.tasks import Tasks
from config.settings import Settings
from health.duties import Check
from health.ejector import Ejector
from health.metrics import HealthMetrics
from health.prober import Attempt, Prober
from health.verdict import Finding, Result
from runtimes.simulated import SimulatedRuntime
from simulation.replicas import AssumedEngine

Clock = Callable[[], float]
Levels = Callable[[], Awaitable[Mapping[str, int]]]
_OWNER = "simulation"


class Blank:
    """A book of leases that nobody keeps."""

    def read(self) -> Sequence[Kept]:
        return ()

    def write(self, leases: Sequence[Kept]) -> None:
        """Nothing outlives a simulation."""


@dataclass(slots=True)
class Messages:
    """What the gateway tells, each to whom it concerns, at once. Also who is busy."""

    scaler: Scaler
    reconciler: Reconciler
    ejector: Ejector
    host: HostMemory
    pending: dict[str, Mapping[str, int]]

    def wake(self, message: Wake) -> None:
        self.scaler.wake(message)

    def report(self, message: LoadReport) -> None:
        self.pending[message.service] = dict(message.pending)
        self.scaler.report(message)
        self.ejector.report(message)
        if not message.keeping_awake:
            self.host.fell_idle()

    def outcome(self, message: Outcome) -> None:
        self.ejector.record(message)

    def drained(self, message: Drained) -> None:
        self.reconciler.drained(message)


@dataclass(frozen=True, slots=True)
class Plane:
    registry: Registry
    events: Events
    collectors: CollectorRegistry
    scaler: Scaler
    discovery: Discovery
    reconciler: Reconciler
    host: HostMemory
    messages: Messages

    async def begin(self, settings: Settings, tasks: Tasks) -> None:
        """As `tidegate run` does it."""
        self.registry.configure(settings.services)
        self.scaler.configure(settings.services)
        await self.discovery.sync()
        self.reconciler.begin()
        tasks.start(self.discovery.run(), "discovery")
        tasks.start(self.scaler.run(), "autoscaler")
        tasks.start(self.host.run(), "measure memory")


@contextlib.asynccontextmanager
async def plane_of(
    settings: Settings, engine: AssumedEngine, tasks: Tasks, clock: Clock, wall: Clock, seed: int,
    levels: Levels,
) -> AsyncIterator[Plane]:  # fmt: skip
    """Wired, not yet begun. `clock` is loop time, `wall` seconds since 1970. `levels`: requests in
    flight and queued at this moment, by service."""
    collectors, rng = CollectorRegistry(), random.Random(seed)
    registry, events = Registry(), Events(wall)
    metrics = ClusterMetrics(collectors)
    uneven = partial(rng.uniform, 0.7, 1.3)
    failures = Failures(registry, events, metrics, clock, jitter=uneven)
    rollouts = Rollouts(registry, events, metrics, failures, Courses(None, events), clock)
    runtime = SimulatedRuntime(_OWNER, engine)
    starts = Starts(registry, metrics, starts_of(settings.host, len(os.sched_getaffinity(0))))
    placing = Placing(
        registry, runtime, tasks, failures, events, metrics, clock, wall, _named(rng),
        jitter=uneven, starts=starts,
    )  # fmt: skip
    scaler = Scaler(registry, events, clock, wall, AutoscalerMetrics(collectors))
    rollouts.on_turn(scaler.relearn)
    leasing = Leasing(scaler, events, clock, wall, lambda: f"{rng.getrandbits(48):012x}", Blank())
    keeping = Keeping(registry, clock, can=runtime.capabilities.keep)
    host = HostMemory(
        registry, failures, events, metrics, clock, scaler.idle_since, scaler.put_to_sleep,
        runtime.usage, levels, tasks,
    )  # fmt: skip
    memory = settings.host.memory  # a share of this machine is none of the simulated one
    host.configure(None if isinstance(memory, float) else memory)
    pending: dict[str, Mapping[str, int]] = {}
    reconciler = Reconciler(
        registry, placing, StaticEndpoints(registry, clock, wall), failures,
        lambda service: pending.get(service, {}), rollouts, leasing.replicas, keeping=keeping,
        host=host,
    )  # fmt: skip
    instruments = HealthMetrics(collectors)
    prober = Prober(
        registry, runtime.execute, tasks, events, clock, rng, instruments,
        attempt=_asking(engine), evicted=failures.evicted, may_run=host.may_run,
    )  # fmt: skip
    ejector = Ejector(registry, events, clock, instruments, prober.confirm)
    discovery = Discovery(
        registry, runtime, failures, events, metrics, clock, adopt=scaler.adopt,
        discard=placing.discard, keeping=keeping, jitter=uneven,
    )  # fmt: skip
    messages = Messages(scaler, reconciler, ejector, host, pending)
    try:
        yield Plane(registry, events, collectors, scaler, discovery, reconciler, host, messages)
    finally:
        prober.close()
        ejector.close()
        reconciler.halt()


def _named(rng: random.Random) -> Callable[[str], str]:
    return lambda service: f"{service}-{rng.getrandbits(32):08x}"


def _asking(engine: AssumedEngine) -> Attempt:
    """A try that comes too early waits for the port instead of coming again and again: what is
    assumed of a start is the time until its probe has passed."""

    async def attempt(check: Check, replica: Replica, timeout: float) -> Finding:
        listens_in = engine.listens_in(replica.instance or "")
        if listens_in is None or listens_in > timeout:
            await asyncio.sleep(timeout if listens_in else 0.0)
            return Finding(Result.FAILED, "the simulated engine says that nobody listens")
        await asyncio.sleep(listens_in)
        return Finding(Result.PASSED, "the simulated engine says that it listens")

    return attempt
