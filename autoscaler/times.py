"""How long requests took lately: histograms by second, for services with a rule that asks.

Pure. All gateway processes add up in the same seconds, so a percentile is one of all requests,
never a mean of percentiles.
"""

import math
from collections import Counter

from cluster.buckets import Sparse


class Times:
    """Of one kind, for the last `length` seconds."""

    __slots__ = ("_length", "_seconds")

    def __init__(self, length: float) -> None:
        self._length = length
        self._seconds: dict[int, Counter[int]] = {}

    def resize(self, length: float) -> None:
        self._length = length

    def record(self, buckets: Sparse, at: float) -> None:
        """Add what one report of the second that ends at `at` has counted."""
        if not buckets:
            return
        second = math.floor(at)
        counts = self._seconds.get(second)
        if counts is None:
            counts = self._seconds[second] = Counter()
            self._forget(second - math.ceil(self._length) - 1)
        for bucket, count in buckets:
            counts[bucket] += count

    def since(self, moment: float) -> Counter[int]:
        """Counts by bucket of the seconds after it; reports are of about one second each."""
        total: Counter[int] = Counter()
        for second, counts in self._seconds.items():
            if second > moment:
                for bucket, count in counts.items():
                    total[bucket] += count
        return total

    def _forget(self, before: int) -> None:
        for second in [one for one in self._seconds if one < before]:
            del self._seconds[second]
