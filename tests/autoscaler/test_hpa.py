"""HPA's decisions with KEDA's zero, row by row from their sources.

kubernetes pkg/controller/podautoscaler: horizontal.go, replica_calculator.go (external metric with
an average per replica); pkg/apis/autoscaling/v2/defaults.go; algorithms of KEDA's scale executor.
"""

import pytest

from autoscaler.decision import Counts, Observation
from autoscaler.hpa import COOLDOWN, STABILIZATION, Hpa
from autoscaler.policy import Policy
from autoscaler.rules import Means
from config.scaling import Scaling
from tests.support.scaling_facts import report


def rules(**changes: object) -> Scaling:
    return Scaling.model_validate(
        {
            "policy": "hpa",
            "max": 100_000,
            "rules": [{"metric": "concurrency", "target": 10}],
            **changes,
        }
    )


def seen(load: float, current: int, status: int | None = None, rps: float = 0.0) -> Observation:
    """`current` as in the spec, `status` as counted; the load is that of the moment."""
    present = current if status is None else status
    return Observation(
        stable=Means(60.0, 999.0, rps), panic=Means(1.0, load, 999.0),
        counts=Counts(ready=present), desired=current,
    )  # fmt: skip


# behavior: {scaleDown: {stabilizationWindowSeconds: 0}}, so that a row shows one thing
AT_ONCE = {"down_delay": "0s"}


@pytest.mark.parametrize(
    ("changes", "facts", "replicas"),
    [
        # GetExternalPerPodMetricReplicas: keep within tolerance, else ceil(total / target)
        pytest.param({}, seen(100, 10), 10, id="ratio 1: keep"),
        pytest.param({}, seen(110, 10), 10, id="ratio 1.1: within tolerance, keep"),
        pytest.param({}, seen(110.1, 10), 12, id="ratio 1.101: ceil(110.1 / 10)"),
        pytest.param(AT_ONCE, seen(90, 10), 10, id="ratio 0.9: within tolerance, keep"),
        pytest.param(AT_ONCE, seen(89.9, 10), 9, id="ratio 0.899: ceil(89.9 / 10)"),
        pytest.param({}, seen(100, 20, status=10), 10 + 10, id="stabilized: spec 20, status 10"),
        pytest.param(AT_ONCE, seen(100, 20, status=10), 10, id="kept is what the status counts"),
        pytest.param(AT_ONCE, seen(0, 10), 1, id="idle: never below 1"),
        pytest.param({}, seen(30, 2, status=0), 3, id="no replica yet: ceil(30 / 10)"),
        # isWithin, tolerances by direction
        pytest.param({"tolerance": "0%"}, seen(100.1, 10), 11, id="no tolerance"),
        pytest.param({"up": {"tolerance": "50%"}}, seen(149, 10), 10, id="scaleUp.tolerance"),
        pytest.param({**AT_ONCE, "up": {"tolerance": "50%"}}, seen(89, 10), 9, id="…not down"),
        pytest.param(
            {"down_delay": "0s", "down": {"tolerance": "50%"}}, seen(51, 10), 10,
            id="scaleDown.tolerance",
        ),
        # defaults.go: up Max(4 Pods, 100 Percent) in 15 s, down 100 Percent in 15 s
        pytest.param({}, seen(1000, 1), 5, id="up from 1: 4 more"),
        pytest.param({}, seen(1000, 10), 20, id="up from 10: the double"),
        pytest.param(AT_ONCE, seen(10, 100), 1, id="down: everything"),
        # calculateScale…Limit…: policies of the file, selectPolicy
        pytest.param({"up": {"policies": [{"replicas": 2}]}}, seen(1000, 10), 12, id="+2"),
        pytest.param({"up": {"select": "min"}}, seen(1000, 10), 14, id="Min of the default ones"),
        pytest.param({"up": {"select": "disabled"}}, seen(1000, 10), 10, id="up disabled"),
        pytest.param({**AT_ONCE, "down": {"select": "disabled"}}, seen(0, 10), 10, id="no down"),
        pytest.param(
            {**AT_ONCE, "down": {"policies": [{"percent": 10}]}}, seen(0, 10), 9, id="-10 %"
        ),
        # convertDesiredReplicasWithBehaviorRate: maxReplicas, minReplicas
        pytest.param({"max": 12}, seen(1000, 10), 12, id="maxReplicas"),
        pytest.param({**AT_ONCE, "min": 3}, seen(0, 10), 3, id="minReplicas"),
        # reconcileAutoscaler: out of bounds is put right at once, without rates
        pytest.param({"max": 5}, seen(100, 10), 5, id="above maxReplicas"),
        pytest.param({"min": 50}, seen(100, 10), 50, id="below minReplicas"),
        # computeReplicasForMetrics: the largest proposal; invalid metrics allow only up
        pytest.param(
            {**AT_ONCE, "rules": [{"metric": "concurrency", "target": 10}, {"metric": "cpu"}]},
            seen(10, 10), 10, id="one metric fails: not down",
        ),
        pytest.param(
            {**AT_ONCE, "rules": [{"metric": "concurrency", "target": 10}, {"metric": "cpu"}]},
            seen(150, 10), 15, id="one metric fails: up all the same",
        ),
        pytest.param({**AT_ONCE, "rules": [{"metric": "cpu"}]}, seen(0, 7), 7, id="all fail: keep"),
        # the request rate of KEDA's HTTP add-on: 1 m, in buckets of 1 s
        pytest.param(
            {"rules": [{"metric": "rps", "target": 100}]}, seen(0, 10, rps=1950), 20,
            id="rps is that of the long window",
        ),
    ],
)  # fmt: skip
def test_one_decision(changes: dict[str, object], facts: Observation, replicas: int) -> None:
    hpa = Hpa(rules(**changes))
    assert hpa.decide(facts, 0.0).replicas == replicas


