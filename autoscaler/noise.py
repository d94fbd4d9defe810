"""How much of a load's movement is chance: the usual swing of its short mean about its long one.

Pure. Requests come at random, so the mean of a constant load moves. A number of replicas that is
taken back whenever it happens to suffice is asked for again a minute later: such a load is never
at rest. So nothing is taken back before what is left would bear SWINGS times the usual swing, as it
was over two stable windows. The swing is from the median to the 84th percentile, which is one
standard deviation where chance alone is at work, and which a single spike does not move; what rises
or falls for long is in both means and so in none of it. A load that does not move loses nothing.

Measured in virtual time (tests/loadtests/test_autoscaler.py): four constant loads of 40 and 75
requests at a time, of 0.1 to 5 s each, an hour of each. Steps back: none with this and a tolerance
of 10 %, four with 1.5 swings; under Knative's rule 1 to 122 an hour. More swings only cost: with
six, bursty traffic needed a third more replica-seconds at the same waits (docs/benchmarks.md).
"""

import math
from collections import deque

SWINGS = 1.75
STABLE_WINDOWS = 2
PANIC_WINDOWS = 0.5  # between two values: less would tell the same twice
USUAL = 0.84  # below so much of a normal distribution lies its mean plus one deviation


class Noise:
    """Remembers `reach` seconds, a value every `pace` seconds; what comes in between is no news."""

    __slots__ = ("_next", "_pace", "_reach", "_values")

    def __init__(self, reach: float, pace: float) -> None:
        self._values: deque[tuple[float, float]] = deque()
        self._next = -math.inf
        self.resize(reach, pace)

    def resize(self, reach: float, pace: float) -> None:
        self._reach, self._pace = reach, pace

    def record(self, value: float, now: float) -> None:
        if now < self._next:
            return
        self._next = now + self._pace
        values = self._values
        values.append((now, value))
        while values[0][0] <= now - self._reach:
            values.popleft()

    def swing(self) -> float:
        """In the unit of what was recorded; 0 before there was anything."""
        if not self._values:
            return 0.0
        ordered = sorted(value for _, value in self._values)
        last = len(ordered) - 1
        return ordered[round(USUAL * last)] - ordered[last // 2]
