"""A registry with a prober and an ejector on it, whose probes see what the test says.

The clock is the loop's, so the same world runs in virtual and in real time.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from prometheus_client import CollectorRegistry

from cluster.events import Events
from cluster.lifecycle import Event, State
from cluster.model import Address, Replica
from cluster.registry import Registry
from cluster.tasks import Tasks
from config.service import Health, Outliers, Probe, Service, StartupProbe
from health.duties import Check
from health.ejector import Ejector
from health.metrics import HealthMetrics
from health.prober import Prober
from health.verdict import Finding, Result
from tests.support import virtual_time

PASSED = Finding(Result.PASSED, "port 8080 opened")
FAILED = Finding(Result.FAILED, "connection refused")
UNKNOWN = Finding(Result.UNKNOWN, "the probe itself failed: too many open files")

Sight = Callable[[Check, Replica, float], Finding | Awaitable[Finding]]


def a_health(
    *,
    startup: StartupProbe | None = None,
    readiness: Probe | None = None,
    liveness: Probe | None = None,
    outliers: Outliers | None = None,
) -> Health:
    return Health(
        startup=startup or StartupProbe(tcp=True),
        readiness=readiness,
        liveness=liveness,
        outliers=outliers or Outliers(),
    )


def a_replica(
    name: str = "web-1",
    state: State = State.STARTING,
    *,
    service: str = "web",
    static: bool = False,
    address: Address | None = Address("127.0.0.1", 8080),  # noqa: B008 (it is frozen)
) -> Replica:
    return Replica(
        name,
        service,
        revision="r1",
        state=state,
        started_at=0.0,
        since=0.0,
        instance=None if static else f"i-{name}",
        address=address,
    )


@dataclass(slots=True)
class Look:
    """One try as the world saw it: its loop time and the seconds it was given."""

    at: float
    check: Check
    replica: str
    timeout: float


@dataclass(slots=True)
class World:
    registry: Registry
    events: Events
    metrics: CollectorRegistry
    prober: Prober
    ejector: Ejector
    looks: list[Look] = field(default_factory=list)

    def configure(self, health: Health, service: str = "web") -> None:
        self.registry.configure(
            dict(self.registry.specs) | {service: Service(name=service, health=health)}
        )

    def add(self, replica: Replica) -> None:
        self.registry.add(replace(replica, since=asyncio.get_running_loop().time()))

    def advance(self, event: Event, replica: str = "web-1") -> None:
        assert self.registry.advance(replica, event, "", asyncio.get_running_loop().time())

    def state(self, replica: str = "web-1") -> State:
        return self.known(replica).state

    def known(self, replica: str = "web-1") -> Replica:
        known = self.registry.replica(replica)
        assert known is not None
        return known

    def told(self) -> list[str]:
        return [happening.kind for happening in self.events.since()]

    def said(self, kind: str) -> list[str]:
        return [one.message for one in self.events.since() if one.kind == kind]

    def endpoints(self, service: str = "web") -> list[str]:
        return [endpoint.replica for endpoint in self.registry.snapshot(service).endpoints]

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.get_sample_value(name, labels) or 0.0


@dataclass(slots=True)
class Fate:
    """What the checks see now, told apart by their path: /ready, /live, anything else."""

    startup: Finding = PASSED
    ready: Finding = PASSED
    live: Finding = PASSED

    def __call__(self, check: Check, replica: Replica, timeout: float) -> Finding:
        return {"/ready": self.ready, "/live": self.live}.get(check.http or "", self.startup)


async def no_commands(instance: str, command: Sequence[str], timeout: float) -> int:
    raise AssertionError(f"no command was expected: {instance} {command} {timeout}")


@contextlib.asynccontextmanager
async def a_world(
    health: Health, sight: Sight | None = None, *, limit: int = 50, seed: int = 1
) -> AsyncIterator[World]:
    """`sight` None: real probes."""
    clock = asyncio.get_running_loop().time
    registry, events, metrics = Registry(), Events(lambda: 0.0), CollectorRegistry()
    instruments = HealthMetrics(metrics)
    looks: list[Look] = []

    async def look(check: Check, replica: Replica, timeout: float) -> Finding:
        assert sight is not None
        looks.append(Look(clock(), check, replica.id, timeout))
        seen = sight(check, replica, timeout)
        return seen if isinstance(seen, Finding) else await seen

    async with Tasks() as tasks:
        prober = Prober(
            registry,
            no_commands,
            tasks,
            events,
            clock,
            Random(seed),
            instruments,
            limit,
            look if sight else None,
        )
        ejector = Ejector(registry, events, clock, instruments, prober.confirm)
        world = World(registry, events, metrics, prober, ejector, looks)
        world.configure(health)
        yield world
        prober.close()
        ejector.close()


def health_tasks() -> list[str]:
    """Names of the probe tasks that have not ended."""
    return sorted(
        task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("health ")
    )


def play(
    story: Callable[[World], Awaitable[None]], health: Health, sight: Sight, limit: int = 50
) -> None:
    """Runs a story in virtual time."""

    async def tell() -> None:
        async with a_world(health, sight, limit=limit) as world:
            await story(world)

    virtual_time.run(tell(), start=100.0)
