"""What a replica bears within a latency, as far as it is known: a bracket that only evidence moves.

Pure. It is kept as requests a second for one replica, and told as the concurrency that this is by
Little's law: rate times the time that a request takes when all is well. What is in flight is no
measure while requests pile up: it grows with the very wait that more replicas are to end.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

# Two rates so near to each other are one.
NARROW = 1.05


@dataclass(frozen=True, slots=True)
class Learned:
    """`good` is the highest load of one replica that was seen within the latency, `bad` the lowest
    above `good` that was not: in requests a second, or at once where clients `wait` for their
    answers. `pace` is the lowest mean latency, in seconds."""

    good: float = 0.0
    bad: float = math.inf
    pace: float = 0.0
    wait: bool = False

    def at_once(self, load: float) -> float:
        """The load in requests at once, when none meets a queue (Little's law)."""
        return load if self.wait else load * self.pace

    @property
    def to_be_tried(self) -> float:
        """The rate that would tell most: the middle of what is not known."""
        if self.bad == math.inf:
            return 2 * self.good
        return math.sqrt(self.good * self.bad) if self.bad > self.good * NARROW else self.good

    def within(self, rate: float, pace: float) -> Self:
        """A replica was within the latency at that rate, each request taking `pace`."""
        pace = min(self.pace or pace, pace)
        if rate < self.good:
            return replace(self, pace=pace)
        bad = self.bad if self.bad > rate else rate * 2 * NARROW
        return replace(self, good=rate, bad=bad, pace=pace)

    def beyond(self, rate: float) -> Self:
        """It was not, at that rate; if it was before, that is no longer true."""
        good = self.good if self.good * NARROW < rate else 0.0
        return replace(self, good=good, bad=min(self.bad, rate))

    def doubting(self) -> Self:
        """What was too much once may not be so any more."""
        return replace(self, bad=self.bad * 1.5)
