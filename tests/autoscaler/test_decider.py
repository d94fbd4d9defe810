"""The decision against Knative's formula: knative/serving pkg/autoscaler/scaling/autoscaler.go.

Deliberate differences are named where they are tested: zero belongs to the idle ladder, starting
replicas are capacity for the rates, a panic starts from the wanted number, a number may be held.
"""

import math
import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.decider import Decider
from autoscaler.decision import Observation
from autoscaler.noise import Noise
from cluster.model import Mode
from config.scaling import Scaling
from tests.support.scaling_facts import scaling, seen

TWO_RULES = [{"metric": "concurrency", "target": 10}, {"metric": "rps", "target": 100}]
STABLE, PANIC = Mode.STABLE, Mode.PANIC


@pytest.mark.parametrize(
    ("rules", "facts", "replicas", "mode", "limits"),
    [
        pytest.param({}, seen(0), 1, STABLE, ["idle"], id="the formula alone never goes to zero"),
        pytest.param({}, seen(10), 1, STABLE, [], id="ceil of mean / target: 10 / 10"),
        pytest.param({}, seen(10.01), 2, STABLE, [], id="ceil of mean / target: 10.01 / 10"),
        pytest.param({}, seen(95, ready=10), 10, STABLE, [], id="absolute, not a step from ready"),
        pytest.param({}, seen(95, 99, ready=10), 10, STABLE, [], id="a panic wish alone is unused"),
        pytest.param({}, seen(1, 10.01), 2, PANIC, [], id="wish / ready = 2 / 1 is a panic"),
        pytest.param({}, seen(10, 100, ready=6), 3, STABLE, ["max_down_rate"], id="10 / 6 is none"),
        pytest.param({}, seen(10, 100, ready=5), 10, PANIC, [], id="10 / 5 is a panic"),
        pytest.param({}, seen(0, 20, ready=0), 2, PANIC, [], id="none ready counts as one"),
        pytest.param({}, seen(50, 20, ready=1), 5, PANIC, [], id="in panic the larger window wins"),
        pytest.param(
            {"panic_threshold": 5.0}, seen(10, 40), 1, STABLE, [], id="a higher threshold"
        ),
        pytest.param(
            {"max_up_rate": 2}, seen(100, ready=3), 6, STABLE, ["max_up_rate"], id="up by x 2"
        ),
        pytest.param(
            {"max_up_rate": 1.1}, seen(100, ready=3), 4, STABLE, ["max_up_rate"], id="up rounds up"
        ),
        pytest.param(
            {"max_up_rate": 2},
            seen(100, ready=1, starting=3),
            8,
            STABLE,
            ["max_up_rate"],
            id="starting replicas are capacity for the rate up",
        ),
        pytest.param(
            {}, seen(1, ready=9), 4, STABLE, ["max_down_rate"], id="down by x 2 rounds down"
        ),
        pytest.param(
            {},
            seen(1, ready=1, starting=4, frozen=3),
            4,
            STABLE,
            ["max_down_rate"],
            id="starting and frozen replicas are capacity for the rate down",
        ),
        pytest.param({"min": 3}, seen(0), 3, STABLE, ["idle", "min"], id="min"),
        pytest.param({"max": 3}, seen(100, ready=9), 3, STABLE, ["max"], id="max"),
        pytest.param({"max": 3}, seen(0, 900), 3, PANIC, ["max"], id="max also in panic"),
        pytest.param(
            {"rules": TWO_RULES}, seen(30, stable_rps=450), 5, STABLE, [], id="the largest wish"
        ),
        pytest.param(
            {"rules": TWO_RULES}, seen(30, panic_rps=900), 9, PANIC, [], id="rps may panic too"
        ),
        pytest.param({"rules": []}, seen(999), 1, STABLE, ["idle"], id="no rules: just awake"),
    ],
)
def test_one_decision(
    rules: dict[str, object], facts: Observation, replicas: int, mode: Mode, limits: list[str]
) -> None:
    decision = Decider(scaling(**rules)).decide(facts, 0.0)
    assert (decision.replicas, decision.mode) == (replicas, mode)
    assert [limit.limit for limit in decision.limits] == limits
    for limit in decision.limits:
        assert limit.reason in decision.reason


def test_a_decision_tells_wishes_and_the_path_of_the_number() -> None:
    decider = Decider(scaling(max_up_rate=2, max=3))
    decision = decider.decide(seen(87.5, 15, ready=2, desired=2), 0.0)
    assert decision.reason == (
        "concurrency 87.5 over 1m at 10 per replica asks for 9; "
        "max_up_rate 2 x 2 allows up to 4; max is 3"
    )
    assert [(limit.before, limit.after) for limit in decision.limits] == [(9, 4), (4, 3)]
    assert [(wish.window, wish.replicas) for wish in decision.wishes] == [(60, 9), (6, 2)]
    told = decision.to_dict()
    assert (told["before"], told["replicas"], told["mode"]) == (2, 3, "stable")
    assert told["inputs"] == {
        "ready": 2, "starting": 0, "frozen": 0, "in_flight": 0, "queued": 0,
        "stable_concurrency": 87.5, "panic_concurrency": 15, "stable_rps": 0, "panic_rps": 0,
    }  # fmt: skip


