"""Shares of CPU and memory, and replicas of which none is known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.consumption import EVERY, WINDOW, Consumption, reckoned, usage_gauge
from autoscaler.gauges import Gauge, believed
from autoscaler.rules import Means, wishes
from cluster.model import Usage
from config.rules import CpuRule, MemoryRule
from config.service import Resources

CPU = CpuRule(metric="cpu", target=0.5)
MIB = 1024**2


def sampled(*samples: tuple[float, float]) -> Consumption:
    """Of one instance: when, and how many seconds of CPU it had used."""
    seen = Consumption()
    for now, seconds in samples:
        seen.record({"a": Usage(seconds, MIB)}, now)
    return seen


def wish(gauge: Gauge, target: float, desired: int = 9) -> int:
    rule = CpuRule(metric="cpu", target=target)
    (found,) = wishes([rule], Means(60.0), {rule: gauge}, desired)
    assert found.reason
    return found.replicas


@pytest.mark.parametrize(
    ("samples", "cores"),
    [
        ((), None),
        (((0, 7),), None),  # what it used before its first sample is nobody's load of now
        (((0, 7), (5, 9.5)), 0.5),
        (((0, 0), (5, 5), (10, 5), (15, 5)), 5 / 15),
        (((0, 0), (5, 50), (10, 50), (15, 50), (20, 50)), 0.0),  # out of the window
        (((0, 10), (5, 3)), None),  # a process ended without being waited for
        (((0, 10), (5, 3), (10, 5)), 0.4),
    ],
)
def test_cpu_is_a_mean_over_the_last_window(
    samples: tuple[tuple[float, float], ...], cores: float | None
) -> None:
    found = sampled(*samples).cores("a")
    assert found == (None if cores is None else pytest.approx(cores))


def test_whoever_was_not_ready_in_between_begins_anew() -> None:
    seen = sampled((0, 0), (5, 5))
    seen.record({}, 10)
    seen.record({"a": Usage(6, MIB)}, 15)
    assert seen.cores("a") is None
    assert seen.memory("a") == MIB
    assert seen.memory("b") is None


def test_a_share_is_of_what_the_replica_may_use() -> None:
    seen = sampled((0, 0), (5, 5))

    def value(rule: CpuRule | MemoryRule, **resources: float) -> float | None:
        return usage_gauge(rule, Resources.model_validate(resources), seen, ["a"], 0, 5.0).value

    assert value(CPU) == 1.0, "of one core"
    assert value(CPU, cpu=4) == 0.25
    assert value(MemoryRule(metric="memory"), memory=4 * MIB) == 0.25


def test_what_was_sampled_is_believed_for_two_turns() -> None:
    gauge = usage_gauge(CPU, Resources(), sampled((0, 0), (5, 5)), ["a"], 0, 5.0)
    assert believed(gauge, 5.0 + 2 * EVERY).value == 1.0
    assert believed(gauge, 6.0 + 2 * EVERY).value is None


@pytest.mark.parametrize(
    ("known", "blind", "replicas"),
    [
        # kubernetes replica_calculator_test.go, as shares at a target of 0.5:
        ((0.3, 0.5, 0.7), 0, 3),
        ((0.6, 0.6, 0.6), 0, 4),
        ((0.2, 0.2, 0.2), 0, 2),
        ((0.0, 0.0), 0, 0),  # zero is the idle ladder's: the decider makes it one
        # Up, with others on their way: they count as using nothing.
        ((1.0,), 1, 2),  # two are what 1.0 needs
        ((1.0,), 3, 4),  # … and more than those on their way would be needed for more
        ((1.0, 1.0), 1, 4),
        ((0.6,), 2, 3),  # up was said: it does not turn into down
        # Down: they count as full, so only those go that the known ones can spare.
        ((0.1, 0.1, 0.1), 2, 3),
        ((0.1,), 1, 2),
        ((0.5,), 1, 2),
    ],
)
def test_those_without_a_share_turn_no_way_round(
    known: tuple[float, ...], blind: int, replicas: int
) -> None:
    assert wish(reckoned(0.5, known, blind), 0.5) == replicas


def test_without_any_sample_what_is_desired_is_held() -> None:
    assert wish(reckoned(0.5, [], 3), 0.5, desired=7) == 7


@given(
    target=st.floats(0.01, 4),
    known=st.lists(st.floats(0, 8), min_size=1, max_size=20),
    blind=st.integers(0, 20),
)
def test_the_unknown_make_no_one_go_and_none_come(
    target: float, known: list[float], blind: int
) -> None:
    """Against what the known ones alone wish: never below those without a share on the way down,
    never above that wish on the way up but to keep what is there."""
    there, alone = len(known) + blind, wish(reckoned(target, known, 0), target)
    found = wish(reckoned(target, known, blind), target)
    assert found >= min(blind, there)
    assert found <= max(alone, there)
    if math.fsum(known) > target * len(known):
        assert found >= there
    else:
        assert found <= there
    assert WINDOW > EVERY
