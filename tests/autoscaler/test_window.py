"""Windows are integrals: silence is zero, writers add up, memory is bounded."""

import math
import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.window import SlidingMax, Window

Record = tuple[float, float, float]  # value, at, span


def integral(records: list[Record], start: float, end: float) -> float:
    """By the definition: what each record spread over the seconds between, clipped."""
    total = 0.0
    for value, at, span in records:
        overlap = max(0.0, min(end, at) - max(start, at - span))
        total += value * overlap / span
    return total


def filled(records: list[Record], length: float = 60.0) -> Window:
    window = Window(length)
    for value, at, span in records:
        window.record(value, at, span)
    return window


whole_seconds = st.tuples(
    st.floats(0, 1e4), st.integers(0, 200).map(float), st.integers(1, 90).map(float)
)
any_time = st.tuples(st.floats(0, 1e4), st.floats(0, 200), st.floats(0.01, 90))


@settings(deadline=None)
@given(st.lists(whole_seconds, max_size=20), st.integers(1, 60))
def test_on_whole_seconds_a_mean_is_the_exact_integral_over_the_whole_window(
    records: list[Record], window: int
) -> None:
    now = max((at for _, at, _ in records), default=0.0)
    expected = integral(records, now - window, now) / window
    assert filled(records).mean(now, window) == pytest.approx(expected, abs=1e-6)


@settings(deadline=None)
@given(st.lists(any_time, max_size=20), st.integers(1, 60))
def test_in_between_only_the_second_cut_by_the_edge_is_estimated(
    records: list[Record], window: int
) -> None:
    now = max((at for _, at, _ in records), default=0.0)
    start = now - window
    cut = integral(records, math.floor(start), math.floor(start) + 1)
    error = filled(records).mean(now, window) * window - integral(records, start, now)
    assert abs(error) <= cut + 1e-6


@settings(deadline=None)
@given(st.lists(any_time, max_size=20), st.randoms(use_true_random=False))
def test_reports_of_several_gateways_add_up_in_any_order(
    records: list[Record],
    random: Random,
) -> None:
    now = max((at for _, at, _ in records), default=0.0)
    shuffled = random.sample(records, len(records))
    assert filled(shuffled).mean(now, 60) == pytest.approx(filled(records).mean(now, 60), abs=1e-6)


def test_a_young_series_is_divided_by_the_whole_window() -> None:
    # Unlike knative/serving pkg/autoscaler/aggregation/max: there a young series is its own window.
    assert filled([(100.0, 1.0, 0.5)]).mean(1.0, 6) == pytest.approx(100 / 6)


@pytest.mark.parametrize("now", [100.0, 100.25, 100.5, 100.9])
def test_even_load_has_the_same_mean_at_any_moment(now: float) -> None:
    assert filled([(70.0, now, 7.0)]).mean(now, 6) == pytest.approx(10)


def test_silence_is_zero() -> None:
    window = filled([(60.0, 10.0, 1.0)])
    assert [window.mean(now, 60) for now in (10.0, 40.0, 69.0, 71.0, 1e6)] == [1, 1, 1, 0, 0]


def test_a_moment_without_length_falls_into_its_second() -> None:
    assert filled([(6.0, 10.5, 0.0)]).mean(11.0, 6) == 1


def test_what_is_older_than_the_window_is_dropped() -> None:
    window = filled([(1.0, 1000.0, 1.0), (999.0, 500.0, 1.0)])
    assert window.mean(1000.0, 60) == pytest.approx(1 / 60)


def test_a_record_over_a_long_time_costs_no_more_than_the_window() -> None:
    assert filled([(1e9, 1e9, 1e9)]).mean(1e9, 60) == pytest.approx(1)


def test_memory_is_bounded_by_the_length() -> None:
    window = Window(60)
    sizes = set()
    for second in range(10_000):
        window.record(1.0, float(second), 1.0)
        if second > 100:
            sizes.add(sys.getsizeof(window._buckets))
    assert len(window._buckets) == 62
    assert max(sizes) <= 2000


def test_a_longer_window_keeps_what_was_seen() -> None:
    window = filled([(10.0, 10.0, 10.0)], length=10)
    window.resize(100)
    assert window.mean(10.0, 100) == pytest.approx(0.1)
    window.resize(5)
    assert window.mean(10.0, 5) == pytest.approx(1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50)), min_size=1), st.floats(0.001, 20))
def test_sliding_max_is_the_largest_of_the_last_seconds(
    steps: list[tuple[float, int]], length: float
) -> None:
    sliding, now, known = SlidingMax(length), 0.0, []
    for pause, number in steps:
        now += pause
        known.append((now, number))
        expected = max(n for at, n in known if at > now - length or at == now)
        assert sliding.record(number, now) == expected


def test_sliding_max_without_a_length_forgets_at_once() -> None:
    sliding = SlidingMax(0)
    assert [sliding.record(number, 1.0) for number in (5, 3, 4)] == [5, 3, 4]


def test_sliding_max_takes_no_more_places_than_there_are_numbers() -> None:
    sliding = SlidingMax(3600)
    for tick in range(5000):
        sliding.record(tick * 7 % 11, tick * 2.0)
    assert len(sliding._falling) <= 11


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1000)), max_size=200),
    st.sampled_from([1.0, 6.0, 31.5, 60.0]),
    st.floats(-30, 90),
)
def test_a_mean_is_the_sum_of_its_seconds_however_long_the_series(
    walk: list[tuple[int, int]], length: float, ahead: float
) -> None:
    """Also for a moment before the newest second, and for one long after it."""
    window, known, now = Window(60.0), dict[int, float](), 100
    for pause, value in walk:
        now += pause
        window.record(float(value), now + 0.5, 0.0)
        known[now] = known.get(now, 0.0) + value
    moment = max(0.0, now + 0.5 + ahead)
    first, last = math.floor(moment - length), math.floor(moment)
    # What is older than the memory of 62 seconds is gone.
    seconds = [second for second in range(first, last + 1) if now - 62 < second]
    weights = {first: 1 - (moment - length - first)}
    expected = sum(known.get(second, 0.0) * weights.get(second, 1.0) for second in seconds)
    assert window.mean(moment, length) == pytest.approx(expected / length, abs=1e-6)
