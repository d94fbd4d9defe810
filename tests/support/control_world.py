"""The whole control plane on virtual time: everything but sockets is the production code.

The engine is simulated, probes ask it whether a replica would answer, and the gateway is a few
counters that follow the law of the messages.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

from cluster.lifecycle import State
from cluster.messages import Drained, EndpointSnapshot, LoadReport, Wake
from cluster.model import Replica
from cluster.tasks import Tasks
from config.service import Service
from control.ground import Clock, Ground
from control.plane import Plane, plane_on
from health.duties import Check
from health.verdict import Finding, Result
from runtimes.simulated import SimulatedRuntime
from runtimes.simulated_count import SimulatedCountRuntime
from runtimes.simulated_engine import SimulatedEngine
from simulation.clock import VirtualTimeLoop
from tests.support.scaling_facts import Page


class ControlWorld:
    """`busy`: requests that no report has told of yet, by service."""

    def __init__(self, plane: Plane, engine: SimulatedEngine, busy: dict[str, int]) -> None:
        self.plane, self.engine, self.busy = plane, engine, busy
        self.registry, self.events, self.collectors = plane.registry, plane.events, plane.collectors
        self.scaler, self.leasing, self.rollouts = plane.scaler, plane.leasing, plane.rollouts
        self.discovery, self.host, self.starts = plane.discovery, plane.host, plane.starts
        self.holding: set[str] = set()
        self._seen: dict[str, set[str]] = {}

    # A gateway of sorts

    def follow(self, snapshot: EndpointSnapshot) -> None:
        present = {endpoint.replica for endpoint in snapshot.endpoints}
        for replica in self._seen.get(snapshot.service, set()) - present:
            if replica not in self.holding:
                self.plane.spine.drained(Drained(snapshot.service, replica))
        self._seen[snapshot.service] = present

    def release(self, service: str, replica: str) -> None:
        """The last request of a replica that left has ended."""
        self.holding.discard(replica)
        self.plane.spine.drained(Drained(service, replica))

    def wake(self, service: str = "web") -> None:
        self.plane.spine.wake(Wake(service))

    def load(self, concurrency: float, service: str = "web") -> None:
        """One second with that many requests in flight on average, just over."""
        now = asyncio.get_running_loop().time()
        self.plane.spine.report(
            LoadReport(service, now, 1.0, concurrency, round(concurrency), 0, round(concurrency), 0)
        )

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
        """Looks at each moment at which anything happens, once it has happened."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        async with asyncio.timeout(within):
            while True:
                await loop.settled()
                if condition():
                    return
                await loop.jumped()


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
    wall: Clock | None = None,
) -> AsyncIterator[ControlWorld]:
    """Started, with everything on the engine already discovered.

    `passes` says what a probe of a replica that answers comes to. `state`: what is remembered of
    revisions lies there; `seed`: a second one on the same engine needs names of its own. Without a
    `wall` clock, time began when the loop did.
    """
    engine, busy = engine or SimulatedEngine(), dict[str, int]()
    clock = asyncio.get_running_loop().time
    runtime: SimulatedRuntime | SimulatedCountRuntime = SimulatedRuntime("us", engine)
    if counted:
        runtime = SimulatedCountRuntime("us", engine, choose_victim=choose_victim)
    async with Tasks() as tasks:
        plane = plane_on(
            Ground.of(runtime, tasks, clock, wall or clock, random.Random(seed)),
            levels=_known(busy), leases=Page(), courses=state, attempt=_asking(engine, passes),
        )  # fmt: skip
        plane.starts.configure(starts)
        plane.host.configure(memory)
        world = ControlWorld(plane, engine, busy)
        plane.registry.on_snapshot(world.follow)
        await plane.begin({service.name: service for service in services}, tasks)
        try:
            yield world
        finally:
            plane.reconciler.halt()
            plane.close()


def _known(busy: Mapping[str, int]) -> Callable[[], Awaitable[Mapping[str, int]]]:
    async def levels() -> Mapping[str, int]:
        return busy

    return levels


def _asking(
    engine: SimulatedEngine, passes: Callable[[Check, Replica], bool]
) -> Callable[[Check, Replica, float], Awaitable[Finding]]:
    async def attempt(check: Check, replica: Replica, timeout: float) -> Finding:
        heard = replica.address and engine.answers(replica.address) and passes(check, replica)
        return Finding(Result.PASSED if heard else Result.FAILED, "asked the engine")

    return attempt


def reconfigure(world: ControlWorld, *services: Service) -> None:
    """As a reload does it."""
    world.plane.reconfigure({service.name: service for service in services})
