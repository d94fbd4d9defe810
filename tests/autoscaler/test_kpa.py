"""Knative's decisions, row by row from its sources (knative/serving 98e5ef9).

Rows of pkg/autoscaler/scaling/autoscaler_test.go carry the name of the test there; its spec is a
target per row, MaxScaleUpRate 10, MaxScaleDownRate 10, PanicThreshold 2, a stable window of 60 s.
"""

import pytest

from autoscaler.decision import Counts, Decision, Observation
from autoscaler.kpa import GRACE, Kpa
from autoscaler.policy import Policy
from cluster.model import Mode
from config.scaling import Scaling
from tests.support.scaling_facts import report, seen

STABLE, PANIC, IDLE = Mode.STABLE, Mode.PANIC, Mode.IDLE


def rules(target: object = 10, **changes: object) -> Scaling:
    return Scaling.model_validate(
        {
            "policy": "kpa",
            "max": 100_000,
            "max_up_rate": 10,
            "max_down_rate": 10,
            "rules": [{"metric": "concurrency", "target": target}],
            **changes,
        }
    )


def decided(facts: Observation, target: float = 10, **changes: object) -> Decision:
    """The first decision, of a service that has been active for long."""
    return Kpa(rules(target, **changes)).decide(facts, 1000.0)


@pytest.mark.parametrize(
    ("target", "changes", "facts", "replicas", "mode"),
    [
        pytest.param(
            10, {}, seen(50, 10), 5, STABLE, id="TestAutoscalerStableModeIncreaseWithConcurrency"
        ),
        pytest.param(10, {}, seen(100, 10), 10, STABLE, id="…and the second step"),
        pytest.param(10, {}, seen(100, 100, ready=8), 10, STABLE, id="StableModeDecrease, before"),
        pytest.param(10, {}, seen(50, 50, ready=8), 5, STABLE, id="StableModeDecrease"),
        pytest.param(10, {}, seen(50, 50), 5, PANIC, id="AutoscalerStableModeNoChange"),
        pytest.param(10, {}, seen(50, 50, ready=5), 5, STABLE, id="…NoChangeAlreadyScaled"),
        pytest.param(10, {}, seen(50, 100), 10, PANIC, id="AutoscalerPanicModeDoublePodCount"),
        pytest.param(
            1, {"max_up_rate": 1.1}, seen(3, 3.1, ready=2), 3, PANIC,
            id="StableModeIncreaseWithSmallScaleUpRate",
        ),
        pytest.param(
            10, {"max_down_rate": 1.1}, seen(1, 1, ready=100), 90, STABLE,
            id="StableModeDecreaseWithSmallScaleDownRate",
        ),
        pytest.param(10, {}, seen(1000, 1001), 10, PANIC, id="TestAutoscalerRateLimitScaleUp, 1"),
        pytest.param(10, {}, seen(1000, 1001, ready=10), 100, PANIC, id="…and from 10"),
        pytest.param(10, {}, seen(1, 1, ready=100), 10, STABLE, id="TestAutoscalerRateLimit…Down"),
        pytest.param(10, {}, seen(1, 1, ready=10), 1, STABLE, id="…and from 10"),
        pytest.param(10, {}, seen(1000, 888, ready=0), 10, PANIC, id="UseOnePodAsMinimum…NotFound"),
        pytest.param(
            10, {"activation": 2}, seen(1, 0), 2, STABLE, id="TestAutoscalerActivationScale"
        ),
        # algorithms.md 1.1, edge cases
        pytest.param(70, {}, seen(70, 70.01), 2, PANIC, id="1.1: a panic at 1x load"),
        pytest.param(10, {}, seen(15, 15, ready=1, starting=1), 2, PANIC, id="not the starting"),
        # pkg/reconciler/autoscaling/kpa/scaler.go, applyBounds
        pytest.param(10, {"max": 3}, seen(100, 0, ready=10), 3, STABLE, id="applyBounds: max"),
        pytest.param(10, {"min": 3}, seen(0, 0, ready=3), 3, STABLE, id="applyBounds: min"),
    ],
)  # fmt: skip
def test_one_decision(
    target: float, changes: dict[str, object], facts: Observation, replicas: int, mode: Mode
) -> None:
    decision = decided(facts, target, **changes)
    assert (decision.replicas, decision.mode) == (replicas, mode)


