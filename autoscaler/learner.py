"""What was learned of the silences of all services, and what follows for each of them.

Pure. The same object decides in production and in the replay of traces. It only knows the past: a
silence is counted bin by bin as it gets older, and a call when it comes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from autoscaler import grid
from autoscaler.foresight import Silence, Verdict
from autoscaler.habit import Habit
from autoscaler.kin import Kin
from autoscaler.ledger import Prices


@dataclass(frozen=True, slots=True)
class Span:
    """Awake from then until then, both in seconds after the last call; with the bin that is the
    likeliest to be called in."""

    begin: float
    end: float
    likeliest: Verdict | None


@dataclass(slots=True)
class _Open:
    silence: Silence
    prices: Prices
    since: float


class Learner:
    """Moments are seconds of one clock, which never goes back."""

    def __init__(self) -> None:
        self.kin = Kin()
        self.habits: dict[str, Habit] = {}
        self._open: dict[str, _Open] = {}
        self._uncounted: list[str] = []  # of the present round, the next one last

    def silent(self, service: str, prices: Prices, since: float, place: int = 0) -> None:
        """Nothing is in flight any more; the silence so far, if any, is over or never was."""
        habit = self.habits.setdefault(service, Habit())
        if habit.calls == 0:
            habit.called(None)
        self._open[service] = _Open(Silence(habit, prices, place), prices, since)

    def resumed(self, service: str, prices: Prices, since: float, now: float) -> None:
        """A silence that an earlier process has known and counted until about now."""
        self._open[service] = _Open(Silence(self.habits[service], prices), prices, since)
        silence, place = self._open[service].silence, grid.bin_of(now - since)
        while silence.verdict.place < place:
            silence.ahead(self.kin)

    def called(self, service: str, now: float) -> None:
        """Its silence ends. Nothing happens when it has none."""
        known = self._open.get(service)
        if known is None:
            return
        verdict = self.verdict(service, now)
        del self._open[service]
        habit, age = self.habits[service], max(0.0, now - known.since)
        inside = min(age, verdict.until) - grid.STARTS[verdict.place] if verdict.awake else 0.0
        woken = not verdict.awake or age > verdict.until
        habit.excess = known.prices.settled(
            habit.excess, known.silence.idled + inside, age, woken=woken
        )
        self.kin.saw(habit.calls, verdict.place, called=True)
        habit.called(verdict.place)

    def verdict(self, service: str, now: float) -> Verdict:
        """About the bin that its silence is in. Raises KeyError when it has none."""
        known = self._open[service]
        place = grid.bin_of(now - known.since)
        silence = known.silence
        while silence.verdict.place < place or silence.verdict.place < 0:
            if silence.verdict.place >= 0:
                self.kin.saw(self.habits[service].calls, silence.verdict.place, called=False)
            silence.ahead(self.kin)
        return silence.verdict

    def since(self, service: str) -> float | None:
        """When it was called last; None: it is not known, or it is in use."""
        known = self._open.get(service)
        return known.since if known else None

    def is_silent(self, service: str) -> bool:
        return service in self._open

    def advance(self, now: float, most: float = math.inf) -> bool:
        """Counts silences up to now, in about `most` steps; the next call goes on with the others.
        Whether this was the last of them."""
        self._uncounted = self._uncounted or list(reversed(self._open))
        while self._uncounted and most > 0:
            known = self._open.get(service := self._uncounted.pop())
            if known is not None:
                before = known.silence.place
                self.verdict(service, now)
                most -= 1 + known.silence.place - before
        return not self._uncounted

    def spans(self, service: str, now: float) -> Iterator[Span]:
        """When it is to be awake from now on if nobody calls, as far as is known now."""
        last = first = best = self.verdict(service, now)
        silence, age = self._open[service].silence.copy(), now - self._open[service].since
        while last.place < grid.LAST:
            verdict = silence.ahead(self.kin)
            if not last.leads_on_to(verdict):
                if last.awake and last.until > age:
                    yield Span(grid.STARTS[first.place], last.until, best)
                first = best = verdict
            elif verdict.chance >= best.chance:
                best = verdict
            last = verdict
        if last.awake and last.until > age:
            yield Span(grid.STARTS[first.place], last.until, best)

    def forget(self, service: str) -> None:
        self._open.pop(service, None)
        self.habits.pop(service, None)
