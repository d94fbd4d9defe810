"""How scaling policies are judged, and what the default one has to hold."""

import pytest

from config.scaling import PolicyName
from loadtests.autoscaler.round import measured
from loadtests.autoscaler.shapes import SHAPES, Shape, at_random, constant
from loadtests.autoscaler.world import START, judged

POLICIES: tuple[PolicyName, ...] = ("tidegate", "kpa", "hpa", "ray")
every_policy = pytest.mark.parametrize("policy", POLICIES)


@every_policy
def test_a_constant_load_is_reached_once_and_never_left(policy: PolicyName) -> None:
    tally = judged(policy, SHAPES["constant"])
    assert (tally.numbers[-1], tally.turns, tally.over) == (8, 0, 0)


@pytest.mark.parametrize(("rate", "service"), [(40, 1.0), (400, 0.1), (75, 1.0), (8, 5.0)])
def test_the_default_never_oscillates_under_a_constant_load_of_random_requests(
    rate: float, service: float
) -> None:
    """Loads of 40 or 75 at a time; at 40 chance alone asks for four replicas or for five."""
    tally = judged("tidegate", Shape(at_random(rate, service, 3600, seed=2)))
    assert tally.turns == 0, tally.numbers
    assert max(tally.numbers) <= 9


def test_without_regard_for_chance_it_would_oscillate() -> None:
    assert judged("kpa", SHAPES["constant, at random"]).turns > 50


@every_policy
@pytest.mark.parametrize("shape", ["metrics gap", "clock jump"])
def test_what_is_not_known_changes_nothing(policy: PolicyName, shape: str) -> None:
    assert judged(policy, SHAPES[shape]).numbers == judged(policy, SHAPES["constant"]).numbers


@every_policy
def test_replicas_that_do_not_start_are_asked_for_only_once(policy: PolicyName) -> None:
    tally = judged(policy, SHAPES["start failures"])
    assert max(tally.numbers) == tally.numbers[-1] == 8
    assert tally.waiting == pytest.approx(SHAPES["start failures"].starts_work_at + START, abs=2)


@every_policy
def test_a_stuck_request_keeps_one_replica(policy: PolicyName) -> None:
    assert judged(policy, SHAPES["stuck request"]).numbers[-1] == 1


def test_replica_seconds_are_counted_against_the_ideal() -> None:
    shape = Shape(constant(40), seconds=600)
    tally = judged("tidegate", shape, min=6, max=6)
    assert (tally.numbers, tally.over) == ([6], 2 * 600)
    few = judged("tidegate", shape, min=3, max=3)
    assert few.under == pytest.approx(600 + 3 * START, abs=4)


def test_a_round_is_measured() -> None:
    cost = measured(20, 3)
    assert 0 < cost.round_ms <= cost.largest_ms
