"""What a wake leads to, however long the start takes: in virtual time, one policy and made-up news.

The gateway is a queue: what comes waits until the first replica serves, and is then answered.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from autoscaler.decision import Counts
from autoscaler.policy import Policy
from cluster.messages import LoadReport
from config.scaling import Scaling

STARTS = (0.2, 0.95, 1.0, 1.45, 3.0, 5.9, 10.0)
HERD = 200
RPS: dict[str, Any] = {"rules": ({"metric": "rps", "target": 10},)}
STEP = 0.05


class Wake:
    """`arrivals(now)` is how many come in the step that begins then, each for `seconds`. Reports
    come each second from `first_report` on; replicas take `start` seconds."""

    def __init__(
        self, arrivals: Callable[[float], float], seconds: float, start: float, *,
        first_report: float = 1.0, **scaling: object,
    ) -> None:  # fmt: skip
        self.policy = Policy(Scaling.model_validate({"max": 1000, **scaling}))
        self.arrivals, self.seconds, self.start = arrivals, seconds, start
        self.wanted: dict[float, int] = {}
        self._ready_at: list[float] = []
        self._queued = self._arrived = self._busy = 0.0
        self._ends: list[tuple[float, float]] = []
        self._next_report, self._told = first_report, 0.0

    def run(self, until: float) -> Mapping[float, int]:
        """The numbers that were wanted, by the time of each change."""
        self.policy.wake(Counts(), 0.0)
        self._follow(0.0)
        for step in range(round(until / STEP)):
            self._live(round(step * STEP, 6))
        return self.wanted

    def _live(self, now: float) -> None:
        if any(now - STEP < at <= now for at in self._ready_at[:1]):
            self.policy.serve(now)
        if now >= self._next_report:
            self._report(now)
        if self.policy.next_look(now - STEP) <= now:
            self.policy.decide(self._counts(now), now)
            self._follow(now)
        came = self.arrivals(now)
        self._arrived += came
        self._queued += came
        if self._counts(now).ready and self._queued:
            self._ends.append((now + self.seconds, self._queued))
            self._queued = 0.0
        self._ends = [(end, count) for end, count in self._ends if end > now]
        self._busy += (self._queued + self._in_flight) * STEP

    @property
    def _in_flight(self) -> float:
        return sum(count for _, count in self._ends)

    def _report(self, now: float) -> None:
        level = round(self._in_flight), round(self._queued)
        span, self._told = now - self._told, now
        self.policy.record(
            LoadReport("web", now, span, self._busy, round(self._arrived), 0, *level)
        )
        self._busy = self._arrived = 0.0
        self._next_report += 1.0

    def _counts(self, now: float) -> Counts:
        ready = sum(at <= now for at in self._ready_at)
        return Counts(ready, len(self._ready_at) - ready)

    def _follow(self, now: float) -> None:
        if (change := self.policy.replicas - len(self._ready_at)) == 0:
            return
        self.wanted[now] = self.policy.replicas
        self._ready_at = (self._ready_at + [now + self.start] * change)[: self.policy.replicas]


def at_once(now: float) -> float:
    return HERD if now == 0 else 0


def trickling(now: float) -> float:
    """A herd whose clients need two seconds to connect."""
    return HERD * STEP / 2 if now < 2 else 0


def steady(rate: float) -> Callable[[float], float]:
    return lambda now: rate * STEP


@pytest.mark.parametrize("herd", [at_once, trickling])
@pytest.mark.parametrize("first_report", [0.3, 1.0])
@pytest.mark.parametrize("start", [*STARTS, 30.0])
def test_a_herd_that_waits_for_a_start_brings_one_replica_however_slow_it_is(
    start: float, first_report: float, herd: Callable[[float], float]
) -> None:
    """It is answered within 20 ms once something serves."""
    wake = Wake(herd, 0.02, start, first_report=first_report)
    # The idle ladder ends it a minute after the last of it.
    assert list(wake.run(start + 55.0).values()) == [1]


@pytest.mark.parametrize("start", STARTS)
def test_a_herd_that_stays_is_seen_whole_soon_after_something_serves(start: float) -> None:
    wanted = Wake(at_once, 60.0, start).run(start + 8.0)
    assert next(iter(wanted.items())) == (0.0, 1)
    reached, most = list(wanted.items())[-1]
    assert most == max(wanted.values()) == HERD // 10
    assert start + 1.0 <= reached <= start + 4.0
    assert all(at > start for at in list(wanted)[1:])


@pytest.mark.parametrize("first_report", [0.3, 1.0])
@pytest.mark.parametrize("start", STARTS)
def test_a_steady_load_is_seen_whole_soon_after_something_serves(
    start: float, first_report: float
) -> None:
    """A hundred a second that take a second each, and a backlog of them to begin with."""
    wanted = Wake(steady(100), 1.0, start, first_report=first_report).run(start + 5.0)
    assert next(iter(wanted.values())) == 1
    assert all(at > start for at in list(wanted)[1:])
    assert max(wanted.values()) >= 9, "it grows for a second"


@pytest.mark.parametrize("start", STARTS)
def test_many_quick_requests_bring_no_more_than_their_load(start: float) -> None:
    """A hundred a second that take 50 ms are a load of five; a thousand that have waited are work
    as well, but not for long."""
    wake = Wake(steady(100), 0.05, start)
    assert max(wake.run(start + 30.0).values()) <= 1 + (start > 5)


def test_what_keeps_coming_is_seen_though_nothing_ever_serves() -> None:
    """As one request-second each, when it came in two panic windows."""
    wanted = Wake(steady(50), 1.0, 240.0).run(60.0)
    assert list(wanted.values()) == [1, 5]
    assert 12.0 <= list(wanted)[1] <= 14.0


def test_arrivals_are_what_they_are_however_long_they_wait() -> None:
    """A rule on the rate of requests asks for the same, whatever the start takes."""
    most = {max(Wake(at_once, 0.02, start, **RPS).run(40.0).values()) for start in STARTS}
    assert most == {math.ceil(HERD / 6.0 / 10)}


def test_nothing_is_held_where_a_replica_serves_already() -> None:
    """It was to go, and had not gone yet."""
    policy = Policy(Scaling.model_validate({"max": 1000}))
    policy.wake(Counts(ready=1), 0.0)
    policy.record(LoadReport("web", 1.0, 1.0, 100.0, 100, 0, 10, 90))
    assert policy.load.means(6.0, 1.0, held=False) == policy.load.means(6.0, 1.0)


def test_the_first_second_of_an_old_window_is_not_forgotten() -> None:
    """What was busy before it slept stays what it was: only what was held is left out."""
    policy = Policy(Scaling.model_validate({"max": 1000}))
    policy.wake(Counts(), 0.0)
    policy.serve(0.5)
    for second in range(1, 31):
        policy.record(LoadReport("web", float(second), 1.0, 40.0, 40, 0, 40, 0))
    policy.load.begin(30.0)
    policy.record(LoadReport("web", 31.0, 1.0, 200.0, 200, 0, 0, 200))
    stable = policy.load.means(60.0, 31.0, held=False).concurrency
    assert stable == pytest.approx(29.5 * 40 / 60)
