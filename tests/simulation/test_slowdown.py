"""How much longer requests take together: points, and the lines between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.slowdown import Measured, slowdown


@pytest.mark.parametrize(
    ("at_once", "times"),
    [(1, 1.0), (2, 1.5), (4, 2.5), (8, 4.0), (3, 2.0), (6, 3.25), (12, 5.5)],
)
def test_straight_lines_between_points_and_on_beyond_the_last(at_once: int, times: float) -> None:
    assert slowdown("1:1, 2:1.5, 4:2.5, 8:4")(at_once) == pytest.approx(times)


def test_before_the_first_point_it_is_as_there() -> None:
    assert slowdown("4:2, 8:4")(1) == 2.0
    assert slowdown("1:3")(50) == 3.0


@given(
    st.dictionaries(st.integers(1, 50), st.floats(0.1, 9), min_size=1, max_size=5),
    st.integers(1, 200),
)
def test_beyond_the_last_point_it_never_gets_faster(points: dict[int, float], at_once: int) -> None:
    measured = Measured(tuple(sorted((float(n), times) for n, times in points.items())))
    last = max(points)
    assert measured(last + at_once) >= min(points.values()) - 1e-9
    assert measured(last + 200) >= measured(last + at_once) - 1e-9 or len(points) == 1


@pytest.mark.parametrize("text", ["", "1", "1:x", "x:1", "0:1", "1:0", "1:1, 1:2", "1:inf", "1:-2"])
def test_what_is_no_table_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"NUMBER:TIMES|twice"):
        slowdown(text)
