"""The latency objective, look by look; how it does with replicas is in test_objective_simulated."""

from bisect import bisect_left
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.learned import Learned
from autoscaler.objective import Objective
from autoscaler.sight import Counted, Sight
from cluster.buckets import EDGES
from config.rules import LatencyRule

RULE = LatencyRule(metric="latency", percentile=95.0, target=0.3)


def answered(took: float, number: int = 200, seconds: float = 20.0) -> Counted:
    return Counted(Counter({bisect_left(EDGES, took): number}), seconds)


def seen(took: float, *, ready: int = 2, number: int = 200, rate: float = 100.0) -> Sight:
    return Sight(
        ready,
        ready,
        demand=rate,
        load=rate,
        rate=rate,
        concurrency=rate * took,
        fast=answered(took, number, 6.0),
        slow=answered(took, number),
        grown_over=12.0,
    )


def looks(objective: Objective, sight: Sight, *, start: float = 0.0, number: int = 3) -> int | None:
    """So many looks two seconds apart; the last wish."""
    gauges = [objective.look(sight, start + 2.0 * look) for look in range(number)]
    return gauges[-1].wish


def test_no_load_wishes_nothing() -> None:
    gauge = Objective(RULE).look(Sight(3, 3), 0.0)
    assert (gauge.value, gauge.wish) == (0.0, 0)


def test_few_answers_have_no_value_so_that_the_number_is_held() -> None:
    gauge = Objective(RULE).look(seen(5.0, number=39), 0.0)
    assert gauge.value is None
    assert gauge.says == "39 of 40 answers to judge by"


def test_a_high_percentile_takes_more_answers() -> None:
    rare = LatencyRule(metric="latency", percentile=99.0, target=0.3)
    assert Objective(rare).look(seen(5.0, number=199), 0.0).value is None
    assert Objective(rare).look(seen(5.0, number=200), 0.0).value is not None


def test_one_look_beyond_the_target_changes_nothing() -> None:
    objective = Objective(RULE)
    assert looks(objective, seen(0.9), number=1) == 2
    assert looks(objective, seen(0.9), start=2.0, number=1) == 3


def test_it_is_cautious_until_it_knows_that_replicas_help() -> None:
    assert looks(Objective(RULE), seen(3.0, ready=8)) == 10


def test_what_helps_in_proportion_is_believed() -> None:
    """Half of the load each, half of the latency: as many as the target takes."""
    objective = Objective(RULE)
    assert looks(objective, seen(4.8, ready=1)) == 2
    assert looks(objective, seen(2.4, ready=2), start=10.0) == 4
    assert looks(objective, seen(1.2, ready=4), start=20.0) == 8
    assert looks(objective, seen(0.4, ready=8), start=30.0) in (10, 11)


def test_what_does_not_help_is_taken_back_and_said() -> None:
    objective = Objective(RULE)
    looks(objective, seen(0.6, ready=1))
    assert looks(objective, seen(0.6, ready=2), start=10.0) == 1
    says = objective.look(seen(0.6, ready=1), 30.0).says
    assert says.startswith("does not follow the number of replicas: ")


def test_it_is_tried_again_only_after_a_while() -> None:
    objective = Objective(RULE)
    looks(objective, seen(0.6, ready=1))
    looks(objective, seen(0.6, ready=2), start=10.0)
    assert looks(objective, seen(0.6, ready=1), start=20.0, number=100) == 1
    assert looks(objective, seen(0.6, ready=1), start=320.0, number=10) == 2
    looks(objective, seen(0.6, ready=2), start=350.0)
    assert looks(objective, seen(0.6, ready=1), start=360.0, number=250) == 1


def test_it_waits_for_the_replicas_it_asked_for() -> None:
    objective = Objective(RULE)
    assert looks(objective, seen(3.0, ready=4), number=50) == 5


def test_what_is_caught_up_with_is_no_evidence() -> None:
    """Old requests are still being answered: they say nothing about the new replicas."""
    catching_up = replace(seen(9.0), growth=-30.0, may_catch_up=True)
    objective = Objective(RULE)
    assert looks(objective, catching_up, number=20) == 2
    assert objective.learned == Learned()


def test_known_load_is_met_at_once() -> None:
    """60 a second at most are borne: 400 take 7, before any latency has told so."""
    objective = Objective(RULE, Learned(60.0, 90.0, 0.05))
    assert looks(objective, seen(0.1, number=10, rate=400.0), number=1) == 7


def test_a_new_revision_is_learned_anew() -> None:
    objective = Objective(RULE, Learned(60.0, 90.0, 0.05))
    objective.relearn()
    assert objective.learned == Learned()
    assert objective.look(seen(0.1, number=10, rate=400.0), 0.0).value is None


def test_the_reason_tells_load_and_what_a_replica_bears() -> None:
    """Little's law: 100 a second of 50 ms are 5 at once."""
    objective = Objective(RULE, Learned(60.0, 90.0, 0.05))
    says = objective.look(seen(0.1), 0.0).says
    assert "of 300ms at 2 ready, load 5 at 3 learned per replica asks for 2" in says


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 20.0),  # latency
            st.integers(0, 500),  # answers
            st.floats(0.0, 500.0),  # rate
            st.integers(0, 20),  # ready
            st.floats(-50.0, 50.0),  # growth
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_whatever_it_sees_it_has_a_wish_and_a_reason(
    views: list[tuple[float, int, float, int, float, bool]],
) -> None:
    objective, most = Objective(RULE), 0
    for index, (took, number, rate, ready, growth, rising) in enumerate(views):
        sight = replace(
            seen(took, ready=ready, number=number, rate=rate),
            growth=growth,
            is_rising=rising,
            may_catch_up=True,
        )
        gauge = objective.look(sight, 2.0 * index)
        most = max(most, ready)
        assert gauge.says
        if sight.is_idle:
            assert gauge.wish == 0
        elif gauge.value is not None:
            assert gauge.wish is not None
            assert gauge.wish >= 1
            assert objective.learned.good < objective.learned.bad


@pytest.mark.parametrize("rate", [1.0, 50.0, 1000.0])
def test_steady_and_within_it_stays(rate: float) -> None:
    objective = Objective(RULE, Learned(rate / 2, rate / 2 * 1.04, 0.05))
    assert looks(objective, seen(0.1, rate=rate), number=100) == 2