def test_panic_ratchets_and_ends_a_stable_window_after_its_last_cause() -> None:
    decider = Decider(scaling())
    panic, calm = seen(0, 100, ready=1), seen(5, 5, ready=10, desired=10)
    assert decider.decide(panic, 0.0).replicas == 10
    assert decider.decide(replace(panic, desired=10), 4.0).mode is PANIC
    for now in (6.0, 30.0, 64.0):
        decision = decider.decide(calm, now)
        assert (decision.replicas, decision.mode) == (10, PANIC)
        assert "never down in panic" in decision.reason
    after = decider.decide(replace(calm, desired=0), 64.1)
    assert (after.replicas, after.mode) == (5, STABLE)


def test_the_ratchet_of_a_former_panic_is_forgotten() -> None:
    decider = Decider(scaling())
    decider.decide(seen(0, 500), 0.0)
    assert decider.decide(seen(5, 5, ready=2), 100.0).replicas == 1
    assert decider.decide(seen(5, 40, ready=2, desired=1), 200.0).replicas == 4


def test_even_the_first_decision_of_a_panic_is_no_way_down() -> None:
    # Crashes make a panic of a load that is not above what was wanted before.
    decision = Decider(scaling()).decide(seen(40, 40, ready=1, desired=10), 0.0)
    assert (decision.replicas, decision.mode) == (10, PANIC)


def test_nothing_is_taken_back_that_chance_would_soon_ask_for_again() -> None:
    decider = Decider(scaling())
    for tick in range(60):
        lately = 10.0 + 3 * (tick % 5 - 2)  # 4, 7, 10, 13, 16: the usual swing is 6
        decision = decider.decide(seen(10, lately, ready=2, desired=2), 2.0 * tick)
    assert (decision.replicas, decision.limits[-1].limit) == (2, "noise")
    assert decision.limits[-1].reason == "a load of 1 replicas that moves by 1.1 needs 2"
    quiet = [
        decider.decide(seen(10, 10, ready=2, desired=2), at).replicas for at in range(120, 240)
    ]
    assert (quiet[0], quiet[-1]) == (2, 1)


def test_a_load_that_does_not_move_keeps_nothing_and_a_spike_is_no_noise() -> None:
    decider = Decider(scaling())
    decider.decide(seen(40, 40, ready=9, desired=9), 0.0)
    for tick in range(1, 60):
        spike = 500.0 if tick < 4 else 40.0
        decision = decider.decide(seen(40, spike, ready=50, desired=50), 2.0 * tick)
    assert decision.replicas == 25
    assert [limit.limit for limit in decision.limits] == ["max_down_rate"]


@pytest.mark.parametrize("values", [[], [3.0], [3.0] * 50])
def test_what_does_not_move_has_no_swing(values: list[float]) -> None:
    noise = Noise(60.0, 0.5)
    for at, value in enumerate(values):
        noise.record(value, float(at))
    assert noise.swing() == 0.0


def test_the_swing_is_a_standard_deviation_and_old_values_are_forgotten() -> None:
    rng, noise = random.Random(3), Noise(1000.0, 1.0)
    for at in range(3000):
        noise.record(rng.gauss(100.0, 5.0) if at >= 2000 else 1e6, float(at))
    assert noise.swing() == pytest.approx(5.0, rel=0.1)
    assert len(noise._values) == 1000
    noise.record(1e6, 2999.5)
    assert len(noise._values) == 1000


def test_down_delay_keeps_the_largest_wish_of_its_time() -> None:
    decider = Decider(scaling(down_delay="5m", max_down_rate=1000))
    wished = {0.0: 10, 60.0: 40, 120.0: 10}
    decided = {at: decider.decide(seen(load, ready=4), at) for at, load in wished.items()}
    assert [decision.replicas for decision in decided.values()] == [1, 4, 4]
    assert decided[120.0].limits[-1].limit == "down_delay"
    assert decider.decide(seen(10, ready=4), 359.9).replicas == 4
    assert decider.decide(seen(10, ready=4), 360.0).replicas == 1


