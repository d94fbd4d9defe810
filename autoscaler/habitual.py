"""Learned sleep of one service, by loop time: how long to stay up, when to wake, and why.

Pure. Calls that follow each other within `LEAST_AWAKE` are one: nothing is put to sleep between
them. The plan is made anew whenever the silence has reached another bin, or the end of the
span that was planned, and holds until then.
"""

import math
from collections.abc import Callable
from typing import Self

from autoscaler import grid
from autoscaler.learner import Learner, Span
from autoscaler.ledger import Prices
from config.units import format_duration

LEAST_AWAKE = 10.0  # seconds after a call
LAG = 2.0  # seconds after which a report has told of every call
LEAD = 10.0  # seconds that a wake is ahead of the time from which a call is expected
_NEVER = Span(math.inf, math.inf, None)
_ROUNDED = 1e-3
_HABIT = 0.5  # of its silences are as long as the usual one: that is told as a habit


class Habitual:
    """`clock_time` tells a moment of loop time as people read it; `changed` is told of what service
    something worth keeping is known now: a call, or a sleep."""

    __slots__ = (
        "_changed", "_clock_time", "_learner", "_least", "_plan", "_planned", "_prices", "_service",
    )  # fmt: skip

    def __init__(
        self,
        service: str,
        learner: Learner,
        prices: Prices,
        clock_time: Callable[[float], str],
        changed: Callable[[str, float], None],
    ) -> None:
        self._service, self._learner, self._prices = service, learner, prices
        self._clock_time, self._changed = clock_time, changed
        # Where the plain timeout is shorter than that, it is one's own as well.
        self._least = min(LEAST_AWAKE, prices.timeout)
        self._planned: tuple[float, int] = (-math.inf, -1)
        self._plan = _NEVER

    def __deepcopy__(self, memo: object) -> Self:
        """Whoever tries out a decision on a copy of the policy asks what is known, and tells
        nothing."""
        return self

    # Facts

    def called(self, now: float) -> None:
        """It is in use; its silence begins now, if nothing more comes."""
        since = self._learner.since(self._service)
        if since is not None and now - since >= self._least:
            self._learner.called(self._service, now)
            self._changed(self._service, now)
        self._learner.silent(self._service, self._prices, now, grid.bin_of(self._least))

    # Reading

    def stop_after(self, last: float, plain: float, now: float) -> float:
        """Seconds after `last`, when it was in use by whatever it was. Without a call that is known
        the plain timeout."""
        since = self._learner.since(self._service)
        if since is None or last == -math.inf:
            return plain
        # A look that comes when it was planned must find the span over, whatever was rounded.
        known = max(now - LAG + _ROUNDED, since + self._least)
        span = self._span(known)
        is_in = self._is_in(span, known) or self._is_in(span, now)
        stop = since + span.end + LAG if is_in else since + self._least
        return max(0.0, stop - last)

    def next_wake(self, now: float) -> float:
        """When it is to be woken if nobody calls before; infinity: not."""
        since = self._learner.since(self._service)
        if since is None:
            return math.inf
        return max(now + 1.0, since + self._span(now).begin - LEAD)

    def expects(self, now: float) -> str:
        """By what it is woken now, in words; empty: by nothing."""
        since = self._learner.since(self._service)
        if since is None:
            return ""
        span = self._span(now)
        if span.likeliest is None or not self._is_in(span, now):
            return ""
        ahead = max(0, round(since + grid.STARTS[span.likeliest.place] - now))
        return f"learned sleep {format_duration(ahead)} before a call ({self._habit(now)})"

    def why_asleep(self, now: float) -> str:
        """Empty: the plain timeout decided."""
        since = self._learner.since(self._service)
        if since is None:
            return ""
        self._changed(self._service, now)
        silent = format_duration(max(0, round(now - since)))
        return f"no request for {silent}, learned: {self._habit(now)}"

    def facts(self, now: float) -> dict[str, object]:
        """What was learned, for `explain` (JSON-able)."""
        since = self._learner.since(self._service)
        if since is None:
            return {}
        verdict, habit = self._learner.verdict(self._service, now), self._learner.habits
        wake = self.next_wake(now)
        return {
            "calls": habit[self._service].calls,
            "silent_for": round(now - since, 3),
            "chance_now": round(verdict.chance, 6),
            "worth_from": round(verdict.worth, 6),
            "kept_to_the_timeout": verdict.bounded,
            "excess_seconds": round(habit[self._service].excess, 3),
            "bound_seconds": self._prices.bound,
            "habit": self._habit(now),
            "next_wake_in": round(wake - now, 3) if wake < math.inf else None,
        }

    # The rest is private

    def _is_in(self, span: Span, now: float) -> bool:
        since = self._learner.since(self._service)
        return since is not None and since + span.begin - LEAD <= now < since + span.end

    def _span(self, now: float) -> Span:
        """The one now, or else the next."""
        since = self._learner.since(self._service) or 0.0
        place = self._learner.verdict(self._service, now).place
        if self._planned != (since, place) or now - since >= self._plan.end:
            self._planned = since, place
            self._plan = next(iter(self._learner.spans(self._service, now)), _NEVER)
        return self._plan

    def _habit(self, now: float) -> str:
        """For people: the usual silence, when the next call is expected."""
        habit, span = self._learner.habits[self._service], self._span(now)
        since = self._learner.since(self._service) or 0.0
        if habit.calls <= 1:
            words = "called once so far"
        else:
            usual, times = habit.usual
            words = (
                f"called every {format_duration(usual)} in {times:.0%} of {habit.calls - 1} times"
            )
            if times < _HABIT:
                words = f"called {habit.calls} times without a habit"
        if span.likeliest is None:
            return f"{words}, no call worth waiting for"
        at = self._clock_time(since + grid.STARTS[span.likeliest.place])
        return f"{words}, next expected {at} ({span.likeliest.chance:.1%})"
