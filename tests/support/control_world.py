"""The whole control plane on virtual time: everything but sockets is the production code.

The engine is simulated, probes ask it whether a replica would answer, and the gateway is a few
counters that follow the law of the messages.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from autoscaler.leasing import Leasing
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
from cluster.lifecycle import State
from cluster.messages import Drained, EndpointSnapshot, LoadReport, Wake
from cluster.metrics import ClusterMetrics, ReplicaLedger
from cluster.model import Replica
from cluster.placing import Placing
from cluster.reconciler import Reconciler
from cluster.registry import Registry
from cluster.rollouts import Rollouts
from cluster.starts import Starts
from cluster.tasks import Tasks
from config.service import Service
from health.duties import Check
from health.metrics import HealthMetrics
from health.prober import Prober
from health.verdict import Finding, Result
from runtimes.simulated import SimulatedRuntime
from runtimes.simulated_count import SimulatedCountRuntime
from runtimes.simulated_engine import SimulatedEngine
from tests.support.scaling_facts import Page


@dataclass(slots=True)
class ControlWorld:
    registry: Registry
    engine: SimulatedEngine
    scaler: Scaler
    reconciler: Reconciler
    discovery: Discovery
    events: Events
    collectors: CollectorRegistry
    leasing: Leasing
    rollouts: Rollouts
    host: HostMemory
    starts: Starts
    busy: dict[str, int]  # requests that no report has told of yet, by service
    holding: set[str] = field(default_factory=set)
    _seen: dict[str, set[str]] = field(default_factory=dict)

    # A gateway of sorts

    def follow(self, snapshot: EndpointSnapshot) -> None:
        present = {endpoint.replica for endpoint in snapshot.endpoints}
        for replica in self._seen.get(snapshot.service, set()) - present:
            if replica not in self.holding:
                self.reconciler.drained(Drained(snapshot.service, replica))
        self._seen[snapshot.service] = present

    def release(self, service: str, replica: str) -> None:
        """The last request of a replica that left has ended."""
        self.holding.discard(replica)
        self.reconciler.drained(Drained(service, replica))

    def wake(self, service: str = "web") -> None:
        self.scaler.wake(Wake(service))

    def load(self, concurrency: float, service: str = "web") -> None:
        """One second with that many requests in flight on average, just over."""
        now = asyncio.get_running_loop().time()
        self.scaler.report(
            LoadReport(service, now, 1.0, concurrency, round(concurrency), 0, round(concurrency), 0)
        )
        if not concurrency:
            self.host.fell_idle()

    # Looking

    def replicas(self, *states: State, service: str = "web") -> list[Replica]:
        present = self.registry.replicas(service)
        return [replica for replica in present if not states or replica.state in states]

    def ready(self, service: str = "web") -> int:
        return len(self.registry.snapshot(service).endpoints)

    def running(self) -> list[str]:
        return [specimen.instance.replica for specimen in self.engine.running()]

    def happened(self, kind: str) -> list[str]:
        return [one.message for one in self.events.since() if one.kind == kind]

    async def until(self, condition: Callable[[], object], within: float = 3600.0) -> None:
        """Virtual time costs nothing: look every millisecond."""
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 (on virtual time)
                await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def control_world(
    *services: Service,
    engine: SimulatedEngine | None = None,
    counted: bool = False,
    choose_victim: bool = True,
    passes: Callable[[Check, Replica], bool] = lambda check, replica: True,
    state: Path | None = None,
    seed: int = 7,
    starts: int = 0,
    memory: int | None = None,
) -> AsyncIterator[ControlWorld]:
    """Started, with everything on the engine already discovered.

    `passes` says what a probe of a replica that answers comes to. `state`: what is remembered of
    revisions lies there; `seed`: a second one on the same engine needs names of its own.
    """
    engine = engine or SimulatedEngine()
    clock = asyncio.get_running_loop().time
    collectors = CollectorRegistry()
    registry, events = Registry(), Events(clock)
    metrics = ClusterMetrics(collectors)
    uneven = partial(random.Random(11).uniform, 0.7, 1.3)
    failures = Failures(registry, events, metrics, clock, engine_owns_count=counted, jitter=uneven)
    collectors.register(ReplicaLedger(registry, clock))
    rollouts = Rollouts(registry, events, metrics, failures, Courses(state, events), clock)
    rng, busy = random.Random(seed), dict[str, int]()

    budget = Starts(registry, metrics, starts)
    async with Tasks() as tasks:
        runtime: SimulatedRuntime | SimulatedCountRuntime
        performer: Placing | Counting
        if counted:
            runtime = SimulatedCountRuntime("us", engine, choose_victim=choose_victim)
            performer = Counting(
                registry, runtime, tasks, failures, events, metrics, clock, rollouts.target
            )
        else:
            runtime = SimulatedRuntime("us", engine)
            performer = Placing(
                registry, runtime, tasks, failures, events, metrics, clock, clock, _named(rng),
                jitter=uneven, starts=budget,
            )  # fmt: skip
        scaler = Scaler(registry, events, clock, clock, AutoscalerMetrics(collectors))
        rollouts.on_turn(scaler.relearn)
        leasing = Leasing(
            scaler, events, clock, clock, lambda: f"{rng.getrandbits(24):06x}", Page()
        )
        keeping = Keeping(registry, clock, can=runtime.capabilities.keep)
        host = HostMemory(
            registry, failures, events, metrics, clock,
            scaler.idle_since, scaler.put_to_sleep, runtime.usage, _known(busy), tasks,
        )  # fmt: skip
        host.configure(memory)
        reconciler = Reconciler(
            registry, performer, StaticEndpoints(registry, clock, clock), failures,
            lambda service: {}, rollouts, leasing.replicas, keeping=keeping, host=host,
        )  # fmt: skip
        prober = Prober(
            registry, runtime.execute, tasks, events, clock, rng, HealthMetrics(collectors),
            attempt=_asking(engine, passes), evicted=failures.evicted, may_run=host.may_run,
        )  # fmt: skip
        discovery = Discovery(
            registry, runtime, failures, events, metrics, clock,
            adopt=scaler.adopt, discard=performer.discard, keeping=keeping,
            jitter=uneven,
        )  # fmt: skip
        world = ControlWorld(
            registry, engine, scaler, reconciler, discovery, events, collectors, leasing,
            rollouts, host, budget, busy,
        )  # fmt: skip
        await _begin(world, tasks, {service.name: service for service in services})
        try:
            yield world
        finally:
            prober.close()
            reconciler.halt()


async def _begin(world: ControlWorld, tasks: Tasks, specs: Mapping[str, Service]) -> None:
    """As `run` does it."""
    world.registry.on_snapshot(world.follow)
    world.registry.configure(specs)
    world.scaler.configure(specs)
    await world.discovery.sync()
    world.reconciler.begin()
    tasks.start(world.discovery.run(), "discovery")
    tasks.start(world.scaler.run(), "autoscaler")
    tasks.start(world.host.run(), "measure memory")


def _known(busy: Mapping[str, int]) -> Callable[[], Awaitable[Mapping[str, int]]]:
    async def levels() -> Mapping[str, int]:
        return busy

    return levels


def _named(rng: random.Random) -> Callable[[str], str]:
    return lambda service: f"{service}-{rng.getrandbits(24):06x}"


def _asking(
    engine: SimulatedEngine, passes: Callable[[Check, Replica], bool]
) -> Callable[[Check, Replica, float], Awaitable[Finding]]:
    async def attempt(check: Check, replica: Replica, timeout: float) -> Finding:
        heard = replica.address and engine.answers(replica.address) and passes(check, replica)
        return Finding(Result.PASSED if heard else Result.FAILED, "asked the engine")

    return attempt


def reconfigure(world: ControlWorld, *services: Service) -> None:
    """As a reload does it."""
    specs = {service.name: service for service in services}
    world.registry.configure(specs)
    world.reconciler.configure(specs)
    world.scaler.configure(specs)
