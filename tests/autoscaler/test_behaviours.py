"""What holds for every way of deciding: bounds, monotony, missing data, reasons, explanations."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.behaviour import Behaviour
from autoscaler.decision import Bounds, Counts, Decision, Observation
from autoscaler.explain import explain_awake
from autoscaler.gauges import Gauge
from autoscaler.policy import BEHAVIOURS, CLOCK_JUMP, Policy
from autoscaler.rules import Means
from cluster.model import Mode
from config.rules import MetricRule, PrometheusRule
from config.scaling import PolicyName, Scaling
from tests.support.scaling_facts import report, scaling

POLICIES = get_args(PolicyName)
QUERY = {"metric": "prometheus", "url": "http://p", "query": "q", "target": 5.0}

every_policy = pytest.mark.parametrize("name", POLICIES)
few, many = st.integers(0, 20), st.integers(1, 50)
steps = st.builds(
    lambda kind, value, period: {kind: value, "period": f"{period}s"},
    st.sampled_from(["percent", "replicas"]),
    st.integers(1, 200),
    st.integers(1, 120),
)
ways = st.fixed_dictionaries(
    {
        "policies": st.lists(steps, max_size=2).map(tuple),
        "select": st.sampled_from(["max", "min", "disabled"]),
        "tolerance": st.sampled_from([None, "0%", "10%", "50%"]),
    }
)
some_rules = st.fixed_dictionaries(
    {
        "policy": st.sampled_from(POLICIES),
        "min": few,
        "max": many,
        "activation": st.integers(1, 9),
        "max_up_rate": st.floats(1.01, 20),
        "max_down_rate": st.floats(1.01, 20),
        "up": ways,
        "down": ways,
        "rules": st.sampled_from(
            [
                ({"metric": "concurrency", "target": 10},),
                ({"metric": "concurrency", "target": 3}, {"metric": "rps", "target": 7}),
                ({"metric": "concurrency", "target": 10}, QUERY),
            ]
        ),
        "idle": st.sampled_from([{}, {"stop_after": None}]),
    },
    optional={
        "tolerance": st.sampled_from(["0%", "10%"]),
        "down_delay": st.sampled_from(["0s", "30s", "10m"]),
        "stable_window": st.sampled_from(["10s", "2m"]),
    },
).filter(lambda rules: rules["min"] <= rules["max"])
loads = st.floats(0, 2000)
facts = st.tuples(
    st.floats(0.1, 700), loads, loads, st.sampled_from([0.0, None, 40.0, 900.0]),
    st.integers(0, 60), few,
)  # fmt: skip


def observed(
    rules: Scaling, desired: int, fact: tuple[float, float, float, float | None, int, int]
) -> Observation:
    _, stable, panic, gauge, ready, starting = fact
    gauges: Mapping[MetricRule, Gauge] = {
        rule: Gauge(gauge, "no answer")
        for rule in rules.metric_rules
        if isinstance(rule, PrometheusRule)
    }
    return Observation(
        stable=Means(60.0, stable, stable * 2),
        panic=Means(6.0, panic, panic * 2),
        counts=Counts(ready, starting),
        desired=desired,
        gauges=gauges,
    )


def walked(behaviour: Behaviour, rules: Scaling, walk: list[tuple]) -> tuple[int, float]:  # type: ignore[type-arg]
    """The number and the time after it; each decision within bounds and with a reason."""
    desired, now = max(1, rules.min), 0.0
    for fact in walk:
        now += fact[0]
        seen = observed(rules, desired, fact)
        decision = behaviour.decide(seen, now)
        assert rules.min <= decision.replicas <= rules.max
        assert decision.reason
        assert all(limit.reason in decision.reason for limit in decision.limits)
        assert decision.replicas > 0 or decision.mode is Mode.IDLE
        assert behaviour.next_look(now) > now
        if any(gauge.value is None for gauge in seen.gauges.values()):
            assert decision.replicas >= min(desired, rules.max)
        desired = max(1, decision.replicas)
    return desired, now


@settings(deadline=None)
@given(some_rules, st.lists(facts, max_size=25))
def test_bounds_reasons_and_no_way_down_on_missing_data(
    raw: dict[str, object],
    walk: list[tuple],  # type: ignore[type-arg]
) -> None:
    rules = Scaling.model_validate(raw)
    walked(BEHAVIOURS[rules.policy](rules), rules, walk)


@settings(deadline=None, max_examples=200)
@given(some_rules, st.lists(facts, max_size=12), facts, loads, loads)
def test_in_the_same_state_more_load_never_gives_fewer_replicas(
    raw: dict[str, object],
    walk: list[tuple],  # type: ignore[type-arg]
    last: tuple[float, float, float, float | None, int, int],
    stable: float,
    panic: float,
) -> None:
    rules = Scaling.model_validate(raw)
    behaviour = BEHAVIOURS[rules.policy](rules)
    desired, now = walked(behaviour, rules, walk)
    lighter = observed(rules, desired, last)
    more = (last[0], last[1] + stable, last[2] + panic, *last[3:])
    other = copy.deepcopy(behaviour)
    now += last[0]
    least = behaviour.decide(lighter, now).replicas
    assert other.decide(observed(rules, desired, more), now).replicas >= least


def lived(
    policy: Policy, first: int, last: int, load: float, counts: Callable[[], Counts]
) -> Iterator[Decision]:
    """A report each second and whatever decision is due."""
    look = policy.next_look(float(first))
    for second in range(first, last + 1):
        policy.record(report(float(second), load, requests=round(load)))
        if look <= second:
            yield policy.decide(counts(), float(second))
            look = policy.next_look(float(second))


@every_policy
@pytest.mark.parametrize("most", [0, 2])
def test_bounds_of_a_schedule_are_kept_as_well(name: str, most: int) -> None:
    rules = scaling(policy=name)
    behaviour = BEHAVIOURS[rules.policy](rules)
    bounds = Bounds(0, most, "no least", f"at most {most} at night")
    seen = Observation(Means(60, 500), Means(6, 500), Counts(ready=9), 9, bounds=bounds)
    for tick in range(50):
        assert behaviour.decide(seen, tick * 15.0).replicas <= most


@every_policy
def test_activation_is_kept_while_there_is_load(name: str) -> None:
    policy = Policy(scaling(policy=name, activation=4))
    woken = policy.wake(Counts(), 0.0)
    assert woken is not None
    assert woken.replicas == 4
    for decision in lived(policy, 1, 1000, 3.0, lambda: Counts(ready=4)):
        assert decision.replicas == 4


@every_policy
def test_a_restart_never_scales_down_before_a_full_window_was_seen(name: str) -> None:
    policy = Policy(Scaling.model_validate({"policy": name, "max": 100}))
    policy.adopt(7, 100.0)
    now = 100.0
    while now < 100.0 + policy.decider.windows.longest:
        decision = policy.decide(Counts(ready=7), now)
        assert decision.replicas == 7, decision.reason
        now = policy.next_look(now)


@every_policy
def test_a_look_long_after_its_time_is_no_reason_to_scale_down(name: str) -> None:
    """The process was stopped for an hour: the load of the time since is unknown."""
    policy = Policy(Scaling.model_validate({"policy": name, "max": 100}))
    policy.adopt(7, 0.0)
    now = 0.0
    while now < 900.0:
        policy.record(report(now, 65.0, requests=60))
        policy.decide(Counts(ready=7), now)
        now = min(policy.next_look(now), math.floor(now) + 1.0)
    before, now = policy.replicas, now + 3600.0
    assert before == 7
    window = policy.decider.windows.longest
    while now < 4500.0 + CLOCK_JUMP + window / 2:
        decision = policy.decide(Counts(ready=7), now)
        assert decision.replicas == 7, decision.reason
        now = policy.next_look(now)


@every_policy
def test_replicas_on_their_way_are_no_staircase(name: str) -> None:
    """hashicorp/nomad-autoscaler#413: what starts slowly is asked for only once."""
    policy = Policy(scaling(policy=name))
    policy.adopt(1, 0.0)
    decisions = lived(policy, 1, 300, 100.0, lambda: Counts(1, starting=policy.replicas - 1))
    wished = [decision.replicas for decision in decisions]
    assert max(wished) == wished[-1] == 10


