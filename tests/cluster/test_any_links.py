"""Any services, however linked, woken at any times: in order, and all asleep in the end.

The whole control plane on virtual time, with hypothesis.
"""

import asyncio
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.conditions import Standing, holds
from cluster.lifecycle import State
from cluster.messages import LoadReport
from cluster.model import Replica
from config.links import of_links
from config.service import Service
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.support.control_world import ControlWorld, control_world
from tests.support.linked_services import linked, now, once
from tests.support.virtual_time import run

NAMES = tuple(f"s{number}" for number in range(5))
SERVERS = NAMES[:4]
ONCE = NAMES[4]


@dataclass(frozen=True)
class Case:
    services: tuple[Service, ...]
    listens_after: tuple[float, ...]
    wakes: tuple[tuple[float, str], ...]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    services = []
    for number, name in enumerate(SERVERS):
        below = st.sampled_from([*SERVERS[number + 1 :], ONCE])
        needed = sorted(draw(st.sets(below, max_size=3)))
        conditions = [
            "completed" if other == ONCE else draw(st.sampled_from(["started", "healthy"]))
            for other in needed
        ]
        services.append(
            linked(
                name,
                *(f"{other}:{how}" for other, how in zip(needed, conditions, strict=True)),
                group=draw(st.sampled_from([None, "g"])),
                stop_after=draw(st.sampled_from([0.0, 5.0, 30.0])),
                initial=draw(st.integers(1, 2)),
            )
        )
    services.append(linked(ONCE, stop_after=draw(st.sampled_from([0.0, 5.0]))))
    times = st.floats(0, 120).map(lambda at: round(at, 1))
    return Case(
        tuple(services),
        tuple(draw(st.lists(st.sampled_from([0.0, 0.5, 3.0]), min_size=5, max_size=5))),
        tuple(sorted(draw(st.lists(st.tuples(times, st.sampled_from(SERVERS)), max_size=6)))),
    )


class Order:
    """Notes every start that came before what it needs, and every stop that came too early."""

    def __init__(self, world: ControlWorld, specs: dict[str, Service]) -> None:
        self.broken: list[str] = []
        self._world = world
        self._specs = specs
        self._seen: set[str] = set()
        world.registry.on_replica(self._note)

    def _note(self, replica: Replica) -> None:
        if replica.id not in self._seen:
            self._seen.add(replica.id)
            self._began(replica.service)
        elif replica.state is State.DRAINING:
            self._goes(replica.service)

    def _began(self, service: str) -> None:
        """Only the first one has to wait: one that serves grows whatever is away."""
        if self._world.replicas(State.READY, service=service):
            return
        for name, need in self._specs[service].depends_on:
            standing = Standing(
                name,
                self._world.registry.desired(name),
                self._world.replicas(service=name),
                self._world.registry.completed(name) is not None,
            )
            if not holds(need.condition, standing):
                self.broken.append(f"{now()}: {service} began before {name} was {need.condition}")

    def _goes(self, service: str) -> None:
        """A scale-in leaves some behind."""
        others = self._world.replicas(State.STARTING, State.READY, service=service)
        for name, spec in self._specs.items():
            needs = service in dict(spec.depends_on)
            there = self._world.replicas(State.READY, State.DRAINING, service=name)
            if needs and not others and there:
                self.broken.append(f"{now()}: {service} went while {name} was there")


async def served(world: ControlWorld, name: str) -> None:
    """A request that waits is reported as such, once a second."""
    async with asyncio.timeout(60):
        while not world.ready(name):
            world.scaler.report(LoadReport(name, now(), 1.0, 1.0, 0, 0, 0, queued=1))
            await asyncio.sleep(1)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(cases())
def test_nobody_starts_too_early_or_goes_too_early_and_all_sleep_in_the_end(case: Case) -> None:
    specs = {spec.name: spec for spec in case.services}
    assert not list(of_links(specs, specs))
    engine = SimulatedEngine()
    for name, after in zip(NAMES, case.listens_after, strict=True):
        engine.script(
            name,
            once(after + 0.1) if name == ONCE else Behaviour(listens_after=after, stop_delay=1),
        )

    async def story() -> None:
        async with control_world(*case.services, engine=engine) as world:
            order = Order(world, specs)
            for at, name in case.wakes:
                await asyncio.sleep(max(0.0, at - now()))
                world.wake(name)
                await served(world, name)
                world.load(1, name)
                world.load(0, name)
            await asyncio.sleep(400)
            assert order.broken == []
            assert world.running() == []
            assert not world.scaler._active
            assert world.happened("replica-failed") == []

    run(story())
