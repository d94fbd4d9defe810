"""What a rule about times sees of a service: a trial of so many replicas under so much load.

Pure. A trial begins when the number of ready replicas changes, and a little later its samples
count: what was answered before tells of another number. Whether a rule sees enough of it to judge
by is a matter of answers, not of seconds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoscaler.load import SHORTEST_WINDOW, Load
from autoscaler.times import Times
from cluster.buckets import mean, percentile

# A rise by fewer standard deviations of a Poisson process may be chance: it is looked for often.
_DEVIATIONS = 4.0

_CATCH_UP = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Counted:
    """Times of the last so many seconds of a trial, of requests that were answered in them."""

    counts: Mapping[int, int]
    seconds: float

    @property
    def number(self) -> int:
        return sum(self.counts.values())

    @property
    def mean(self) -> float:
        return mean(self.counts)

    def percentile(self, percent: float) -> float:
        return percentile(self.counts, percent) or 0.0


_NOTHING = Counted({}, 0.0)


@dataclass(frozen=True, slots=True)
class Sight:
    """Rates are in requests a second. `rate` and `concurrency` are means over the trial. `load` is
    what the replicas have shared, in requests a second or at once, `demand` what to be ready for;
    `growth` is by how much more were in flight or queued each second, of the last `grown_over`.
    `fast` and `slow` reach back over the panic window and the stable one."""

    ready: int
    desired: int
    demand: float = 0.0
    load: float = 0.0
    rate: float = 0.0
    concurrency: float = 0.0
    growth: float = 0.0
    grown_over: float = 0.0
    fast: Counted = _NOTHING
    slow: Counted = _NOTHING
    service_time: float = 0.0
    stable_window: float = 60.0
    is_rising: bool = False
    may_catch_up: bool = False

    @property
    def is_idle(self) -> bool:
        return not (self.demand or self.rate or self.concurrency)

    def at_once(self) -> "Sight":
        """The same with load and demand in requests at once: the clients wait for their answers."""
        return replace(self, load=self.concurrency, demand=self.concurrency, is_rising=False)

    @property
    def chance(self) -> float:
        """By how much the demand may be another by chance alone: two standard deviations of it."""
        return max(0.02 * self.demand, 2 * math.sqrt(self.demand / self.stable_window))

    @property
    def answered(self) -> float:
        """Requests a second that were answered: what came, without what has piled up."""
        return self.rate - self.growth

    @property
    def is_growing(self) -> bool:
        """More come than are answered, by more than chance."""
        return self.growth > self._by_chance

    @property
    def is_shrinking(self) -> bool:
        """More are answered than come: what has piled up becomes less."""
        return -self.growth > self._by_chance

    @property
    def is_catching_up(self) -> bool:
        """What is answered has piled up before: it tells nothing of these replicas."""
        return self.may_catch_up and self.is_shrinking

    @property
    def _by_chance(self) -> float:
        some = 3 * math.sqrt(max(1.0, self.concurrency)) / max(1.0, self.grown_over)
        return max(0.02 * self.rate, some)


@dataclass(slots=True)
class Trial:
    """So many replicas; samples count from `since` on (loop time)."""

    ready: int = -1
    settles: float = 0.0
    began: float = -math.inf
    since: float = math.inf

    def follow(self, ready: int, settles: float, now: float) -> None:
        """Begins anew when the number of ready replicas has changed. `settles`: seconds in which
        requests that were sent before may still be answered."""
        if ready != self.ready:
            self.ready, self.settles = ready, settles
            self.began, self.since = now, now + settles

    def may_catch_up(self, now: float) -> bool:
        """They are given that long for what has piled up before."""
        return now < self.began + _CATCH_UP

    def again(self, now: float) -> None:
        self.since = max(self.since, now + self.settles)


def demand(load: Load, stable_window: float, panic_window: float, now: float) -> float:
    """Requests a second to be ready for: what they are on average, or surely have risen to, or
    are by now when they rise steadily."""
    stable = load.means(stable_window, now).rps
    panic = load.means(panic_window, now)
    deviation = math.sqrt(panic.rps / panic.window)
    middle = load.means(stable_window / 3, now)
    rise = middle.rps - stable
    # The middles of the two windows are as far apart as `middle` is long, and that is twice as far
    # as the later one lies back. Their difference has the variance of 2/3 of the shorter one.
    rises = rise > _DEVIATIONS * math.sqrt(2 / 3 * stable / middle.window)
    present = min(middle.rps + rise / 2, panic.rps + deviation) if rises else 0.0
    return max(stable, panic.rps - _DEVIATIONS * deviation, present)


def counted(times: Times, since: float, window: float, edge: float) -> Counted:
    """Of the last `window` seconds before `edge`, but none of before `since`."""
    start = max(since, edge - window)
    return Counted(times.since(start), edge - start) if edge > start else _NOTHING


def growth(load: Load, seconds: float, now: float) -> float:
    """By how many requests a second there were more in flight or queued, over the last so many."""
    part = max(SHORTEST_WINDOW, seconds / 3)
    rest = seconds - part
    if rest < part:
        return 0.0
    late = load.means(part, now).concurrency
    whole, later = load.means(seconds, now).concurrency, load.means(rest, now).concurrency
    early = (seconds * whole - rest * later) / part
    return (late - early) / rest
