"""What is known of silences of all services together: the more of it, the less one has of its own.

Pure. Services are alike that were called about as often, in silences that are about as old. Round
ages (a quarter of an hour, an hour) are counted by themselves: timers are set to them.
"""

import math
from dataclasses import dataclass, field

from autoscaler import grid

# Before anything was seen: called the rarer, the longer it was silent (base / age), and at round
# ages more often. Both are given up for what is seen, as if so many silences had been seen before.
_BASE = 0.3
_BASE_COUNTS = 20.0
_AT_ROUND = 0.05
_ROUND_COUNTS = 10.0
_OLDEST_CLASS = 10
_MANY = 1e6  # trials after which old ones are halved: the world changes

Key = tuple[int, int]  # class of calls, stage; round ages: class 0, minus the bin


@dataclass(slots=True)
class Kin:
    """How often a silence came to an age, and how often a call ended it there."""

    silent: dict[Key, float] = field(default_factory=dict)
    called: dict[Key, float] = field(default_factory=dict)

    def saw(self, calls: int, place: int, *, called: bool) -> None:
        """A service with so many calls had been silent until that bin, and was called in it."""
        key = _key(calls, place)
        seen = self.silent[key] = self.silent.get(key, 0.0) + 1
        if called:
            self.called[key] = self.called.get(key, 0.0) + 1
        if seen >= _MANY:
            self.silent[key] /= 2
            self.called[key] = self.called.get(key, 0.0) / 2

    def chance(self, calls: int, place: int) -> float:
        """That it is called while its silence is in that bin, 0 to 1."""
        width = grid.WIDTHS[place]
        known = min(1.0, _BASE * width / (grid.STARTS[place] + width))
        stage = _stage(calls, place)
        known = self._blend(stage, known, _BASE_COUNTS)
        if place not in grid.ROUND:
            return known
        return max(known, self._blend((0, -place), max(known, _AT_ROUND), _ROUND_COUNTS))

    def _blend(self, key: Key, known: float, counts: float) -> float:
        silent, called = self.silent.get(key, 0.0), self.called.get(key, 0.0)
        return (called + counts * known) / (silent + counts)


def _key(calls: int, place: int) -> Key:
    return (0, -place) if place in grid.ROUND else _stage(calls, place)


def _stage(calls: int, place: int) -> Key:
    return _class(calls), grid.stage_of(place)


def _class(calls: int) -> int:
    if calls < 4:
        return max(1, calls)
    return min(_OLDEST_CLASS, 4 + int(math.log2(calls / 4)))