@every_policy
def test_idle_services_sleep_and_stop_after_null_keeps_every_policy_awake(name: str) -> None:
    for never in (False, True):
        idle = {"stop_after": None} if never else {}
        policy = Policy(Scaling.model_validate({"policy": name, "idle": idle}))
        policy.wake(Counts(), 0.0)
        policy.record(report(1.0, 3.0, in_flight=0, requests=3))
        now, looks = 1.0, 0
        while (look := policy.next_look(now)) < 10_000.0 and policy.replicas:
            now, looks = look, looks + 1
            policy.decide(Counts(ready=policy.replicas), now)
        assert policy.replicas == (1 if never else 0)
        assert policy.is_over() is not never
        # Nobody looks for ever at what is quiet.
        assert looks < 700


@every_policy
def test_idle_replicas_freeze_under_every_policy(name: str) -> None:
    policy = Policy(Scaling.model_validate({"policy": name, "idle": {"freeze_after": "5s"}}))
    policy.wake(Counts(), 0.0)
    policy.record(report(1.0, 3.0, in_flight=0, requests=3))
    now, frozen = 1.0, []
    while policy.replicas and (look := policy.next_look(now)) < 10_000.0:
        now = look
        policy.decide(Counts(frozen=1) if policy.frozen else Counts(ready=1), now)
        if policy.frozen:
            frozen.append(now)
    assert frozen[0] == 6.0
    assert policy.replicas == 0
    assert policy.is_over()