def test_down_needs_all_recommendations_of_five_minutes() -> None:
    """stabilizeRecommendationWithBehaviors."""
    hpa = Hpa(rules())
    assert hpa.decide(seen(100, 10), 0.0).replicas == 10
    assert hpa.decide(seen(50, 10), 15.0).replicas == 10
    held = hpa.decide(seen(10, 10), STABILIZATION - 0.1)
    assert (held.replicas, held.limits[-1].limit) == (10, "stabilization")
    assert hpa.decide(seen(10, 10), STABILIZATION).replicas == 5
    assert hpa.decide(seen(10, 5), STABILIZATION + 15.0).replicas == 1


def test_stabilization_never_scales_up() -> None:
    """recommendation = currentReplicas, only then brought within the limits."""
    hpa = Hpa(rules())
    hpa.decide(seen(1000, 10), 0.0)
    assert hpa.decide(seen(10, 20), 15.0).replicas == 20


def test_what_was_added_counts_for_its_period() -> None:
    """storeScaleEvent, getReplicasChangePerPeriod."""
    hpa = Hpa(rules())
    assert hpa.decide(seen(1000, 10), 0.0).replicas == 20
    assert hpa.decide(seen(1000, 20), 14.9).replicas == 20
    assert hpa.decide(seen(1000, 20), 15.0).replicas == 40


def test_after_a_restart_what_there_is_is_the_first_recommendation() -> None:
    """recordInitialRecommendation."""
    hpa = Hpa(rules())
    hpa.hold(8, "adopted", "found running", 100.0)
    assert hpa.decide(seen(0, 8), 399.9).replicas == 8
    assert hpa.decide(seen(0, 8), 400.0).replicas == 1


def test_it_looks_every_fifteen_seconds() -> None:
    assert [Hpa(rules()).next_look(now) for now in (0.0, 14.9, 15.0)] == [15.0, 15.0, 30.0]


@pytest.mark.parametrize(
    ("changes", "cooldown"),
    [
        ({}, COOLDOWN),
        ({"idle": {"stop_after": "5s"}}, COOLDOWN),
        ({"min": 1}, None),
        ({"idle": {"stop_after": None}}, None),
    ],
)
def test_zero_is_kedas_and_comes_a_cooldown_after_the_last_activity(
    changes: dict[str, object], cooldown: float | None
) -> None:
    """scale_executor: minReplicaCount 0, no trigger active, LastActiveTime + cooldownPeriod."""
    assert Hpa(rules(**changes)).stop_after == cooldown
    policy = Policy(rules(**changes))
    policy.wake(Counts(), 0.0)
    policy.record(report(1.5, 80, in_flight=0, requests=9))
    look, changed = policy.next_look(1.5), []
    while look < 2000.0:
        before = policy.replicas
        decision = policy.decide(Counts(ready=before), look)
        if decision.replicas != before:
            changed.append((look, decision.replicas, decision.reason))
        look = policy.next_look(look)
    zero = (301.5, 0, "no request for 5m (policy hpa)")
    assert changed == ([zero] if cooldown else [])


def test_the_load_of_the_last_second_counts() -> None:
    """The interceptor of KEDA's HTTP add-on tells the number of the moment."""
    policy = Policy(rules())
    for second in range(1, 61):
        policy.record(report(float(second), 10.0 if second < 60 else 50.0))
    wishes = policy.decide(Counts(ready=1), 60.0).wishes
    assert [(wish.window, wish.measured, wish.replicas) for wish in wishes] == [(1.0, 50.0, 5)]
