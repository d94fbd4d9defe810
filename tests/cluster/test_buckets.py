"""Percentiles from buckets are near the exact ones."""

import math
from bisect import bisect_left
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.buckets import BOUNDS, EDGES, coarse, mean, percentile, sparse

LONG_ENOUGH = 0.0001  # seconds; what is shorter counts as nothing
times = st.lists(st.floats(0, 300), min_size=1, max_size=200)


def counted(seconds: list[float]) -> Counter[int]:
    return Counter(bisect_left(EDGES, one) for one in seconds)


def exact(seconds: list[float], percent: float) -> float:
    """Nearest rank, of the values themselves."""
    rank = math.ceil(round(percent / 100 * len(seconds), 6))
    return sorted(seconds)[max(1, rank) - 1]


@given(times, st.floats(0.1, 99.9))
def test_a_percentile_is_within_five_percent(seconds: list[float], percent: float) -> None:
    wanted, got = exact(seconds, percent), percentile(counted(seconds), percent)
    assert got is not None
    if wanted > LONG_ENOUGH:
        assert got == pytest.approx(wanted, rel=0.05)
    else:
        assert got == 0


@given(times)
def test_a_mean_is_within_five_percent(seconds: list[float]) -> None:
    wanted = sum(seconds) / len(seconds)
    assert mean(counted(seconds)) == pytest.approx(wanted, rel=0.05, abs=LONG_ENOUGH)


@given(times, times, st.floats(0.1, 99.9))
def test_histograms_of_two_processes_add_up(
    one: list[float], other: list[float], percent: float
) -> None:
    both = counted(one) + counted(other)
    assert percentile(both, percent) == percentile(counted([*one, *other]), percent)


def test_nothing_has_no_percentile() -> None:
    assert percentile({}, 95) is None
    assert percentile({3: 0}, 95) is None
    assert mean({}) == 0


def test_what_is_longer_than_the_last_edge_is_told_as_the_last_edge() -> None:
    assert percentile(counted([1000.0]), 50) == EDGES[-1] == BOUNDS[-1]


def test_the_bounds_of_a_scrape_are_edges() -> None:
    """Else the coarse counts could not be exact."""
    assert set(BOUNDS) <= set(EDGES)
    assert list(EDGES) == sorted(set(EDGES))


@given(st.lists(st.floats(0, 400), max_size=100))
def test_coarse_counts_are_exact(seconds: list[float]) -> None:
    fine = [0] * (len(EDGES) + 1)
    for one in seconds:
        fine[bisect_left(EDGES, one)] += 1
    wanted = Counter(bisect_left(BOUNDS, one) for one in seconds)
    assert coarse(fine) == tuple(wanted[index] for index in range(len(BOUNDS) + 1))


def test_only_what_was_added_is_told() -> None:
    assert sparse([1, 2, 0, 5], [1, 0, 0, 4]) == ((1, 2), (3, 1))
