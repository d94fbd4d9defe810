"""Learned sleep: what it makes of habits, and the bound that no sequence of calls can break."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autoscaler import grid
from autoscaler.habit import MOST_BINS, MOST_KINDS, Habit
from autoscaler.learner import Learner
from autoscaler.ledger import DEBT, SHARE, Prices

HOUR = 3600.0
PRICES = Prices(timeout=600.0, wake=10 * HOUR)
# Whole seconds, so that sums are exact.
gaps = st.one_of(
    st.integers(1, 90), st.integers(30, 4 * 3600), st.integers(3600, 30 * 24 * 3600)
).map(float)
sequences = st.one_of(
    st.lists(gaps, min_size=1, max_size=30),
    # A habit, and then the break with it.
    st.tuples(gaps, gaps, st.integers(1, 25)).map(lambda t: [t[0]] * t[2] + [t[1], t[0]] * t[2]),
)
prices = st.builds(Prices, timeout=st.floats(0.0, 2 * HOUR), wake=st.floats(1.0, 100 * HOUR))


def after(learner: Learner, gaps: Sequence[float], prices: Prices = PRICES) -> float:
    """The service `a` was called with these gaps. Returns when it was called last."""
    now = 0.0
    learner.silent("a", prices, now)
    for gap in gaps:
        now += gap
        learner.called("a", now)
        learner.silent("a", prices, now)
    return now


@settings(deadline=None, max_examples=60)
@given(sequences, prices)
@example([1.0, 3.0, 1.0], Prices(timeout=0.125, wake=1.0))  # it ends within a bin, as 600.5 does
@example([36.0, 46.0, 36.0], Prices(timeout=0.0927, wake=3.036))
@example(
    [360.0, 489.0, 44.0, 124.0, 285.0, 415.0, 328.0, 127.0, 539.0, 58.0, 548.0], Prices(10.2, 29.8)
)
def test_it_is_never_dearer_than_the_timeout_by_more_than_the_bound(
    gaps: Sequence[float], prices: Prices
) -> None:
    learner = Learner()
    learner.silent("a", prices, 0.0)
    now = paid = plain = 0.0
    for gap in gaps:
        awake = 0.0
        place = grid.bin_of(gap)
        for one in range(place + 1):
            verdict = learner.verdict("a", now + grid.STARTS[one])
            end = min(gap, verdict.until)
            awake += max(0.0, end - grid.STARTS[one]) if verdict.awake else 0.0
            so_far = plain + prices.plain(end, called=False)
            assert paid + awake <= (1 + SHARE) * so_far + DEBT * prices.wake + 1e-3
        paid += awake + (0.0 if verdict.awake and gap <= verdict.until else prices.wake)
        plain += prices.plain(gap, called=True)
        assert paid <= (1 + SHARE) * plain + DEBT * prices.wake + 1e-3
        now += gap
        learner.called("a", now)
        learner.silent("a", prices, now)


def test_where_the_timeout_decides_it_does_so_to_the_moment() -> None:
    """In the middle of a bin: to be awake for the rest of it could break the bound as well."""
    learner = Learner()
    now = after(learner, [HOUR], Prices(timeout=90.5, wake=10.0))
    learner.habits["a"].excess = 20.0  # no wake is left to be risked
    learner.silent("a", Prices(timeout=90.5, wake=10.0), now)
    first, *_ = learner.spans("a", now)
    assert (first.begin, first.end) == (0.0, 90.5)
    assert not any(span.begin < 90.5 for span in learner.spans("a", now + 91.0))


@pytest.mark.parametrize("period", [300.0, 900.0, HOUR, 4 * HOUR])
def test_a_timer_is_slept_through_and_expected(period: float) -> None:
    learner = Learner()
    now = after(learner, [period] * 12)
    spans = [span for span in learner.spans("a", now) if span.begin <= period + 120]
    asleep = period - sum(min(span.end, period) - span.begin for span in spans)
    assert asleep > period / 2
    assert any(span.begin <= period < span.end for span in spans)
    likeliest = spans[-1].likeliest
    assert likeliest is not None
    assert likeliest.place == grid.bin_of(period)


def test_all_are_slept_for_again_when_nobody_calls_any_more() -> None:
    learner = Learner()
    now = after(learner, [900.0] * 12)
    spans = list(learner.spans("a", now))
    assert spans[-1].end < math.inf


def test_a_young_service_is_treated_as_others_like_it_were() -> None:
    def chance(others: float) -> float:
        learner = Learner()
        for name in map(str, range(40)):
            learner.silent(name, PRICES, 0.0)
            learner.called(name, others)
        learner.silent("a", PRICES, 2 * HOUR)
        return learner.verdict("a", 2 * HOUR + HOUR).chance

    assert chance(HOUR) > 10 * chance(120.0)


@given(st.floats(0.0, 40 * 24 * HOUR))
def test_an_age_lies_in_its_bin(age: float) -> None:
    place = grid.bin_of(age)
    assert grid.STARTS[place] <= age
    assert place == grid.LAST or age < grid.STARTS[place] + grid.WIDTHS[place]


@settings(deadline=None, max_examples=60)
@given(sequences, st.floats(1.0, 50 * HOUR), st.floats(1.0, 10.0))
def test_where_a_wake_costs_more_a_replica_is_kept_no_shorter(
    gaps: Sequence[float], wake: float, factor: float
) -> None:
    free = Prices(timeout=600.0, wake=1e12)  # the bound refuses nothing
    learner = Learner()
    now = after(learner, gaps, free)
    learner.habits["a"].excess = -1e15
    cheap, dear = Prices(600.0, wake), Prices(600.0, wake * factor)
    kept = []
    for one in (cheap, dear):
        learner.silent("a", one, now)
        spans = list(learner.spans("a", now))
        kept.append(sum(min(span.end, 15 * 24 * HOUR) - span.begin for span in spans))
    assert kept[0] <= kept[1]


@settings(deadline=None, max_examples=20)
@given(st.lists(gaps, min_size=100, max_size=400))
def test_what_is_kept_of_a_service_has_a_bound(gaps: Sequence[float]) -> None:
    habit = Habit()
    habit.called(None)
    for gap in gaps:
        habit.called(grid.bin_of(gap))
    assert len(habit.all) <= MOST_BINS + 3
    assert len(habit.after) <= MOST_KINDS
    assert all(len(weights) <= MOST_BINS + 3 for weights in habit.after.values())


def sleepers(number: int) -> Learner:
    learner = Learner()
    for one in range(number):
        learner.silent(f"s{one}", Prices(600.0, 36000.0), one / 100)
    return learner


def test_the_silences_of_many_are_counted_in_several_steps_and_each_once() -> None:
    whole, parts = sleepers(100), sleepers(100)
    assert whole.advance(200.0)
    steps = 1
    while not parts.advance(200.0, 100):
        steps += 1
    bins = grid.bin_of(200.0)
    assert steps > 10
    assert sum(whole.kin.silent.values()) == pytest.approx(100 * bins, rel=0.05)
    assert parts.kin == whole.kin
    assert parts.advance(200.0, 1000), "another round finds nothing new"
    assert parts.kin == whole.kin


def test_one_that_is_forgotten_before_its_turn_is_not_counted() -> None:
    learner = sleepers(10)
    assert not learner.advance(200.0, 1)
    for one in range(1, 10):
        learner.forget(f"s{one}")
    counted = dict(learner.kin.silent)
    assert learner.advance(200.0, 1)
    assert learner.kin.silent == counted
