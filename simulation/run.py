"""One simulation from its beginning to its end.

The same seed, traffic and configuration give the same outcome, on every machine.
"""

import asyncio
import gc
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from cluster.lifecycle import State
from cluster.tasks import Tasks
from config.settings import Settings
from control.plane import Plane
from simulation.assumptions import USUAL, Assumptions
from simulation.clock import VirtualTimeLoop
from simulation.ledger import Ledger
from simulation.meter import Meter
from simulation.plane import plane_of
from simulation.replicas import AssumedEngine
from simulation.result import Outcome, Sample, gigabytes, wait_of
from simulation.stage import Stage
from simulation.traffic import Traffic

START = 1.0  # loop time of the first moment: nothing in Tidegate has ever been asked at 0
SAMPLES = 600
# What still runs at the end of the traffic is given so long to end, at no cost.
PATIENCE = 900.0

Progress = Callable[[float], None]


class Unknown(ValueError):
    """The traffic is for services that the configuration does not have."""


@dataclass(frozen=True, slots=True)
class Story:
    """`begins`: what the wall clock shows at first (seconds since 1970)."""

    settings: Settings
    traffic: Traffic
    assumptions: Assumptions = USUAL
    seed: int = 1
    begins: float = 1_700_000_000.0


def simulate(story: Story, progress: Progress = lambda share: None) -> Outcome:
    """`progress` is told the share of the time that has passed. Raises Unknown."""
    missing = set(story.traffic.services) - set(story.settings.services)
    if missing:
        raise Unknown(f"no such service in the configuration: {', '.join(sorted(missing)[:5])}")
    loop = VirtualTimeLoop(START)
    with few_collections(), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_live(story, loop, progress))


async def _live(story: Story, loop: VirtualTimeLoop, progress: Progress) -> Outcome:
    settings, traffic, ledger = story.settings, story.traffic, Ledger()

    def wall() -> float:
        return story.begins + loop.now - START

    async with Tasks() as tasks:
        engine = AssumedEngine(story.assumptions, story.seed, lambda replica: stage.ended(replica))
        with plane_of(
            settings, engine, tasks, loop.time, wall, story.seed, lambda: stage.levels()
        ) as plane:
            meter = Meter(plane.registry, loop.time)
            stage = Stage(
                settings.gateway, plane.spine, story.assumptions, ledger,
                random.Random(story.seed),
            )  # fmt: skip
            plane.registry.on_snapshot(stage.gateway.apply)
            await plane.begin(settings.services, tasks)
            await stage.open(settings.services, traffic.services, traffic.arrivals(), loop.now)
            loop.player = stage
            series = await _watched(plane, stage, meter, ledger, traffic.seconds, progress)
            outcome = _outcome(story, plane, meter, series)
            await _rest(stage, loop)
            return outcome(ledger)


async def _watched(
    plane: Plane, stage: Stage, meter: Meter, ledger: Ledger, seconds: float, progress: Progress
) -> list[Sample]:
    step, series, counted = max(1.0, seconds / SAMPLES), list[Sample](), 0
    begin = asyncio.get_running_loop().time()
    for number in range(1, int(seconds / step) + 1):
        await asyncio.sleep(begin + number * step - asyncio.get_running_loop().time())
        sample, total = _sample(plane, stage, meter, number * step, counted)
        counted = total
        series.append(sample)
        progress(number * step / seconds)
    await asyncio.sleep(begin + seconds - asyncio.get_running_loop().time())
    return series


def _sample(
    plane: Plane, stage: Stage, meter: Meter, at: float, counted: int
) -> tuple[Sample, int]:
    desired = ready = in_flight = queued = total = 0
    for route in stage.context.routes.values():
        if (destination := route.destination) is None:
            continue
        waiting = len(destination.dispatcher.waiting)
        in_flight += destination.counters.level - waiting
        queued += waiting
        total += destination.counters.requests
    for service in plane.registry.used_services():
        desired += plane.registry.desired(service).replicas
        ready += sum(one.state is State.READY for one in plane.registry.replicas(service))
    present = [frozen for _, frozen in meter.present()]
    return (
        Sample(at, ready, len(present), sum(present), desired, in_flight, queued, total - counted),
        total,
    )


def _outcome(
    story: Story, plane: Plane, meter: Meter, series: list[Sample]
) -> Callable[[Ledger], Outcome]:
    """What it cost until now; what became of requests is known when all have ended."""
    costs = meter.costs()
    memory = dict(zip(story.traffic.services, story.traffic.memory, strict=False))
    cold, starts = _cold_starts(plane.collectors), meter.starts.total()
    actions, turns = meter.actions, meter.turns

    def told(ledger: Ledger) -> Outcome:
        return Outcome(
            requests=ledger.requests,
            failed=ledger.failed,
            statuses=dict(ledger.statuses),
            wait=wait_of(ledger),
            cold_starts=cold,
            starts=starts,
            replica_seconds=sum(cost.seconds for cost in costs.values()),
            frozen_seconds=sum(cost.frozen for cost in costs.values()),
            gigabyte_seconds=gigabytes(costs, memory, story.assumptions.memory),
            actions=actions,
            turns=turns,
            series=tuple(series),
            waits=ledger.waits,
        )

    return told


def _cold_starts(collectors: CollectorRegistry) -> int:
    return round(
        sum(
            sample.value
            for metric in collectors.collect()
            for sample in metric.samples
            if sample.name == "tidegate_cold_starts_total"
        )
    )


async def _rest(stage: Stage, loop: VirtualTimeLoop) -> None:
    end = loop.now + PATIENCE
    while not stage.is_over and loop.now < end:  # noqa: ASYNC110 (on virtual time)
        await asyncio.sleep(1.0)


@contextmanager
def few_collections() -> Iterator[None]:
    """Millions of short-lived objects, none in cycles: looking for those takes a fifth of it."""
    former = gc.get_threshold()
    gc.set_threshold(200_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*former)