@every_policy
def test_an_explanation_is_what_would_be_decided_and_tells_the_way_down(name: str) -> None:
    policy = Policy(Scaling.model_validate({"policy": name, "max": 100}))
    policy.wake(Counts(), 0.0)
    for _ in lived(policy, 1, 134, 42.0, lambda: Counts(ready=policy.replicas)):
        pass
    policy.record(report(135.0, 42.0, requests=42))
    counts = Counts(ready=policy.replicas)
    told = explain_awake(policy, counts, 135.0)
    assert told["policy"] == name
    windows = policy.decider.windows
    assert told["windows"] == {"stable": windows.stable, "panic": windows.panic}
    assert explain_awake(policy, counts, 135.0) == told
    decision = policy.decide(counts, 135.0)
    assert told["outcome"] == {
        "replicas": decision.replicas,
        "frozen": False,
        "mode": decision.mode.value,
        "reason": decision.reason,
    }
    assert isinstance(told["rules"], list)
    assert {rule["window"] for rule in told["rules"]} <= {60.0, 6.0, 30.0, 1.0}
    assert "42" in decision.reason


def test_another_policy_goes_on_from_what_there_is() -> None:
    for former in POLICIES:
        for coming in POLICIES:
            policy = Policy(scaling(policy=former))
            policy.adopt(6, 0.0)
            policy.decide(Counts(ready=6), 1.0)
            policy.configure(scaling(policy=coming))
            decision = policy.decide(Counts(ready=6), 2.0)
            assert (decision.replicas, decision.mode) != (0, Mode.IDLE)
            assert decision.replicas == 6, (former, coming, decision.reason)
            assert policy.decider.windows == BEHAVIOURS[coming](scaling(policy=coming)).windows


@every_policy
def test_nothing_goes_down_while_a_busy_gateway_tells_nothing(name: str) -> None:
    rules = scaling(policy=name, down_delay="0s")
    behaviour = BEHAVIOURS[rules.policy](rules)
    silent = Observation(Means(60, 5), Means(6, 5), Counts(ready=9), 9, is_blind=True)
    assert {behaviour.decide(silent, tick * 15.0).replicas for tick in range(50)} == {9}
    told = replace(silent, is_blind=False)
    assert min(behaviour.decide(told, tick * 15.0).replicas for tick in range(50, 100)) < 9
