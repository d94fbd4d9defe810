"""One silence of one service, bin by bin: is a replica worth keeping, or waking, for the next call?

Pure. It is, while the chance of a call in the bin times what a wake costs is more than the idling
costs: `P(call in dt) * wake > dt`. The chance comes from all services of its kind, then from its
own silences, then from those that followed a silence like the last; each is given up for the next
as that knows more. A wake of one with few calls counts more: it is a greater part of its calls.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

from autoscaler import grid
from autoscaler.habit import Habit, Weights
from autoscaler.kin import Kin
from autoscaler.ledger import Prices

_OWN_COUNTS = 0.5  # own silences that weigh as much as what is known of all services
_ALIKE_COUNTS = 0.5
# What a wake counts for, by the number of calls so far: one call alone is no habit yet.
_ONE_CALL = 0.65
_FEW_CALLS = 4.0
_USUAL_CALLS = 8  # counts for one
_MANY_CALLS = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """About one bin. `chance` that it is called in it, and the one that is worth staying up for.
    Awake up to the age `until`, in seconds: to the end of the bin, or where the timeout ends."""

    place: int
    chance: float
    worth: float
    awake: bool
    until: float
    bounded: bool = False  # the plain timeout decided, to keep the bound

    def leads_on_to(self, other: Self) -> bool:
        """Awake in both, and between them."""
        return self.awake and other.awake and self.until == grid.STARTS[other.place]


class Silence:
    """Since the last call. `ahead` goes through the bins in order, each once."""

    __slots__ = ("_alike", "_alike_left", "_all", "_all_left", "_habit", "_prices", "_worth",
                 "idled", "place", "verdict")  # fmt: skip

    def __init__(self, habit: Habit, prices: Prices, place: int = 0) -> None:
        """`place`: the first bin to be judged; before it a replica was awake."""
        self._habit, self._prices = habit, prices
        self._all, self._alike = habit.all, habit.alike
        self._all_left, self._alike_left = sum(self._all.values()), sum(self._alike.values())
        self._worth = 1 / (prices.wake * _weight(habit.calls))
        self.idled = float(grid.STARTS[place])  # in the bins before the one judged last, in seconds
        self.place = place  # the next to be judged
        self.verdict = Verdict(-1, 0.0, 0.0, awake=True, until=0.0)

    def copy(self) -> Self:
        """To look ahead with."""
        twin = type(self)(self._habit, self._prices)
        for name in self.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin

    def ahead(self, kin: Kin) -> Verdict:
        """About the next bin."""
        place = self.place
        if self.verdict.awake and self.verdict.place >= 0:
            self.idled += self.verdict.until - grid.STARTS[self.verdict.place]
        chance = kin.chance(self._habit.calls, place)
        chance, self._all_left = _sharpened(self._all, place, self._all_left, chance, _OWN_COUNTS)
        if self._alike:
            chance, self._alike_left = _sharpened(
                self._alike, place, self._alike_left, chance, _ALIKE_COUNTS
            )
        worth = self._worth * grid.WIDTHS[place]
        self.place += place < grid.LAST
        # The last bin has no end, and no idling is worth that.
        wish = chance >= worth and place < grid.LAST
        end = float(grid.STARTS[place] + grid.WIDTHS[place]) if place < grid.LAST else math.inf
        self.verdict = self._bounded(Verdict(place, chance, worth, wish, end))
        return self.verdict

    def _bounded(self, wish: Verdict) -> Verdict:
        prices, excess, begin = self._prices, self._habit.excess, grid.STARTS[wish.place]
        if wish.awake:
            may = prices.may_stay(excess, self.idled + wish.until - begin, wish.until)
        else:
            may = prices.may_sleep(excess, self.idled, begin)
        if may:
            return wish
        # To the very moment: what is left of the bin after it could break the bound as well.
        until = min(wish.until, prices.timeout)
        return replace(wish, awake=until > begin, until=until, bounded=True)


def _weight(calls: int) -> float:
    if calls <= 1:
        return _ONE_CALL
    return min(_FEW_CALLS, max(_MANY_CALLS, _USUAL_CALLS / calls))


def _sharpened(
    weights: Weights, place: int, left: float, chance: float, counts: float
) -> tuple[float, float]:
    """With what own silences of at least that length tell; and the weight of the longer ones."""
    ended = weights.get(place, 0.0)
    return (ended + counts * chance) / (max(left, ended) + counts), max(0.0, left - ended)
