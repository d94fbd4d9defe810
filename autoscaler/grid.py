"""Ages of a silence, in bins: seconds while it is young, minutes for four hours, then more.

Pure. What is learned about silences is learned by bin, so that a service that is called every ten
seconds and one that is called every day are told by as many numbers.
"""

import math
from bisect import bisect_right
from itertools import pairwise

_SECONDS = (*range(10), *range(10, 60, 5))
_MINUTES = tuple(60 * minute for minute in range(1, 4 * 60 + 1))
_FIVES = tuple(300 * five for five in range(12 * 4 + 1, 12 * 24))
_DAYS = tuple(86400 * quarter // 4 for quarter in range(4, 4 * 15))
STARTS: tuple[int, ...] = (*_SECONDS, *_MINUTES, *_FIVES, *_DAYS)
WIDTHS: tuple[int, ...] = (*(after - start for start, after in pairwise(STARTS)), 86400 // 4)
LAST = len(STARTS) - 1
MINUTE = len(_SECONDS)  # the bin in which a silence is one minute old
# Timers are set to these, in minutes.
ROUND = frozenset(
    bisect_right(STARTS, 60 * minutes) - 1
    for minutes in (5, 10, 15, 20, 30, 60, 120, 180, 240, 720)
)


def bin_of(age: float) -> int:
    """Of an age in seconds; what is older than two weeks counts as that old."""
    return max(0, bisect_right(STARTS, age) - 1)


def stage_of(place: int) -> int:
    """Bins that are taken together where little is known: four for each doubling of the age."""
    return _STAGES[place]


def like(place: int) -> int:
    """Silences that count as equally long: three kinds for each doubling of the length."""
    return _LIKE[place]


def _in_parts(place: int, plain: int, parts: int, rounding: float) -> int:
    """Every bin by itself up to `plain` minutes, then so many parts of each doubling."""
    minutes = STARTS[place] / 60
    if minutes < plain:
        return place
    return MINUTE - 1 + plain + int(parts * math.log2(minutes / plain) + rounding)


_STAGES = tuple(_in_parts(place, 8, 4, 0.0) for place in range(len(STARTS)))
_LIKE = tuple(_in_parts(place, 4, 3, 0.5) for place in range(len(STARTS)))
