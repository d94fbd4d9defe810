"""One service through time: wakes, load, the ladder, the operator. Hours by passing `now`."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.decider import TICK
from autoscaler.decision import Counts, Decision
from autoscaler.manual import override
from autoscaler.policy import Policy
from cluster.model import Mode
from config.scaling import Idle, Scaling
from tests.support.scaling_facts import report

NONE = Counts()


def walk(
    policy: Policy, until: float, load: float = 0.0, *, start: float = 0.0
) -> dict[float, Decision]:
    """Whatever is due until then, with a report each second while there is load. All of the wished
    replicas are ready at once. Decisions by the time of each change."""
    changes: dict[float, Decision] = {}
    now, look = start, policy.next_look(start)
    while (now := min(look, math.floor(now) + 1.0 if load else math.inf)) <= until:
        if load and now == math.floor(now):
            policy.record(report(now, load))
            look = min(look, policy.next_look(now))
        if now == look:
            before = policy.replicas, policy.frozen
            decision = policy.decide(Counts(ready=policy.replicas), now)
            look = policy.next_look(now)
            if before != (decision.replicas, decision.frozen):
                changes[now] = decision
    return changes


def woken(rules: Scaling, now: float = 0.0) -> Policy:
    policy = Policy(rules)
    assert policy.wake(NONE, now) is not None
    return policy


def test_a_wake_wants_initial_at_once() -> None:
    decision = Policy(Scaling(initial=3)).wake(NONE, 0.0)
    assert decision is not None
    assert (decision.before, decision.replicas, decision.mode) == (0, 3, Mode.STABLE)
    assert decision.reason == "woken by a request, initial is 3"


@pytest.mark.parametrize(
    ("rules", "replicas"),
    [(Scaling(min=4, initial=2), 4), (Scaling(initial=20, max=5), 5)],
)
def test_a_wake_stays_within_bounds(rules: Scaling, replicas: int) -> None:
    decision = Policy(rules).wake(NONE, 0.0)
    assert decision is not None
    assert decision.replicas == replicas


def test_a_wake_of_an_awake_service_changes_nothing() -> None:
    policy = woken(Scaling())
    assert policy.wake(NONE, 1.0) is None
    assert policy.replicas == 1


def test_initial_is_held_for_a_stable_window() -> None:
    policy = woken(Scaling(initial=4, idle=Idle(stop_after=None)))
    assert [(at, decision.replicas) for at, decision in walk(policy, 70.0, load=1.0).items()] == [
        (60.0, 2),
        (62.0, 1),
    ]


def test_a_burst_on_a_sleeping_service_starts_no_herd() -> None:
    # 200 requests at once, held for half a second by the cold start.
    policy = woken(Scaling(max=5))
    policy.record(report(0.3, 200, span=0.3, in_flight=0, queued=200, requests=200))
    most = policy.decide(Counts(starting=1), 0.4).replicas
    policy.record(report(1.3, 200 * 0.2, in_flight=0))
    for tenth in range(13, 650):
        most = max(most, policy.decide(Counts(ready=policy.replicas), tenth / 10).replicas)
    assert most == 1


def test_steady_load_gets_what_it_needs_and_idles_away_exactly() -> None:
    policy = woken(Scaling())
    up = walk(policy, 600.0, load=42.0)
    assert policy.replicas == 5
    assert max(decision.replicas for decision in up.values()) == 5
    policy.record(report(600.5, 42, span=0.5, in_flight=0))
    down = walk(policy, 1000.0, start=600.5)
    assert (max(down), policy.replicas) == (660.5, 0)
    assert down[660.5].mode is Mode.IDLE
    assert down[660.5].reason == "no request for 1m (idle.stop_after)"
    assert policy.is_over()


def test_there_is_no_staircase_while_replicas_start() -> None:
    policy = woken(Scaling(max=100))
    policy.serve(0.0)
    wished = []
    for second in range(1, 31):
        policy.record(report(float(second), 100, in_flight=10, queued=90))
        if second % 2 == 0:
            counts = Counts(ready=1, starting=policy.replicas - 1)
            wished.append(policy.decide(counts, float(second)).replicas)
    assert wished == sorted(wished)
    assert wished[2:] == [10] * len(wished[2:])


def test_the_whole_ladder_counts_from_the_last_activity() -> None:
    policy = woken(Scaling(idle=Idle(freeze_after=5.0, stop_after=20.0)))
    policy.record(report(1.25, 1, span=1.0, in_flight=0))
    steps = walk(policy, 60.0)
    frozen = [at for at, decision in steps.items() if decision.frozen]
    assert (min(frozen), max(steps)) == (6.25, 21.25)
    assert steps[6.25].reason.startswith("no request for 5s (idle.freeze_after)")
    assert policy.is_over()


def test_frozen_replicas_still_follow_the_formula_down() -> None:
    policy = woken(Scaling(idle=Idle(freeze_after=1.0, stop_after=None)))
    walk(policy, 60.0, load=50.0)
    policy.record(report(61.0, 50, in_flight=0))
    walk(policy, 1000.0, start=61.0)
    assert (policy.frozen, policy.replicas) == (True, 1)
    assert policy.next_look(1000.0) == math.inf


def test_a_wake_thaws_what_is_frozen() -> None:
    policy = woken(Scaling(idle=Idle(freeze_after=5.0, stop_after=None)))
    walk(policy, 30.0)
    assert policy.frozen
    decision = policy.wake(Counts(frozen=1), 30.0)
    assert decision is not None
    assert (decision.replicas, decision.frozen) == (1, False)
    assert decision.reason.startswith("thawed by a request")


def test_a_request_in_flight_is_activity_however_long() -> None:
    policy = woken(Scaling(idle=Idle(freeze_after=1.0, stop_after=2.0)))
    walk(policy, 3600.0, load=1.0)
    assert (policy.replicas, policy.frozen) == (1, False)


def test_requests_that_find_no_place_are_activity() -> None:
    policy = woken(Scaling(idle=Idle(stop_after=10.0)))
    for second in range(1, 100):
        policy.record(report(float(second), rejected=1))
        assert policy.decide(NONE, float(second)).replicas == 1
    walk(policy, 200.0, start=99.0)
    assert policy.is_over()


def test_min_stays_awake_and_needs_no_timer() -> None:
    policy = Policy(Scaling(min=2, idle=Idle(freeze_after=1.0, stop_after=10.0)))
    assert policy.decide(NONE, 0.0).replicas == 2
    assert policy.next_look(0.0) == math.inf
    walk(policy, 60.0, load=50.0)
    assert policy.replicas == 5
    policy.record(report(60.5, 50, span=0.5, in_flight=0))
    steps = walk(policy, 500.0, start=60.5)
    assert (max(steps), policy.replicas, policy.frozen) == (70.5, 2, False)
    assert policy.next_look(500.0) == math.inf


def test_by_hand_wins_over_load_and_idleness_until_it_expires() -> None:
    policy = woken(Scaling())

    policy.override = override(3, 100.0, policy.scaling, 0.0)
    for now in range(100):
        policy.record(report(float(now), 90))
        decision = policy.decide(NONE, float(now))
        assert (decision.replicas, decision.mode) == (3, Mode.MANUAL)
    assert decision.wishes[0].replicas == 9
    assert policy.next_look(50.0) == 100.0
    assert policy.decide(NONE, 100.0).mode is not Mode.MANUAL


def test_zero_by_hand_stays_zero_whatever_comes() -> None:

    policy = woken(Scaling())
    policy.override = override(0, None, policy.scaling, 0.0)
    assert policy.decide(NONE, 0.0).replicas == 0
    policy.record(report(1.0, 50, queued=50))
    assert policy.wake(NONE, 1.0) is None
    assert policy.decide(NONE, 2.0).replicas == 0
    assert not policy.is_over()
    policy.override = None
    assert policy.decide(NONE, 3.0).replicas > 0


def test_a_number_by_hand_yields_to_a_max_that_shrank() -> None:

    policy = Policy(Scaling(max=5))
    policy.override = override(5, None, policy.scaling, 0.0)
    policy.configure(Scaling(max=2))
    decision = policy.decide(NONE, 0.0)
    assert (decision.replicas, decision.reason) == (2, "5 by hand; max is 2")


def test_adopted_replicas_are_held_until_a_full_stable_window_then_as_usual() -> None:
    policy = Policy(Scaling(idle=Idle(stop_after=5.0)))
    policy.adopt(6, 100.0)
    first = policy.decide(Counts(starting=6), 100.0)
    assert (first.replicas, first.limits[-1].limit) == (6, "adopted")
    assert set(walk(policy, 159.9, start=100.0)) == set()
    assert set(walk(policy, 300.0, start=159.9)) == {160.0}
    assert policy.is_over()


def test_adopted_replicas_with_load_go_down_by_the_formula_after_the_window() -> None:
    policy = Policy(Scaling())
    policy.adopt(8, 0.0)
    walk(policy, 59.0, load=12.0)
    assert policy.replicas == 8
    walk(policy, 70.0, load=12.0, start=59.0)
    assert policy.replicas == 2


def test_changed_windows_keep_what_was_seen() -> None:
    policy = woken(Scaling())
    walk(policy, 120.0, load=35.0)
    policy.configure(Scaling(stable_window=600.0))
    assert policy.observe(NONE, 120.0).stable.concurrency == pytest.approx(35 * 62 / 600, rel=0.02)
    assert policy.decide(Counts(ready=4), 120.0).replicas >= 2


def test_a_quiet_service_at_its_lowest_needs_no_ticks() -> None:
    policy = woken(Scaling(idle=Idle(stop_after=3600.0)))
    walk(policy, 60.0, load=25.0)
    policy.record(report(60.5, 25, span=0.5, in_flight=0))
    walk(policy, 200.0, start=60.5)
    assert policy.replicas == 1
    assert policy.next_look(200.0) == 3660.5


def test_load_on_a_quiet_service_brings_the_ticks_back() -> None:
    policy = Policy(Scaling(min=1, max=100))
    policy.decide(NONE, 0.0)
    assert policy.next_look(7.0) == math.inf
    policy.record(report(7.0, 500))
    assert policy.next_look(7.0) == 8.0
    assert policy.decide(Counts(ready=1), 8.0).replicas == 9


facts = st.one_of(
    st.tuples(st.just("report"), st.floats(0, 300)),
    st.tuples(st.just("last report"), st.floats(0, 300)),
    st.tuples(st.just("wake"), st.just(0.0)),
)
some_rules = st.builds(
    lambda freeze, stop, initial: Scaling(
        initial=initial, idle=Idle(freeze_after=freeze, stop_after=stop)
    ),
    st.sampled_from([None, 3.0, 30.0]),
    st.sampled_from([None, 5.0, 60.0]),
    st.integers(1, 12),
)


@settings(deadline=None)
@given(some_rules, st.lists(st.tuples(st.floats(0, 90), facts), max_size=25))
def test_zero_is_reached_only_by_the_ladder_and_looks_lie_ahead(
    rules: Scaling, story: list[tuple[float, tuple[str, float]]]
) -> None:
    policy, now = woken(rules), 0.0
    for pause, (kind, load) in story:
        until = now + pause
        while (look := policy.next_look(now)) <= until:
            assert now < look
            now, before = look, policy.replicas
            decision = policy.decide(Counts(ready=before), now)
            assert 0 <= decision.replicas <= rules.max
            if decision.replicas == 0:
                idle_for = now - policy.load.last_activity
                assert decision.mode is Mode.IDLE
                assert not policy.load.is_busy(now)
                assert rules.idle.stop_after is not None
                assert idle_for >= rules.idle.stop_after - 1e-9
        now = until
        if kind == "wake":
            policy.wake(Counts(ready=policy.replicas), now)
            assert policy.replicas > 0
            assert not policy.frozen
        else:
            left = None if kind == "report" else 0
            policy.record(report(now, load, in_flight=left))


def test_ticks_of_all_services_fall_together() -> None:
    looks = {woken(Scaling(), now).next_look(now) for now in (10.0, 10.4, 11.9)}
    assert looks == {10.0 + TICK}


loads = st.lists(
    st.tuples(st.integers(1, 200), st.floats(0, 120), st.floats(0, 8)), min_size=1, max_size=6
)
plain_rules = st.builds(
    lambda rule, activation, step, least, tolerance: Scaling.model_validate(
        {
            "rules": [{"metric": rule, "target": 10}, {"metric": "concurrency", "target": 12}],
            "activation": activation,
            "min": least,
            "max": 9,
            "tolerance": tolerance,
            "up": {"policies": step},
            "idle": {"freeze_after": "1500ms"} if activation == 2 else {},
        }
    ),
    st.sampled_from(["concurrency", "rps"]),
    st.integers(1, 3),
    st.sampled_from([[], [{"replicas": 2, "period": "10s"}]]),
    st.sampled_from([0, 3]),
    st.sampled_from(["0%", "10%"]),
)


@settings(deadline=None, max_examples=20)
@given(plain_rules, loads, st.integers(0, 7))
def test_the_cheap_way_to_decide_changes_nothing(
    rules: Scaling, story: list[tuple[int, float, float]], slow: int
) -> None:
    """Beside a policy that decides at length each time: the same numbers, modes and looks."""
    brief, long = woken(rules), woken(rules)
    now, ready = 0, 1
    for seconds, load, wobble in story:
        for _ in range(seconds):
            now += 1
            moving = max(0.0, load + wobble * math.sin(now / 3))
            for policy in (brief, long):
                flying = None if moving else 0
                policy.record(report(float(now), moving, in_flight=flying, requests=round(moving)))
            if now % (slow + 1) == 0:
                ready = long.replicas
            if long.next_look(now - 0.5) <= now:
                counts = Counts(min(ready, long.replicas), max(0, long.replicas - ready))
                decision = long.decide(counts, float(now))
                if not brief.confirms(counts, float(now)):
                    brief.decide(counts, float(now))
                else:
                    assert decision.mode is Mode.STABLE
                    assert decision.replicas == decision.before
                assert brief.replicas == long.replicas
                assert brief.frozen == long.frozen
                assert brief.planned == long.planned


def test_a_load_that_only_wobbles_is_decided_the_cheap_way() -> None:
    policy, cheap = woken(Scaling(max=100)), 0
    for now in range(1, 601):
        policy.record(report(float(now), 45.0 + 3 * math.sin(now), requests=40))
        if now % 2 == 0:
            counts = Counts(ready=policy.replicas)
            if policy.confirms(counts, float(now)):
                cheap += 1
            else:
                policy.decide(counts, float(now))
    assert policy.replicas == 5
    assert cheap > 250
    assert policy.confirmed == cheap