def test_panic_ends_a_stable_window_after_it_was_last_renewed() -> None:
    """TestAutoscalerUnpanicAfterSlowIncrease."""
    kpa = Kpa(rules(1))
    assert kpa.decide(seen(11, 25, ready=10), 0.0).replicas == 25
    middle = kpa.decide(seen(30, 41, ready=40), 30.0)
    assert (middle.replicas, middle.mode) == (41, PANIC)
    after = kpa.decide(seen(50, 56, ready=55), 62.0)
    assert (after.replicas, after.mode) == (50, STABLE)


def test_a_surge_that_goes_on_extends_the_panic() -> None:
    """TestAutoscalerExtendPanicWindow."""
    kpa = Kpa(rules(1))
    kpa.decide(seen(11, 25, ready=10), 0.0)
    assert kpa.decide(seen(30, 80, ready=40), 30.0).replicas == 80
    assert kpa.panic_until == 90.0


def test_in_panic_it_never_scales_down() -> None:
    """TestAutoscalerPanicThenUnPanicScaleDown."""
    kpa = Kpa(rules())
    assert kpa.decide(seen(100, 100), 0.0).replicas == 10
    assert kpa.decide(seen(100, 1000, ready=10), 0.0).replicas == 100
    assert kpa.decide(seen(1, 1, ready=10), 30.0).replicas == 100
    assert kpa.decide(seen(1, 1, ready=10), 61.0).replicas == 1


@pytest.mark.parametrize(("replicas", "mode"), [(1, STABLE), (2, PANIC), (9, PANIC)])
def test_after_a_restart_with_more_than_one_it_begins_in_panic(replicas: int, mode: Mode) -> None:
    """newAutoscaler; TestStartInPanicMode."""
    kpa = Kpa(rules())
    kpa.hold(replicas, "adopted", "found running", 100.0)
    facts = seen(3, 3, ready=replicas, desired=replicas)
    first = kpa.decide(facts, 102.0)
    assert (first.replicas, first.mode) == (replicas, mode)
    assert kpa.decide(facts, 160.0).replicas == replicas
    assert kpa.decide(facts, 160.1).replicas == 1


def test_scale_down_delay_keeps_the_largest_wish_of_its_time() -> None:
    """TestAutoscalerScaleDownDelay."""
    kpa = Kpa(rules(down_delay="5m"))
    assert kpa.decide(seen(50, 50, ready=5), 0.0).replicas == 5
    assert kpa.decide(seen(10, 10, ready=5), 299.9).replicas == 5
    assert kpa.decide(seen(10, 10, ready=5), 300.0).replicas == 1


@pytest.mark.parametrize(
    ("changes", "windows"),
    [
        # config/core/configmaps/autoscaler.yaml: stable-window 60s, panic-window-percentage 10.0
        ({}, (60.0, 6.0)),
        ({"stable_window": "100s"}, (100.0, 10.0)),
        ({"stable_window": "6s"}, (6.0, 1.0)),
        ({"stable_window": "100s", "panic_window": "7s"}, (100.0, 7.0)),
    ],
)
def test_the_panic_window_is_a_tenth_of_the_stable_one(
    changes: dict[str, object], windows: tuple[float, float]
) -> None:
    found = Kpa(rules(**changes)).windows
    assert (found.stable, found.panic, found.by_age) == (*windows, True)


