"""Buckets for times: fine enough for a percentile within 5 %, few enough to be sent each second.

Pure. Each is a tenth wider than the one below, and BOUNDS, the coarse ones that an operator's
monitoring is given, are among their edges: so that the coarse counts are sums of the fine ones.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

# Upper bounds in seconds; what is longer than the last is in a bucket of its own.
BOUNDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip

_FINEST = 0.0001  # seconds; what is shorter counts as nothing
_WIDTH = 1.1  # the middle of a bucket is then less than 5 % from all that is in it

# Only buckets that have something in them: pairs of index and count.
Sparse = tuple[tuple[int, int], ...]


def _between(low: float, high: float) -> list[float]:
    steps = math.ceil(math.log(high / low) / math.log(_WIDTH))
    return [*(low * (high / low) ** (step / steps) for step in range(1, steps)), high]


EDGES: tuple[float, ...] = (
    _FINEST,
    *(edge for low, high in pairwise((_FINEST, *BOUNDS)) for edge in _between(low, high)),
)
_MIDDLES = (
    0.0,
    *(math.sqrt(low * high) for low, high in pairwise(EDGES)),
    EDGES[-1],
)
_COARSE = (*(bisect_left(BOUNDS, edge) for edge in EDGES), len(BOUNDS))


def coarse(buckets: Sequence[int]) -> tuple[int, ...]:
    """The same counts in the buckets of BOUNDS, exactly."""
    counts = [0] * (len(BOUNDS) + 1)
    for index, count in zip(_COARSE, buckets, strict=True):
        counts[index] += count
    return tuple(counts)


def sparse(buckets: Iterable[int], before: Iterable[int]) -> Sparse:
    """What has been added to counts since `before`."""
    pairs = enumerate(zip(buckets, before, strict=True))
    return tuple((index, now - then) for index, (now, then) in pairs if now != then)


def percentile(counts: Mapping[int, int], percent: float) -> float | None:
    """Seconds that so many percent of all took at most (nearest rank), within 5 %; below 0.1 ms it
    is 0, above 300 s it is 300. None: there is nothing."""
    rank = math.ceil(round(percent / 100 * sum(counts.values()), 6))
    for index in sorted(counts):
        rank -= counts[index]
        if rank <= 0 and counts[index]:
            return _MIDDLES[index]
    return None


def mean(counts: Mapping[int, int]) -> float:
    """Seconds, within 5 %; 0 when there is nothing."""
    total = sum(counts.values())
    return sum(_MIDDLES[index] * count for index, count in counts.items()) / total if total else 0.0
