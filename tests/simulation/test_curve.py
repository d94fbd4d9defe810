"""Millions of waits as a few hundred points, the longest one by one."""

from hypothesis import given
from hypothesis import strategies as st

from simulation.curve import longer_than


@given(st.lists(st.floats(0.001, 100), max_size=400), st.integers(0, 400))
def test_each_point_is_true(waits: list[float], at_once: int) -> None:
    requests = len(waits) + at_once
    curve = longer_than(waits, requests)
    for seconds, share in curve:
        ranks = [sum(w > seconds for w in waits), sum(w >= seconds for w in waits)]
        assert ranks[0] < round(share * requests) <= ranks[1]
    assert [seconds for seconds, _ in curve] == sorted(seconds for seconds, _ in curve)


def test_many_waits_are_few_points_with_both_ends() -> None:
    curve = longer_than([float(number) for number in range(1, 100_001)], 200_000)
    assert len(curve) <= 260
    assert curve[0] == (1.0, 0.5)
    assert curve[-1] == (100_000.0, 1 / 200_000)


def test_nobody_waited() -> None:
    assert longer_than([], 10) == ()
