"""The measure: cold minutes and idle minutes of a trace under a rule, one replica for each service.

A minute in which a service is called is cold when the rule did not have it awake. It is idle when
the rule has it awake and nobody calls. The first call is always cold; before it nothing is awake.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.learned.traces import Trace


@dataclass(frozen=True, slots=True)
class Outcome:
    """`cold`: cold minutes by service. `wakes`: the rule's own, before a call."""

    trace: Trace
    cold: Sequence[int]
    idle: int
    wakes: int = 0

    @property
    def rate(self) -> float:
        """Cold minutes for each minute with calls."""
        return sum(self.cold) / self.trace.active

    def share(self, quantile: float) -> float:
        """The quantile over services of the part of its minutes that were cold."""
        shares = sorted(
            cold / len(calls) for cold, calls in zip(self.cold, self.trace.calls, strict=True)
        )
        place = quantile * (len(shares) - 1)
        below = int(place)
        above = min(below + 1, len(shares) - 1)
        return shares[below] + (shares[above] - shares[below]) * (place - below)
