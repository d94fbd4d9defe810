"""Limits per period, from the formulas of horizontal.go; its functions are named in each table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.rates import Changes, highest, lowest
from config.scaling import Step, Way

HPA_UP = Way(policies=(Step(percent=100), Step(replicas=4)))
HPA_DOWN = Way(policies=(Step(percent=100),))


def way(select: str, *steps: Step) -> Way:
    return Way.model_validate({"policies": steps, "select": select})


def after(*changes: tuple[float, int], of: Way) -> Changes:
    """Changes at their times, as decisions tell them."""
    known = Changes(of)
    for at, change in changes:
        known.note(10, 10 + change, at)
    return known


@pytest.mark.parametrize(
    ("limits", "current", "allowed"),
    [
        # calculateScaleUpLimitWithScalingRules
        pytest.param(Way(), 7, None, id="no policy is no limit"),
        pytest.param(way("disabled"), 7, 7, id="DisabledPolicySelect: what there is"),
        pytest.param(way("disabled", Step(replicas=4)), 7, 7, id="disabled whatever the policies"),
        pytest.param(way("max", Step(replicas=4)), 7, 11, id="Pods: start + value"),
        pytest.param(way("max", Step(percent=50)), 7, 11, id="Percent: ceil(start x 1.5)"),
        pytest.param(way("max", Step(percent=10)), 1, 2, id="rounded up, so that 1 can grow"),
        pytest.param(way("max", Step(percent=10)), 50, 55, id="exact: floats say 56"),
        pytest.param(HPA_UP, 1, 5, id="the default at 1: 4 more"),
        pytest.param(HPA_UP, 9, 18, id="the default at 9: the double"),
        pytest.param(way("min", *HPA_UP.policies), 1, 2, id="Min at 1: the double"),
        pytest.param(way("min", *HPA_UP.policies), 9, 13, id="Min at 9: 4 more"),
    ],
)
def test_the_way_up(limits: Way, current: int, allowed: int | None) -> None:
    assert highest(limits, current, Changes(limits), 0.0) == allowed


@pytest.mark.parametrize(
    ("limits", "current", "allowed"),
    [
        # calculateScaleDownLimitWithBehaviors
        pytest.param(Way(), 7, None, id="no policy is no limit"),
        pytest.param(way("disabled", Step(replicas=4)), 7, 7, id="DisabledPolicySelect"),
        pytest.param(way("max", Step(replicas=4)), 7, 3, id="Pods: start - value"),
        pytest.param(way("max", Step(percent=50)), 7, 3, id="Percent: int(start x 0.5)"),
        pytest.param(way("max", Step(percent=10)), 5, 4, id="rounded down, so that it can shrink"),
        pytest.param(HPA_DOWN, 9, 0, id="the default: everything"),
        pytest.param(way("max", Step(percent=10), Step(replicas=4)), 80, 72, id="Max: the widest"),
        pytest.param(way("min", Step(percent=10), Step(replicas=4)), 80, 76, id="Min: narrowest"),
    ],
)
def test_the_way_down(limits: Way, current: int, allowed: int | None) -> None:
    assert lowest(limits, current, Changes(limits), 0.0) == allowed


@pytest.mark.parametrize(
    ("changes", "now", "current", "up", "down"),
    [
        # getReplicasChangePerPeriod: events after now - period; start = current - added + deleted
        pytest.param([(0.0, 4)], 14.9, 14, 14, 6, id="4 came: 10 at the start"),
        pytest.param([(0.0, 4)], 15.0, 14, 18, 10, id="they came before the period"),
        pytest.param([(0.0, -4)], 10.0, 6, 14, 6, id="4 went: 10 at the start"),
        pytest.param([(0.0, 4), (5.0, -4)], 10.0, 10, 14, 6, id="both cancel out"),
        pytest.param(
            [(0.0, 9)], 10.0, 19, 19, 6, id="more came than allowed: none more, none less"
        ),
        pytest.param([(0.0, -9)], 10.0, 1, 14, 1, id="more went than allowed: no more go"),
    ],
)
def test_limits_are_relative_to_the_start_of_the_period(
    changes: list[tuple[float, int]], now: float, current: int, up: int, down: int
) -> None:
    limits = way("max", Step(replicas=4, period=15.0))
    known = after(*changes, of=limits)
    assert highest(limits, current, known, now) == up
    assert lowest(limits, current, known, now) == down


def test_each_policy_has_its_own_period() -> None:
    limits = way("min", Step(replicas=4, period=15.0), Step(replicas=6, period=60.0))
    known = after((0.0, 4), of=limits)
    assert highest(limits, 14, known, 20.0) == 16
    assert highest(limits, 14, known, 60.0) == 18


def test_changes_are_kept_no_longer_than_the_longest_period() -> None:
    limits = way("max", Step(replicas=4, period=15.0), Step(replicas=9, period=60.0))
    known = after(*((float(at), 1) for at in range(1000)), of=limits)
    assert len(known._changes) == 60
    none = after(*((float(at), 1) for at in range(1000)), of=Way())
    assert len(none._changes) == 0


steps = st.builds(
    lambda kind, value, period: Step.model_validate({kind: value, "period": period}),
    st.sampled_from(["percent", "replicas"]),
    st.integers(1, 300),
    st.integers(1, 600).map(lambda seconds: f"{seconds}s"),
)
ways = st.builds(
    lambda policies, select: way(select, *policies),
    st.lists(steps, max_size=3),
    st.sampled_from(["max", "min", "disabled"]),
)
walks = st.lists(st.tuples(st.floats(0, 30), st.integers(-9, 9)), max_size=20)


@given(ways, walks, st.integers(0, 500))
def test_no_limit_ever_forces_a_change(limits: Way, walk: list[tuple[float, int]], n: int) -> None:
    known, now = Changes(limits), 0.0
    for pause, change in walk:
        now += pause
        known.note(n, n + change, now)
    up, down = highest(limits, n, known, now), lowest(limits, n, known, now)
    assert up is None or up >= n
    assert down is None or down <= n
