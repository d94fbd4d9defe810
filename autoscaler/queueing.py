"""How many replicas keep the queue short: the rule `metric: queue_wait`.

Pure. By Little's law a request that waits W and is served in S holds a place for W + S; the same
arrivals within the target T ask for (S + W) / (S + T) times the replicas. What they had in flight
while requests waited too long is what they bear: later they may be as few as bear the load, with
the square-root margin that leaves one request in thirty waiting (Halfin and Whitt). As long as
nothing ever waited too long, it is not known what they bear, and the number is held.
"""

import math

from autoscaler.gauges import Gauge
from autoscaler.sight import Sight
from config.rules import QueueWaitRule
from config.units import format_duration

_MOST = 2.0  # times the replicas there are, at once
_MARGIN = 2.0  # square roots of the load
_ENOUGH = 20  # requests


class Queueing:
    """Remembers what a replica bears: requests in flight there while others waited too long."""

    __slots__ = ("bears", "rule")

    def __init__(self, rule: QueueWaitRule) -> None:
        self.rule = rule
        self.bears = math.inf

    def look(self, seen: Sight) -> Gauge:
        """Of waits: `slow` and `fast` have those."""
        if seen.is_idle:
            return Gauge(0.0, "has no load: asks for 0", wish=0)
        number = seen.fast.number
        if seen.ready == 0 or number < _ENOUGH:
            return Gauge(None, f"{number} of {_ENOUGH} requests seen that it takes to judge")
        wait = seen.fast.percentile(self.rule.percentile)
        says = f"p{self.rule.percentile:g} {shown(wait)} of {shown(self.rule.target)}"
        if wait > self.rule.target:
            return self._more(wait, says, seen)
        return self._as_few_as_bear_it(wait, says, seen)

    def _more(self, wait: float, says: str, seen: Sight) -> Gauge:
        busy = _busy(seen)
        if busy:
            self.bears = min(self.bears, busy / seen.ready)
        served = seen.service_time
        share = min(_MOST, (served + wait) / (served + self.rule.target))
        wish = max(seen.ready + 1, math.ceil(round(seen.ready * share, 6)))
        return Gauge(wait, f"{says} at {seen.ready} ready asks for {wish}", wish=wish)

    def _as_few_as_bear_it(self, wait: float, says: str, seen: Sight) -> Gauge:
        if self.bears == math.inf or seen.is_growing:
            return Gauge(wait, f"{says}: holds {seen.desired}", wish=seen.desired)
        busy = _busy(seen)
        enough = math.ceil(round((busy + _MARGIN * math.sqrt(busy)) / self.bears, 6))
        wish = min(seen.desired, max(1, enough))
        says = f"{says}; {busy:.3g} in flight at {self.bears:.3g} per replica, with a margin,"
        return Gauge(wait, f"{says} asks for {wish}", wish=wish)


def shown(seconds: float) -> str:
    """Three figures are enough for a reader."""
    return format_duration(float(f"{seconds:.3g}"))


def _busy(seen: Sight) -> float:
    """Requests at replicas: those that got a place, times their service time (Little)."""
    return max(0.0, seen.answered) * seen.service_time
