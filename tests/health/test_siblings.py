"""Who does clearly worse than its siblings, and that what all do alike is nobody's fault."""

from bisect import bisect_left
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.buckets import EDGES
from cluster.messages import Served
from config.service import Outliers
from health.siblings import Comparison, Sum, failing, fails_more, is_slow, slow, usual_time

LIMITS = Outliers(error_rate=0.5, slow=5.0, min_requests=20, window=10.0)
NAMES = ("a", "b", "c", "d", "e")


def bucket(seconds: float) -> int:
    return bisect_left(EDGES, seconds)


def did(requests: int = 100, failures: int = 0, seconds: float = 0.1) -> Sum:
    return Sum(requests, failures, Counter({bucket(seconds): requests - failures}))


def told(name: str, answers: int = 100, failures: int = 0, seconds: float = 0.1) -> Served:
    return Served(name, answers, failures, ((bucket(seconds), answers),) if answers else ())


def failed(*rates: tuple[int, int], limits: Outliers = LIMITS) -> list[str]:
    """The names of those that fail too often, given failures and requests of each."""
    sums = {name: did(of, bad) for name, (bad, of) in zip(NAMES, rates, strict=False)}
    return sorted(deviation.replica for deviation in failing(sums, limits))


def slowest(*seconds: float, limits: Outliers = LIMITS, requests: int = 100) -> list[str]:
    sums = {name: did(requests, seconds=each) for name, each in zip(NAMES, seconds, strict=False)}
    return sorted(deviation.replica for deviation in slow(sums, sums.keys(), limits))


# Failures


@pytest.mark.parametrize(
    ("rates", "names"),
    [
        (((50, 100), (0, 100), (0, 100)), ["a"]),
        (((50, 100), (0, 100)), ["a"]),  # two are enough
        (((49, 100), (0, 100), (0, 100)), []),  # below error_rate
        (((100, 100),), []),  # nobody to compare with
        (((50, 100), (50, 100), (50, 100)), []),  # a dependency, or deliberate
        (((60, 100), (50, 100), (55, 100)), []),  # chance
        (((100, 100), (50, 100), (50, 100)), ["a"]),  # all fail, but it far more
        (((90, 100), (90, 100), (0, 100)), ["a", "b"]),  # half of the siblings do better
        (((90, 100), (90, 100), (90, 100), (0, 100)), []),  # most do it: who knows
        (((19, 19), (0, 100), (0, 100)), []),  # too little seen of it
        (((20, 20), (0, 19), (0, 19)), []),  # too little seen of its siblings
        (((20, 20), (0, 20), (0, 3)), ["a"]),
        (((0, 0), (0, 0)), []),
    ],
)
def test_who_fails_too_often(rates: tuple[tuple[int, int], ...], names: list[str]) -> None:
    assert failed(*rates) == names


def test_without_error_rate_no_share_of_failures_is_too_large() -> None:
    assert failed((100, 100), (0, 100), limits=Outliers(slow=5.0)) == []


@given(bad=st.integers(0, 300), of=st.integers(20, 300), count=st.integers(1, 5))
def test_none_stands_out_where_all_fail_alike(bad: int, of: int, count: int) -> None:
    assert failed(*[(min(bad, of), of)] * count) == []


@given(rates=st.lists(st.tuples(st.integers(0, 200), st.integers(1, 200)), max_size=5))
def test_those_that_fail_most_and_those_that_fail_least_are_never_all(
    rates: list[tuple[int, int]],
) -> None:
    """There is always one that is no worse than the others."""
    assert len(failed(*[(min(bad, of), of) for bad, of in rates])) < max(1, len(rates))


@given(
    bad=st.integers(0, 100),
    others=st.lists(st.tuples(st.integers(0, 100), st.integers(20, 100)), min_size=1, max_size=4),
    more=st.integers(0, 100),
)
def test_who_stands_out_does_so_all_the_more_with_more_failures(
    bad: int, others: list[tuple[int, int]], more: int
) -> None:
    siblings = [(min(each, of), of) for each, of in others]
    if "a" in failed((bad, 100), *siblings):
        assert "a" in failed((min(100, bad + more), 100), *siblings)


@given(bad=st.integers(0, 60), of=st.integers(1, 60), other=st.integers(0, 60))
def test_the_difference_of_two_has_one_direction(bad: int, of: int, other: int) -> None:
    one, two = did(of, min(bad, of)), did(of, min(other, of))
    assert not (fails_more(one, two) and fails_more(two, one))


# Times


@pytest.mark.parametrize(
    ("seconds", "names"),
    [
        ((1.0, 0.1, 0.1), ["a"]),
        ((0.45, 0.1, 0.1), []),  # under five times
        ((0.04, 0.001, 0.001), []),  # forty times, and nobody feels it
        ((0.09, 0.001, 0.001), ["a"]),
        ((10.0, 0.1), []),  # with one sibling nobody knows the usual time
        ((10.0,), []),
        ((1.0, 1.0, 1.0), []),  # what all share
        ((1.0, 1.0, 0.1), []),  # most are slow: it may be the usual time
        ((1.0, 1.0, 0.1, 0.1, 0.1), ["a", "b"]),
        ((1.0, 1.0, 1.0, 0.1, 0.1), []),
        ((300.0, 0.0, 0.0, 0.0), ["a"]),
        ((), []),
    ],
)
def test_who_is_slow(seconds: tuple[float, ...], names: list[str]) -> None:
    assert slowest(*seconds) == names


