"""How much of a load's movement is chance: how far above its median it was lately.

Pure. Requests come at random, so the mean of a constant load moves. A number of replicas that is
taken back whenever it happens to suffice is asked for again a minute later: such a load is never
at rest. So nothing is taken back before what is left would bear four times the usual swing, as it
was seen over two stable windows. The swing is from the median to the 84th percentile, which is one
standard deviation where chance alone is at work, and which a single spike does not move. A load
without noise loses nothing.
"""

from collections import deque

SWINGS = 4
STABLE_WINDOWS = 2
USUAL = 0.84  # below so much of a normal distribution lies its mean plus one deviation


class Noise:
    """`reach` is in seconds."""

    __slots__ = ("_reach", "_values")

    def __init__(self, reach: float) -> None:
        self._reach = reach
        self._values: deque[tuple[float, float]] = deque()

    def resize(self, reach: float) -> None:
        self._reach = reach

    def record(self, value: float, now: float) -> None:
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
