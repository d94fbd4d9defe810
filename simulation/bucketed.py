"""A measured histogram as a distribution: of times in the buckets of cluster/buckets.py.

Pure. Within a bucket every time is equally likely; a bucket is at most a tenth wide.
"""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

from cluster.buckets import EDGES
from cluster.buckets import mean as mean_of

if TYPE_CHECKING:
    import random


class Bucketed:
    """What is longer than the last bucket took as long as that."""

    __slots__ = ("_begin", "_highs", "_lows", "_total", "mean")

    def __init__(self, counts: Mapping[int, int]) -> None:
        """Counts by index of the bucket. Raises ValueError where there is none."""
        indexes = sorted(index for index, count in counts.items() if count > 0)
        if not indexes:
            raise ValueError("nothing was measured")
        self._lows = [EDGES[index - 1] if index else 0.0 for index in indexes]
        self._highs = [EDGES[min(index, len(EDGES) - 1)] for index in indexes]
        self._begin = list(accumulate((counts[index] for index in indexes), initial=0))
        self._total = self._begin.pop()
        self.mean = mean_of(counts)

    def draw(self, rng: "random.Random") -> float:
        at = rng.random() * self._total
        bucket = bisect_right(self._begin, at) - 1
        low = self._lows[bucket]
        return low + (self._highs[bucket] - low) * rng.random()
