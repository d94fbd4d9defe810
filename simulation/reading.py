"""Reads the traffic that is asked for, and counts what of it was not known."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from simulation import detect, recordings
from simulation.demand import USUAL_WORK, Demand
from simulation.dice import seeded
from simulation.distributions import Distribution
from simulation.known import NOTHING, Known
from simulation.recordings import known
from simulation.shapes import generated
from simulation.traffic import Arrival, Dice, Traffic, cut, merged

if TYPE_CHECKING:
    import random


@dataclass(slots=True)
class Supposed:
    """A distribution that knows how often it was asked: how much is supposed, not measured."""

    distribution: Distribution
    drawn: int = field(default=0, compare=False)

    @property
    def mean(self) -> float:
        return self.distribution.mean

    def draw(self, rng: "random.Random") -> float:
        self.drawn += 1
        return self.distribution.draw(rng)


@dataclass(frozen=True, slots=True)
class Read:
    """`work` counts, whenever the traffic is replayed, the requests whose time was not known."""

    traffic: Traffic
    work: Supposed


def read(demand: Demand) -> Read:
    """Raises ValueError (also TraceError) that tells what is wrong with which trace or shape."""
    work = Supposed(demand.work or USUAL_WORK)
    parts = [_trace(demand, number, work) for number in range(len(demand.traces))]
    parts += [_shape(demand, number, work) for number in range(len(demand.shapes))]
    if not parts:
        raise ValueError("there is no traffic: name a trace, or give a shape")
    whole = parts[0] if len(parts) == 1 else merged(*parts)
    if demand.begin or demand.end < math.inf:
        whole = cut(whole, demand.begin, demand.end)
    if demand.without:
        whole = _without(whole, frozenset(demand.without))
    return Read(whole if demand.knows_memory else replace(whole, memory=()), work)


def recorded(demand: Demand) -> Known:
    """What the recordings of a demand tell beside traffic: the first one counts. Raises
    TraceError."""
    for path in demand.traces:
        if detect.detect(path) is detect.Format.RECORDING:
            return known(path, demand.recorded_until)
    return NOTHING


def _trace(demand: Demand, number: int, work: Supposed) -> Traffic:
    dice = seeded(demand.seed, f"trace {number}")
    name, evenly = demand.service, demand.evenly
    recording = partial(recordings.read, evenly=evenly, until=demand.recorded_until)
    traffic = detect.read(demand.traces[number], dice, work, name, evenly, recording)
    return traffic if demand.work is None else _reworked(traffic, work, dice)


def _shape(demand: Demand, number: int, work: Supposed) -> Traffic:
    dice = seeded(demand.seed, f"shape {number}")
    return generated(
        demand.shapes[number], demand.duration, work, dice, demand.service, demand.evenly
    )


def _without(traffic: Traffic, names: frozenset[str]) -> Traffic:
    """Raises ValueError where nothing is left."""
    kept = [number for number, name in enumerate(traffic.services) if name not in names]
    new = {number: place for place, number in enumerate(kept)}
    memory = tuple(traffic.memory[number] for number in kept) if traffic.memory else ()

    def arrivals() -> Iterator[Arrival]:
        return (
            (at, work, new[service]) for at, work, service in traffic.arrivals() if service in new
        )

    services = tuple(traffic.services[number] for number in kept)
    return Traffic(services, traffic.seconds, arrivals, memory)


def _reworked(traffic: Traffic, work: Distribution, dice: Dice) -> Traffic:
    """Whatever was recorded, requests take what was asked for."""

    def arrivals() -> Iterator[Arrival]:
        rng = dice()
        return ((at, work.draw(rng), service) for at, _, service in traffic.arrivals())

    return replace(traffic, arrivals=arrivals)