def test_a_held_number_stays_until_a_full_stable_window_was_seen() -> None:
    decider = Decider(scaling(max_down_rate=1000))
    decider.hold(5, "adopted", "5 were running", 100.0)
    decider.hold(1, "initial", "initial is 1", 110.0)
    held = decider.decide(seen(1, ready=5), 159.9)
    assert (held.replicas, held.limits[-1].limit) == (5, "adopted")
    assert decider.decide(seen(1, ready=5), 160.0).replicas == 1


def test_changed_rules_apply_to_the_next_decision() -> None:
    decider = Decider(scaling())
    decider.decide(seen(0, 500), 0.0)
    decider.configure(scaling(max=7))
    assert decider.decide(seen(0, 500, desired=50), 2.0).replicas == 7


# Against the source


@dataclass
class Knative:
    """Autoscaler.Scale of knative/serving, line by line, without its data-plane parts."""

    rules: Scaling
    panic_time: float | None = None
    max_panic_pods: int = 0

    def scale(self, stable_avg: float, panic_avg: float, ready: int, now: float) -> int:
        ready = max(1, ready)
        max_scale_up = math.ceil(self.rules.max_up_rate * ready)
        max_scale_down = math.floor(ready / self.rules.max_down_rate)
        dspc = math.ceil(stable_avg / 10)
        dppc = math.ceil(panic_avg / 10)
        stable = min(max(dspc, max_scale_down), max_scale_up)
        panic = min(max(dppc, max_scale_down), max_scale_up)
        if dppc / ready >= self.rules.panic_threshold:
            self.panic_time = now
        elif self.panic_time is not None and self.panic_time + self.rules.stable_window < now:
            self.panic_time, self.max_panic_pods = None, 0
        desired = stable
        if self.panic_time is not None:
            self.max_panic_pods = max(self.max_panic_pods, stable, panic)
            desired = self.max_panic_pods
        return desired


loads = st.integers(0, 2000).map(float)
walks = st.lists(st.tuples(st.floats(0.5, 40), loads, loads, st.integers(0, 60)), max_size=40)
rates = st.floats(1.01, 20)


@settings(deadline=None)
@given(walks, rates, rates, st.floats(1.1, 10))
def test_without_our_differences_every_walk_is_knatives(
    walk: list[tuple[float, float, float, int]], up: float, down: float, threshold: float
) -> None:
    rules = scaling(max_up_rate=up, max_down_rate=down, panic_threshold=threshold)
    decider, source, now = Decider(rules), Knative(rules), 0.0
    for pause, stable, panic, ready in walk:
        now += pause
        expected = max(1, source.scale(stable, panic, ready, now))
        decision = decider.decide(seen(stable, panic, ready=ready), now)
        assert decision.replicas == expected
        assert (decision.mode is PANIC) == (source.panic_time is not None)


observations = st.builds(
    seen,
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    ready=st.integers(0, 100),
    starting=st.integers(0, 100),
    desired=st.integers(0, 100),
)
bounds = st.tuples(st.integers(0, 50), st.integers(1, 50)).map(sorted)
rules_of_any_kind = st.builds(
    lambda bound, up, down, delay: scaling(
        min=bound[0], max=bound[1], max_up_rate=up, max_down_rate=down, down_delay=delay
    ),
    bounds,
    rates,
    rates,
    st.sampled_from([0.0, 30.0, 600.0]),
)


@settings(deadline=None)
@given(rules_of_any_kind, st.lists(observations, max_size=30))
def test_every_decision_is_within_bounds_and_none_is_zero(
    rules: Scaling, walk: list[Observation]
) -> None:
    decider = Decider(rules)
    for tick, facts in enumerate(walk):
        decision = decider.decide(facts, tick * 2.0)
        assert rules.min <= decision.replicas <= rules.max
        assert decision.replicas > 0


@settings(deadline=None)
@given(rules_of_any_kind, st.lists(observations, max_size=30))
def test_in_panic_no_decision_is_below_the_one_before(
    rules: Scaling, walk: list[Observation]
) -> None:
    decider, before = Decider(rules), 0
    for tick, facts in enumerate(walk):
        decision = decider.decide(replace(facts, desired=before), tick * 2.0)
        assert decision.mode is STABLE or decision.replicas >= before
        before = decision.replicas


@settings(deadline=None)
@given(rules_of_any_kind, observations, st.floats(0, 1e5), st.floats(0, 1e5))
def test_more_load_never_gives_fewer_replicas(
    rules: Scaling, facts: Observation, more_stable: float, more_panic: float
) -> None:
    heavier = seen(
        facts.stable.concurrency + more_stable,
        facts.panic.concurrency + more_panic,
        ready=facts.counts.ready,
        starting=facts.counts.starting,
        desired=facts.desired,
    )
    lighter = Decider(rules).decide(facts, 0.0)
    assert Decider(rules).decide(heavier, 0.0).replicas >= lighter.replicas
