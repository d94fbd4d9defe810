"""What answers mean: a value, no value, for how long, and what a rule makes of it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.gauges import Gauge, believed
from autoscaler.rules import Means, wishes
from autoscaler.standing import Reading, Standing, gauge_of, heard, reading_of
from config.rules import JsonRule

EVERY = 15.0


def rule(**changes: object) -> JsonRule:
    facts = {"metric": "json", "url": "http://a", "value": "n", "target": 10.0, **changes}
    return JsonRule.model_validate(facts)


def after(*values: float | None) -> Standing:
    standing = None
    for at, value in enumerate(values):
        reading = Reading(None, at, "away") if value is None else reading_of(value, at)
        standing = heard(standing, reading)
    assert standing is not None
    return standing


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_missing_and_not_zero(value: float) -> None:
    reading = reading_of(value, 1.0)
    assert (reading.value, reading.silent) == (None, True)
    assert reading.says == f"its value is {value:g}"


@pytest.mark.parametrize(
    ("values", "failing"),
    [((1.0,), 0), ((None,), 1), ((None, None), 2), ((None, 0.0), 0), ((None, 0.0, None), 1)],
)
def test_failures_in_a_row_are_counted(values: tuple[float | None, ...], failing: int) -> None:
    assert after(*values).failing == failing


@pytest.mark.parametrize(
    ("value", "activation", "active"),
    [(0.0, 0.0, False), (0.1, 0.0, True), (5.0, 5.0, False), (5.1, 5.0, True), (-1.0, 0.0, False)],
)
def test_more_than_its_activation_is_active(value: float, activation: float, active: bool) -> None:
    """KEDA: strictly more (research of kedacore/keda, scale_handler)."""
    gauge = gauge_of(after(value), rule(activation=activation), EVERY)
    assert (gauge.is_active, gauge.holds) == (active, False)


@pytest.mark.parametrize(
    ("failing", "fallback", "active", "holds"),
    [
        (1, None, False, True),
        (9, None, False, True),
        (2, 4, False, True),
        (3, 4, True, False),  # a number to fall back to is wished for, so it wakes
        (3, 0, False, False),  # nobody is needed: it may sleep
    ],
)
def test_a_source_without_a_value_holds_until_it_falls_back(
    failing: int, fallback: int | None, active: bool, holds: bool
) -> None:
    gauge = gauge_of(after(*[None] * failing), rule(fallback=fallback), EVERY)
    assert (gauge.value, gauge.failing) == (None, failing)
    assert (gauge.is_active, gauge.holds) == (active, holds)


def test_what_was_measured_too_long_ago_is_missing() -> None:
    """Two turns, the timeout and a second: somebody should have asked again by then."""
    gauge = gauge_of(after(5.0), rule(timeout=3.0), EVERY)
    assert believed(gauge, 33.9) == gauge
    stale = believed(gauge, 34.0)
    assert (stale.value, stale.is_active, stale.holds) == (None, False, True)
    assert stale.says == "nothing was measured lately"


@given(
    values=st.lists(st.none() | st.floats(), min_size=1),
    desired=st.integers(0, 50),
    fallback=st.none() | st.integers(0, 20),
    late=st.floats(0, 1000),
)
def test_missing_data_never_scales_down(
    values: list[float | None], desired: int, fallback: int | None, late: float
) -> None:
    """Whatever came before: without a value the wish is what there is, or the fallback."""
    one = rule(fallback=fallback)
    standing = after(*values)
    gauge: Gauge = believed(gauge_of(standing, one, EVERY), standing.reading.at + late)
    (wish,) = wishes([one], Means(60.0), {one: gauge}, desired)
    if gauge.value is not None:
        assert math.isfinite(gauge.value)
        assert 0 <= wish.replicas <= 1e9
    elif fallback is not None and gauge.failing >= one.failures:
        assert wish.replicas == fallback
    else:
        assert wish.replicas == desired
    assert wish.reason
