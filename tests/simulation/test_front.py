"""Those that no other beats in both numbers."""

from hypothesis import given
from hypothesis import strategies as st

from simulation.front import front, thinned

POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers()), max_size=30)


@given(POINTS)
def test_nobody_on_it_is_beaten_and_all_others_are(points: list[tuple[int, int, int]]) -> None:
    found = front(points)
    for cost, wait, _ in points:
        is_on = any(cost == c and wait == w for c, w, _ in found)
        is_beaten = any((c <= cost and w <= wait) and (c, w) != (cost, wait) for c, w, _ in points)
        assert is_on != is_beaten
    assert len({point[:2] for point in found}) == len(found)


def test_of_equals_the_first_one_stays() -> None:
    assert front([(1, 1, "a"), (1, 1, "b")]) == [(1, 1, "a")]


def test_a_long_one_is_thinned_with_both_ends() -> None:
    assert thinned(list(range(100)), 4) == [0, 33, 66, 99]
    assert thinned([1, 2], 4) == [1, 2]
