"""How long work takes, and how long it is between two requests: distributions of seconds.

Pure: the generator of random numbers is passed in. `mean` and `sd` are those of the drawn value
itself, also for the lognormal one, because those are what people measure.
"""

import math
import operator
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from config.units import format_duration
from config.wording import either, shown
from simulation.notation import Call, parse

if TYPE_CHECKING:
    import random


class Distribution(Protocol):
    def draw(self, rng: "random.Random") -> float:
        """Seconds, at least 0."""
        ...

    @property
    def mean(self) -> float:
        """Of the drawn value, in seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    mean: float

    def draw(self, rng: "random.Random") -> float:
        return self.mean


@dataclass(frozen=True, slots=True)
class Uniform:
    least: float
    most: float

    @property
    def mean(self) -> float:
        return (self.least + self.most) / 2

    def draw(self, rng: "random.Random") -> float:
        return self.least + (self.most - self.least) * rng.random()


@dataclass(frozen=True, slots=True)
class Exponential:
    mean: float

    def draw(self, rng: "random.Random") -> float:
        return rng.expovariate(1.0) * self.mean


@dataclass(frozen=True, slots=True)
class LogNormal:
    """`location` and `spread` are mean and sd of the logarithm."""

    location: float
    spread: float

    @classmethod
    def of(cls, mean: float, sd: float) -> "LogNormal":
        variance = math.log1p((sd / mean) ** 2)
        return cls(math.log(mean) - variance / 2, math.sqrt(variance))

    @property
    def mean(self) -> float:
        return math.exp(self.location + self.spread**2 / 2)

    def draw(self, rng: "random.Random") -> float:
        return rng.lognormvariate(self.location, self.spread)


@dataclass(frozen=True, slots=True)
class Weibull:
    """A shape below 1 has a heavy tail; 1 is the exponential distribution."""

    scale: float
    shape: float

    @classmethod
    def of(cls, mean: float, sd: float) -> "Weibull":
        """Raises ValueError where sd / mean is out of what a shape of 0.1 to 200 can give."""
        low, high = _SHAPES
        wanted = sd / mean
        if not _variation(high) <= wanted <= _variation(low):
            raise ValueError(
                f"sd must be {_variation(high):.4f} to {_variation(low):.0f} times the mean for a "
                f"weibull distribution, got {wanted:.4g} times"
            )
        for _ in range(100):  # bisection: the variation falls as the shape grows
            shape = (low + high) / 2
            low, high = (shape, high) if _variation(shape) > wanted else (low, shape)
        return cls(mean / math.gamma(1 + 1 / low), low)

    @property
    def mean(self) -> float:
        return self.scale * math.gamma(1 + 1 / self.shape)

    def draw(self, rng: "random.Random") -> float:
        return rng.weibullvariate(self.scale, self.shape)


_SHAPES = (0.1, 200.0)


def _variation(shape: float) -> float:
    """sd / mean of a Weibull distribution."""
    return math.sqrt(math.expm1(math.lgamma(1 + 2 / shape) - 2 * math.lgamma(1 + 1 / shape)))


class Empirical:
    """Measured percentiles, with a curve between each and the next.

    The curve is a straight line, unless the measured mean is given as well: then all curves are
    bent alike (a power of the way from one percentile to the next) so that the mean comes out as
    measured. Straight lines to a far maximum make more work than there was. A mean that the
    percentiles do not allow is met as nearly as they do.
    """

    __slots__ = ("_heights", "_levels", "_power", "_values", "_widths", "mean")

    def __init__(
        self, levels: Sequence[float], values: Sequence[float], mean: float | None = None
    ) -> None:
        """Levels rise from 0 to 1, values (seconds) do not fall. Raises ValueError otherwise."""
        if len(levels) < 2 or len(levels) != len(values) or (levels[0], levels[-1]) != (0, 1):
            raise ValueError("percentiles must reach from 0 to 100, with a value each")
        self._widths = [high - low for low, high in pairwise(levels)]
        self._heights = [high - low for low, high in pairwise(values)]
        if min(self._widths) <= 0 or min(self._heights) < 0 or values[0] < 0:
            raise ValueError("percentiles must rise, and their values must not fall")
        self._levels = list(levels)
        self._values = list(values)
        lowest = sum(map(operator.mul, self._widths, values))
        spread = sum(map(operator.mul, self._widths, self._heights))
        share = 0.5 if mean is None or not spread else (mean - lowest) / spread
        share = min(max(share, _STRAIGHTEST), 1 - _STRAIGHTEST)
        self._power = 1 / share - 1
        self.mean = lowest + share * spread

    @classmethod
    def of_samples(cls, samples: Sequence[float]) -> "Empirical | Constant":
        """Between the smallest and the largest sample, each equally likely to be passed."""
        ordered = sorted(samples)
        if len(ordered) == 1:
            return Constant(ordered[0])
        return cls([at / (len(ordered) - 1) for at in range(len(ordered))], ordered)

    def draw(self, rng: "random.Random") -> float:
        at = rng.random()
        step = bisect_right(self._levels, at) - 1
        part = (at - self._levels[step]) / self._widths[step]
        return self._values[step] + self._heights[step] * math.pow(part, self._power)


_STRAIGHTEST = 0.02  # the mean lies at least so far into the room between the percentiles


def distribution(text: str) -> Distribution:
    """From `200ms`, `exponential(mean=200ms)`, `lognormal(mean=3s, sd=7s)`, `weibull(mean=1s,
    sd=3s)`, `uniform(100ms, 300ms)`, `empirical(p0=10ms, p50=20ms, p100=1s)` or
    `empirical(10ms, 12ms, 20ms)`. Raises ValueError.
    """
    return distribution_of(parse(text))


def distribution_of(call: Call) -> Distribution:
    """Raises ValueError."""
    if not call.name:
        return Constant(call.seconds(call.arguments[0]))
    make = _MAKERS.get(call.name)
    if make is None:
        raise call.wrong(f"must be a duration such as 200ms, or {either(KINDS)}, got {call.name}")
    return make(call)


def _exponential(call: Call) -> Distribution:
    call.expect(("mean",))
    return Exponential(call.duration("mean"))


def _lognormal(call: Call) -> Distribution:
    call.expect(("mean", "sd"))
    return LogNormal.of(call.duration("mean"), call.duration("sd"))


def _weibull(call: Call) -> Distribution:
    call.expect(("mean", "sd"))
    try:
        return Weibull.of(call.duration("mean"), call.duration("sd"))
    except ValueError as error:
        raise error if shown(call.text) in str(error) else call.wrong(str(error)) from None


def _uniform(call: Call) -> Distribution:
    values = [call.seconds(argument) for argument in call.arguments]
    if len(values) != 2 or any(argument.key for argument in call.arguments):
        raise call.wrong("must be the least and the most, such as uniform(100ms, 300ms)")
    if values[0] > values[1]:
        raise call.wrong(f"{format_duration(values[0])} is more than {format_duration(values[1])}")
    return Uniform(values[0], values[1])


def _empirical(call: Call) -> Distribution:
    values = [call.seconds(argument) for argument in call.arguments]
    keys = [argument.key for argument in call.arguments]
    if values and not any(keys):
        return Empirical.of_samples(values)
    levels = [_level(call, key) for key in keys]
    try:
        return Empirical(levels, values)
    except (ValueError, IndexError) as error:
        raise call.wrong(f"{error}: write empirical(p0=…, p50=…, p100=…)") from None


def _level(call: Call, key: str) -> float:
    match = _PERCENTILE.fullmatch(key)
    if not match:
        raise call.wrong(f"{shown(key)} must be a percentile such as p50 or p99.9")
    return float(match[1]) / 100


_PERCENTILE = re.compile(r"p([0-9]{1,3}(?:\.[0-9]{1,9})?)")
_MAKERS = {
    "exponential": _exponential,
    "lognormal": _lognormal,
    "weibull": _weibull,
    "uniform": _uniform,
    "empirical": _empirical,
}
KINDS = tuple(f"{name}(…)" for name in _MAKERS)