def test_a_young_series_is_averaged_over_its_age() -> None:
    """aggregation/bucketing.go, WindowAverage: firstWrite 3 s ago, so the mean is over 3 s."""
    means = {}
    for name in ("kpa", "tidegate"):
        policy = Policy(rules(policy=name))
        for second in (1, 2, 3):
            policy.record(report(float(second), 60.0))
        means[name] = policy.observe(Counts(ready=1), 3.0).stable
    assert (means["kpa"].window, means["kpa"].concurrency) == (3.0, 60.0)
    assert (means["tidegate"].window, means["tidegate"].concurrency) == (60.0, 3.0)


def test_initial_scale_is_kept_until_it_was_reached() -> None:
    """scaler.go, scale: minScale = max(initialScale, minScale) until IsScaleTargetInitialized."""
    kpa = Kpa(rules())
    kpa.hold(5, "initial", "initial is 5", 0.0)
    assert kpa.decide(seen(1, 1, ready=4, starting=1, desired=5), 2.0).replicas == 5
    assert kpa.decide(seen(1, 1, ready=5, desired=5), 4.0).replicas == 1
    assert kpa.decide(seen(1, 1, ready=1, desired=1), 6.0).replicas == 1


# scaler.go, handleScaleToZero

SILENT = seen(0, 0, ready=1, desired=1)


def test_zero_comes_a_grace_after_the_load_was_zero() -> None:
    kpa = Kpa(rules())
    first = kpa.decide(SILENT, 100.0)
    assert (first.replicas, first.limits[-1].limit) == (1, "grace")
    assert kpa.steps_down_at == 100.0 + GRACE == 130.0
    assert kpa.decide(SILENT, 129.9).replicas == 1
    last = kpa.decide(SILENT, 130.0)
    assert (last.replicas, last.mode) == (0, IDLE)


def test_a_request_in_the_grace_begins_it_anew() -> None:
    kpa = Kpa(rules())
    kpa.decide(SILENT, 100.0)
    kpa.decide(seen(0.1, 0, ready=1, desired=1), 120.0)
    assert kpa.decide(SILENT, 131.0).replicas == 1
    assert kpa.decide(SILENT, 161.0).replicas == 0


def test_what_was_active_for_less_than_a_stable_window_stays_at_one() -> None:
    kpa = Kpa(rules())
    kpa.hold(1, "initial", "initial is 1", 100.0)
    assert kpa.decide(SILENT, 159.9).limits[-1].reason == "active for less than stable_window"
    assert kpa.decide(SILENT, 160.0).limits[-1].limit == "grace"
    assert kpa.decide(SILENT, 190.0).replicas == 0


@pytest.mark.parametrize("changes", [{"idle": {"stop_after": None}}, {"min": 1}])
def test_zero_can_be_forbidden(changes: dict[str, object]) -> None:
    """enable-scale-to-zero: false; min-scale."""
    kpa = Kpa(rules(**changes))
    assert {kpa.decide(SILENT, 100.0 + at).replicas for at in range(0, 1000, 2)} == {1}


def test_several_replicas_halve_before_the_last_one_waits() -> None:
    kpa, n, story = Kpa(rules(max_down_rate=2)), 9, []
    for tick in range(5):
        n = kpa.decide(seen(0, 0, ready=n, desired=n), 100.0 + 2 * tick).replicas
        story.append(n)
    assert story == [4, 2, 1, 1, 1]


def test_a_metric_without_a_value_changes_nothing() -> None:
    """TestAutoscalerNoDataNoAutoscale: ErrNoData is no valid decision."""
    cpu = {"rules": [{"metric": "cpu"}], "max_up_rate": 1.5}
    decision = Kpa(rules(**cpu)).decide(seen(0, ready=1, starting=6, desired=7), 1000.0)
    assert (decision.replicas, decision.mode) == (7, STABLE)


def test_it_looks_every_two_seconds() -> None:
    """tickInterval."""
    assert [Kpa(rules()).next_look(now) for now in (0.0, 1.9, 2.0)] == [2.0, 2.0, 4.0]


def test_without_load_there_is_no_activation() -> None:
    """TestAutoscalerActivationScale: dspc > 0."""
    assert decided(seen(0, 0, ready=1), activation=5).replicas == 1
