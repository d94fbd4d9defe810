"""When requests arrive at a rate that changes with time.

Pure. A rate is a row of straight pieces. Poisson arrivals are then exact, without thinning: the
n-th comes where the expected count, which is the area below the rate, reaches the sum of n
exponential draws (Cinlar, Introduction to Stochastic Processes, 1975, §4.7). Evenly spaced ones
come where it reaches 0.5, 1.5, 2.5 and so on.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING

from simulation.distributions import Distribution

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class Piece:
    """From second `start` to `end` the rate goes straight from `first` to `last`, in 1/s."""

    start: float
    end: float
    first: float
    last: float

    @property
    def requests(self) -> float:
        """That are expected within it."""
        return (self.first + self.last) / 2 * (self.end - self.start)

    def reached(self, area: float) -> float:
        """The second at which so many requests were expected since its start."""
        if not area:
            return self.start
        slope = (self.last - self.first) / (self.end - self.start)
        # The root of first·t + slope·t²/2 = area, in the form that does not cancel.
        root = math.sqrt(max(0.0, self.first**2 + 2 * slope * area))
        return min(self.end, self.start + 2 * area / (self.first + root))


def poisson(pieces: Iterable[Piece], rng: "random.Random") -> Iterator[float]:
    """Seconds of arrivals that know nothing of each other."""
    return _crossings(pieces, (rng.expovariate(1.0) for _ in repeat(None)))


def evenly(pieces: Iterable[Piece]) -> Iterator[float]:
    """Seconds of arrivals as regular as the rate allows: a generator of load's, not people's."""
    return _crossings(pieces, chain((0.5,), repeat(1.0)))


def _crossings(pieces: Iterable[Piece], steps: Iterator[float]) -> Iterator[float]:
    ahead = next(steps)
    for piece in pieces:
        passed, whole = 0.0, piece.requests
        while passed + ahead < whole:
            passed += ahead
            yield piece.reached(passed)
            ahead = next(steps)
        ahead -= whole - passed


def renewals(between: Distribution, seconds: float, rng: "random.Random") -> Iterator[float]:
    """Arrivals with independent gaps, the first one gap after the start."""
    at = between.draw(rng)
    while at < seconds:
        yield at
        at += between.draw(rng)
