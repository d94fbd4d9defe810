"""One round of decisions about thousands of active services: what it costs.

All of them are due at once, as they are every 2 s. The scaler, the registry and the metrics are the
production ones; the reports that come in between are counted apart.
"""

import asyncio
import math
import statistics
import time
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from autoscaler.decider import TICK
from autoscaler.metrics import AutoscalerMetrics
from autoscaler.scaler import Scaler
from cluster.events import Events
from cluster.lifecycle import State
from cluster.messages import LoadReport, Wake
from cluster.model import Address, Replica
from cluster.registry import Registry
from config.scaling import PolicyName, Scaling
from config.service import Service

SETTLED_AFTER = 70  # seconds: the windows are full, and what a wake holds is let go
SELDOM = 10  # seconds between rounds until shortly before then: nobody measures those


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of CPU, for all services together: the median of all rounds, the largest, and
    of taking in a report of each."""

    services: int
    round_ms: float
    largest_ms: float
    reports_ms: float


class Clock:
    """Time as it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def measured(services: int, rounds: int, policy: PolicyName = "tidegate") -> Cost:
    return asyncio.run(_measured(services, rounds, policy))


async def _measured(services: int, rounds: int, policy: PolicyName) -> Cost:
    clock = Clock()
    names = [f"s{number}" for number in range(services)]
    registry = Registry()
    scaler = Scaler(registry, Events(clock), clock, clock, AutoscalerMetrics(CollectorRegistry()))
    scaling = Scaling.model_validate({"policy": policy})
    specs = {name: Service(name=name, command=("x",), scaling=scaling) for name in names}
    registry.configure(specs)
    scaler.configure(specs)
    for name in names:
        for index in range(2):
            where = Address("192.0.2.1", 1)
            made = Replica(f"{name}-{index}", name, "r", State.READY, 0.0, 0.0, address=where)
            registry.add(made)
        scaler.wake(Wake(name))

    decisions, reports = [], []
    for second in range(1, SETTLED_AFTER + rounds * math.ceil(TICK) + 1):
        clock.now = float(second)
        reports.append(_reports_in(scaler, names, clock.now))
        if second % (TICK if second > SETTLED_AFTER - SELDOM else SELDOM) == 0:
            begun = time.process_time()
            scaler.decide_due(clock.now)
            decisions.append(time.process_time() - begun)
    settled, told = decisions[-rounds:], reports[-rounds:]
    middle, largest = statistics.median(settled), max(settled)
    return Cost(services, middle * 1000, largest * 1000, statistics.median(told) * 1000)


def _reports_in(scaler: Scaler, names: list[str], now: float) -> float:
    """One each, of a load that moves a little. Returns seconds of CPU."""
    reports = [
        LoadReport(name, now, 1.0, 15.0 + math.sin(now + index), 150, 0, 15, 0)
        for index, name in enumerate(names)
    ]
    begun = time.process_time()
    for report in reports:
        scaler.report(report)
    return time.process_time() - begun
