"""Histograms by second: what is told by several gateway processes, and forgotten in time."""

from bisect import bisect_left
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.load import Load
from autoscaler.sight import Counted, Sight, Trial, counted, demand, growth
from autoscaler.times import Times
from cluster.buckets import EDGES, Sparse
from tests.support.scaling_facts import report


def of(*seconds: float) -> Sparse:
    counts = Counter(bisect_left(EDGES, one) for one in seconds)
    return tuple(sorted(counts.items()))


def test_processes_add_up_in_the_same_seconds() -> None:
    times = Times(60.0)
    times.record(of(0.1, 0.1, 0.1), 10.0)
    times.record(of(0.4), 10.6)
    seen = counted(times, 9.0, 6.0, 10.6)
    assert seen.number == 4
    assert seen.percentile(75) == pytest.approx(0.1, rel=0.05)
    assert seen.percentile(76) == pytest.approx(0.4, rel=0.05)


@given(st.lists(st.tuples(st.floats(0.001, 10), st.integers(0, 3)), min_size=1, max_size=100))
def test_a_percentile_of_all_processes_is_one_of_all_requests(
    requests: list[tuple[float, int]],
) -> None:
    """However the requests are spread over processes: never a mean of percentiles."""
    spread, whole = Times(60.0), Times(60.0)
    for process in range(4):
        spread.record(of(*(took for took, where in requests if where == process)), 5.0)
    whole.record(of(*(took for took, _ in requests)), 5.0)
    assert spread.since(0.0) == whole.since(0.0)


def test_what_is_older_than_the_window_counts_no_more() -> None:
    times = Times(60.0)
    times.record(of(3.0), 1.0)
    times.record(of(0.1), 30.0)
    assert counted(times, 0.0, 6.0, 30.0).percentile(99) == pytest.approx(0.1, rel=0.05)
    assert counted(times, 0.0, 60.0, 30.0).percentile(99) == pytest.approx(3.0, rel=0.05)


def test_only_as_many_seconds_are_kept_as_a_window_is_long() -> None:
    times = Times(60.0)
    for second in range(1000):
        times.record(of(0.1), float(second))
    assert sum(times.since(0.0).values()) <= 62


def test_nothing_of_before_a_trial_counts() -> None:
    times, trial = Times(60.0), Trial()
    times.record(of(9.0), 10.0)
    trial.follow(2, 1.0, 10.0)
    times.record(of(9.0), 11.0)  # sent before, answered while it settles
    times.record(of(0.1), 12.0)
    assert counted(times, trial.since, 60.0, 12.0) == Counted({of(0.1)[0][0]: 1}, 1.0)
    trial.follow(2, 1.0, 20.0)
    assert trial.since == 11.0
    trial.follow(3, 1.0, 20.0)
    assert trial.since == 21.0


def loaded(*rates: float, each: float = 0.0) -> Load:
    """So many requests in each second; `each` more in flight at the end of every one."""
    load = Load(60.0)
    for second, rate in enumerate(rates, start=1):
        in_flight = round(each * second) + 1
        load.record(
            report(
                float(second), 1 + each * (second - 0.5), in_flight=in_flight, requests=int(rate)
            )
        )
    return load


def test_demand_is_the_mean_unless_it_surely_rises() -> None:
    assert demand(loaded(*[100] * 60), 60.0, 6.0, 60.0) == pytest.approx(100)
    doubled = demand(loaded(*[100] * 50, *[200] * 10), 60.0, 6.0, 60.0)
    assert 175 < doubled <= 200 + 6
    less = demand(loaded(*[200] * 30, *[100] * 30), 60.0, 6.0, 60.0)
    assert less == pytest.approx(150)


def test_demand_of_a_ramp_is_that_of_now() -> None:
    assert demand(loaded(*range(100, 340, 4)), 60.0, 6.0, 60.0) == pytest.approx(336, rel=0.03)


def test_growth_is_what_piles_up() -> None:
    piling = loaded(*[100] * 12, each=20.0)
    assert growth(piling, 12.0, 12.0) == pytest.approx(20, rel=0.05)
    assert growth(loaded(*[100] * 12), 12.0, 12.0) == pytest.approx(0, abs=0.1)
    assert growth(piling, 1.0, 12.0) == 0


def test_what_is_answered_is_what_came_without_what_piled_up() -> None:
    sight = Sight(1, 1, rate=100.0, concurrency=100.0, growth=20.0, grown_over=12.0)
    assert (sight.answered, sight.is_growing, sight.is_shrinking) == (80.0, True, False)
