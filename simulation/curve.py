"""The distribution of waits in a few hundred points instead of millions.

Pure.
"""

from collections.abc import Sequence

Curve = tuple[tuple[float, float], ...]
"""Seconds, and the share of all requests that waited at least so long; from short to long."""

_POINTS = 200
_EACH_FINEST = 50  # the longest waits are few, and are told one by one


def longer_than(waits: Sequence[float], requests: int) -> Curve:
    """Of so many requests those that are not in `waits` did not wait. Evenly on a logarithmic axis
    of shares, which is where the rare ones are seen."""
    ordered = sorted(waits, reverse=True)
    ranks = dict.fromkeys(_ranks(len(ordered)))
    return tuple((ordered[rank - 1], rank / requests) for rank in reversed(ranks))


def _ranks(number: int) -> list[int]:
    """From 1 to `number`: all of the first, then ever fewer."""
    first = list(range(1, min(number, _EACH_FINEST) + 1))
    if number <= _EACH_FINEST:
        return first
    ratio = number / _EACH_FINEST
    steps = (_EACH_FINEST * ratio ** (step / _POINTS) for step in range(1, _POINTS + 1))
    return [*first, *(min(number, round(step)) for step in steps)]