def test_with_few_times_none_is_slow_and_none_judges() -> None:
    assert slowest(9.0, 0.1, 0.1, requests=19) == []
    sums = {"a": did(seconds=9.0), "b": did(), "c": did(19)}
    assert slow(sums, sums.keys(), LIMITS) == []


def test_without_slow_no_time_is_too_long() -> None:
    assert slowest(300.0, 0.1, 0.1, limits=Outliers(error_rate=0.5)) == []


def test_one_that_is_still_warming_is_not_slow_but_judges() -> None:
    sums = {"a": did(seconds=9.0), "b": did(seconds=9.0), "c": did(), "d": did(), "e": did()}
    assert [one.replica for one in slow(sums, {"b", "c", "d", "e"}, LIMITS)] == ["b"]


def test_a_few_very_slow_requests_are_no_slow_replica() -> None:
    mixed = Sum(100, 0, Counter({bucket(0.1): 60, bucket(60.0): 40}))
    sums = {"a": mixed, "b": did(), "c": did()}
    assert slow(sums, sums.keys(), LIMITS) == []


@given(seconds=st.floats(0, 300), count=st.integers(1, 5), times=st.floats(1.5, 100))
def test_none_is_slow_where_all_are_equally_slow(seconds: float, count: int, times: float) -> None:
    assert slowest(*[seconds] * count, limits=Outliers(slow=times)) == []


@given(
    seconds=st.lists(st.floats(0, 300), max_size=5),
    times=st.floats(1.5, 20),
    requests=st.integers(0, 60),
)
def test_at_most_half_are_slow_whatever_they_take(
    seconds: list[float], times: float, requests: int
) -> None:
    """So the last is never among them."""
    found = slowest(*seconds, limits=Outliers(slow=times), requests=requests)
    assert len(found) * 2 <= len(seconds)
    assert not found or len(seconds) > 2


@given(
    own=st.floats(0, 300),
    more=st.floats(1, 10),
    others=st.lists(st.floats(0, 300), min_size=2, max_size=4),
)
def test_who_is_slow_is_so_all_the_more_when_it_takes_longer(
    own: float, more: float, others: list[float]
) -> None:
    if "a" in slowest(own, *others):
        assert "a" in slowest(own * more, *others)


@given(
    own=st.floats(0, 300), others=st.lists(st.floats(0, 300), min_size=2, max_size=4),
    faster=st.floats(0, 1), which=st.integers(0, 3),
)  # fmt: skip
def test_and_when_a_sibling_takes_less(
    own: float, others: list[float], faster: float, which: int
) -> None:
    if "a" in slowest(own, *others):
        others[which % len(others)] *= faster
        assert "a" in slowest(own, *others)


@pytest.mark.parametrize(
    ("siblings", "usual"),
    [([], None), ([1.0], None), ([1.0, 2.0], 2.0), ([3.0, 1.0, 2.0], 2.0), ([1, 1, 9, 9], 9)],
)
def test_the_usual_time_is_what_at_least_half_keep_to(
    siblings: list[float], usual: float | None
) -> None:
    assert usual_time(siblings) == usual


def test_slow_takes_both_the_factor_and_the_floor() -> None:
    assert is_slow(0.2, 0.03, 5.0)
    assert not is_slow(0.15, 0.03, 5.0)
    assert not is_slow(0.049, 0.0, 5.0)
    assert is_slow(0.05, 0.0, 5.0)


# The window


def worst(comparison: Comparison, now: float, limits: Outliers = LIMITS) -> str | None:
    found = comparison.worst(NAMES, NAMES, limits, now)
    return None if found is None else found.replica


def test_reports_of_all_gateways_add_up() -> None:
    comparison = Comparison()
    for _ in range(4):
        comparison.record([told("a", 2, 3), told("b", 5), told("c", 5)], 1.0)
    assert worst(comparison, 1.0) == "a"


def test_what_was_before_the_window_does_not_count() -> None:
    comparison = Comparison()
    comparison.record([told("a", failures=100), told("b"), told("c")], 1.0)
    assert worst(comparison, 10.9) == "a"
    assert worst(comparison, 11.0) is None
    assert comparison.is_empty


def test_the_worst_goes_first_and_failing_is_compared_with_slow() -> None:
    comparison = Comparison()
    comparison.record([told("a", 40, 60), told("b", seconds=10.0), *map(told, "cde")], 1.0)
    assert worst(comparison, 1.0) == "b"
    comparison.forget("b")
    assert worst(comparison, 1.0) == "a"


def test_only_those_that_serve_are_compared() -> None:
    comparison = Comparison()
    comparison.record([told("a", failures=100), told("b"), told("c")], 1.0)
    assert comparison.worst({"b", "c"}, NAMES, LIMITS, 1.0) is None


def test_nothing_is_kept_of_those_that_are_gone() -> None:
    comparison = Comparison()
    comparison.record([told("a"), told("b")], 1.0)
    comparison.keep({"b"})
    comparison.forget("b")
    assert comparison.is_empty


def test_why_has_the_numbers() -> None:
    comparison = Comparison()
    comparison.record([told("a", 4, 16), told("b", 30), told("c", 27, 3)], 1.0)
    found = comparison.worst(NAMES, NAMES, LIMITS, 1.0)
    assert found is not None
    assert found.why == "16 of its 20 requests failed, 3 of 60 of its siblings'"
    comparison = Comparison()
    comparison.record([told("a", seconds=2.5), told("b", seconds=0.1), told("c")], 1.0)
    found = comparison.worst(NAMES, NAMES, LIMITS, 1.0)
    assert found is not None
    assert found.why == (
        "its answers begin after 2.39 s (median), those of its siblings after 95.8 ms"
    )
