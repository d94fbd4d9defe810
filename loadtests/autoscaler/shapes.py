"""What happens to a service in an hour: loads and mishaps that scaling policies are judged by.

A load is a number of requests at a time. Each shape lasts `seconds`; `silent` are spans without
reports, `jump` moves the clock on while everything stands still, and no start succeeds before
`starts_work_at`.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

HOUR = 3600
TARGET = 10.0


@dataclass(frozen=True, slots=True)
class Shape:
    load: Callable[[float], float]
    seconds: int = HOUR
    silent: tuple[tuple[float, float], ...] = ()
    jump: tuple[float, float] | None = None  # when, and by how much
    starts_work_at: float = 0.0


def constant(load: float) -> Callable[[float], float]:
    return lambda now: load


def square(low: float, high: float, half: float) -> Callable[[float], float]:
    return lambda now: high if (now // half) % 2 else low


def sawtooth(top: float, period: float) -> Callable[[float], float]:
    return lambda now: top * (now % period) / period


def ramp(low: float, high: float, seconds: float) -> Callable[[float], float]:
    """Up and down again."""
    half = seconds / 2
    return lambda now: low + (high - low) * (1 - abs(now - half) / half)


def spikes(low: float, high: float, every: float, width: float) -> Callable[[float], float]:
    return lambda now: high if now % every >= every - width else low


def then(first: Callable[[float], float], at: float, load: float) -> Callable[[float], float]:
    return lambda now: first(now) if now < at else load


def at_random(rate: float, service: float, seconds: int, seed: int) -> Callable[[float], float]:
    """Poisson arrivals, exponential service times: the load of each second."""
    rng, busy, at = random.Random(seed), [0.0] * (seconds + 1), -10 * service
    while at < seconds:
        at += rng.expovariate(rate)
        end, second = min(float(seconds), at + rng.expovariate(1 / service)), max(0, math.floor(at))
        while second < end:
            busy[second] += min(end, second + 1) - max(at, second, 0.0)
            second += 1
    return lambda now: busy[min(math.floor(now), seconds)]


SHAPES: Mapping[str, Shape] = {
    "constant": Shape(constant(75)),
    "constant, at random": Shape(at_random(40, 1.0, HOUR, 1)),
    "square wave": Shape(square(20, 100, 300)),
    "sawtooth": Shape(sawtooth(150, 600)),
    "slow ramp": Shape(ramp(5, 200, HOUR)),
    "single spikes": Shape(spikes(15, 200, 900, 10)),
    "stuck request": Shape(then(constant(45), 600, 1)),
    "metrics gap": Shape(constant(75), silent=((900, 930), (1800, 1840), (2700, 2705))),
    "clock jump": Shape(constant(75), jump=(1800, 600)),
    "start failures": Shape(constant(75), starts_work_at=240),
}
