"""What stays when the number of replicas changes: requests a second, or requests at once.

Pure. Many independent clients send as many requests a second whatever happens to them (an open
loop). Few that wait for each answer before they ask again (a pool of connections, a load test) have
as many under way whatever happens, and ask the faster the sooner they are answered (a closed loop).
What a replica bears must be measured in what stays, or each trial would change the load it is
about.
"""

import math
from dataclasses import dataclass

from autoscaler.sight import Sight

_LONG_ENOUGH = 4.0  # seconds of a trial
_SILENT = 0.001  # requests, at once or a second: none
_MUCH, _LITTLE = 0.5, 0.25  # of the change of the number of replicas, in logarithms


@dataclass(slots=True)
class Clients:
    """`wait`: for their answers, all of them."""

    wait: bool = False
    _former: Sight | None = None
    _last: Sight | None = None

    def look(self, seen: Sight) -> bool:
        """Whether it has become clear that it is the other way round."""
        silent = min(seen.ready, seen.rate, seen.concurrency) < _SILENT
        if silent or seen.slow.seconds < _LONG_ENOUGH:
            return False
        if self._last is not None and self._last.ready != seen.ready:
            self._former = self._last
        self._last = seen
        if self._former is None or self._former.ready == seen.ready:
            return False
        wait = _wait(self._former, seen)
        if wait is None or wait == self.wait:
            return False
        self.wait = wait
        return True


def _wait(before: Sight, after: Sight) -> bool | None:
    """None: it cannot be told from these two trials. Either way latency must have changed, or it
    was the load that did."""
    if before.is_growing or after.is_growing or after.is_shrinking:
        return None
    replicas = math.log(after.ready / before.ready)
    rate = math.log(after.rate / before.rate) / replicas
    at_once = math.log(after.concurrency / before.concurrency) / replicas
    if before.slow.mean and after.slow.mean:
        latency = math.log(after.slow.mean / before.slow.mean) / replicas
        if latency < -_MUCH and rate > _MUCH and abs(at_once) < _LITTLE:
            return True
        if latency < -_MUCH and abs(rate) < _LITTLE and at_once < -_MUCH:
            return False
    return None
