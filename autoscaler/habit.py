"""How long the silences of one service were, and those that followed one like the last.

Pure. Younger silences weigh more. A silence also counts a little for the bins beside its own, the
less the more often its own was met: a timer that is always on time is not waited for longer.
"""

from dataclasses import dataclass, field

from autoscaler import grid

Weights = dict[int, float]  # by bin

FADES = 0.97  # what a silence weighs after the next one
BESIDE = 0.25  # of its weight, for the two bins beside its own together
_SURE = 10.0  # how fast that shrinks with the weight of the own bin
_FORGOTTEN = 0.005  # a weight below it is dropped: what is kept has a bound
MOST_KINDS = 48
MOST_BINS = 96


@dataclass(slots=True)
class Habit:
    """`calls`: how often it was called after a silence, and at first. `last`: the bin of the last
    silence, -1 before there is one."""

    calls: int = 0
    last: int = -1
    all: Weights = field(default_factory=dict)
    after: dict[int, Weights] = field(default_factory=dict)  # by the kind of the one before
    excess: float = 0.0  # see autoscaler.ledger

    def called(self, place: int | None) -> None:
        """After a silence that ended in that bin; None: for the first time."""
        self.calls += 1
        if place is None:
            return
        _add(self.all, place)
        if self.last >= 0:
            kind = grid.like(self.last)
            _add(self.after.setdefault(kind, {}), place)
            if len(self.after) > MOST_KINDS:
                del self.after[min(self.after, key=lambda one: sum(self.after[one].values()))]
        self.last = place

    @property
    def usual(self) -> tuple[float, float]:
        """The commonest length of a silence in seconds, and the part of all that were as long."""
        if not self.all:
            return 0.0, 0.0
        place = max(self.all, key=self.all.__getitem__)
        near = sum(self.all.get(one, 0.0) for one in (place - 1, place, place + 1))
        return float(grid.STARTS[place]), min(1.0, near / sum(self.all.values()))

    @property
    def alike(self) -> Weights:
        """What followed silences like the last one."""
        return self.after.get(grid.like(self.last), {}) if self.last >= 0 else {}


def _add(weights: Weights, place: int) -> None:
    for one in tuple(weights):
        weights[one] *= FADES
        if weights[one] < _FORGOTTEN:
            del weights[one]
    while len(weights) > MOST_BINS:
        del weights[min(weights, key=weights.__getitem__)]
    # Who is called each minute or two is so by chance as well: the bins beside tell nothing.
    spreads = place > 0 and place not in (grid.MINUTE, grid.MINUTE + 1)
    beside = BESIDE / (1 + _SURE * weights.get(place, 0.0)) if spreads else 0.0
    _raise(weights, place, 1 - beside)
    if beside:
        _raise(weights, place - 1, beside / 2)
        _raise(weights, min(place + 1, grid.LAST), beside / 2)


def _raise(weights: Weights, place: int, by: float) -> None:
    weights[place] = weights.get(place, 0.0) + by
