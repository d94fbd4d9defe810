"""Ray Serve's decisions, row by row from python/ray/serve/autoscaling_policy.py (and 1.4 of its
description in the module): the function of each table is named there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.decision import Counts, Observation
from autoscaler.policy import Policy
from autoscaler.ray import DOWNSCALE_DELAY, LOOP, UPSCALE_DELAY, Ray
from autoscaler.rules import Means
from cluster.model import Mode
from config.scaling import Scaling
from tests.support.scaling_facts import report


def rules(**changes: object) -> Scaling:
    return Scaling.model_validate(
        {
            "policy": "ray",
            "max": 100,
            "rules": [{"metric": "concurrency", "target": 2}],
            **changes,
        }
    )


def seen(ongoing: float, target: int, running: int | None = None) -> Observation:
    means = Means(30.0, ongoing)
    ready = target if running is None else running
    return Observation(stable=means, panic=means, counts=Counts(ready=ready), desired=target)


def wished_long(ray: Ray, ongoing: float, target: int, running: int | None = None) -> int:
    """What comes of the same wish for longer than any delay."""
    facts = seen(ongoing, target, running)
    first = ray.decide(facts, 0.0).replicas
    return ray.decide(facts, DOWNSCALE_DELAY).replicas if first == target else first


@pytest.mark.parametrize(
    ("changes", "ongoing", "target", "running", "replicas"),
    [
        # _core_replica_queue_length_policy, _apply_scaling_factors with factors of 1
        pytest.param({}, 20, 10, 10, 10, id="20 / (2 x 10): keep"),
        pytest.param({}, 20.1, 10, 10, 11, id="any more is one more: no tolerance"),
        pytest.param({}, 200, 10, 10, 100, id="all at once: no rates"),
        pytest.param({}, 5, 10, 10, 3, id="ceil(5 / 2)"),
        pytest.param({}, 40, 10, 5, 20, id="absolute: half of them run"),
        # _apply_bounds
        pytest.param({"max": 12}, 200, 10, 10, 12, id="max_replicas"),
        pytest.param({"min": 4}, 1, 10, 10, 4, id="min_replicas"),
        # _apply_delay_logic: zero only from one
        pytest.param({}, 0, 10, 10, 1, id="from 10 to 1 first"),
        pytest.param({}, 0, 1, 1, 0, id="from 1 to 0"),
        pytest.param({"min": 1}, 0, 1, 1, 1, id="min_replicas 1"),
        pytest.param({"idle": {"stop_after": None}}, 0, 1, 1, 1, id="zero forbidden"),
        # _get_cold_start_scale_up_replicas
        pytest.param({}, 50, 3, 0, 3, id="none runs yet: the target stays"),
        pytest.param({}, 0, 3, 0, 3, id="none runs yet and nothing to do: the target stays"),
        pytest.param({}, 5, 0, 0, 1, id="none wanted, something to do: 1 at once"),
    ],
)
def test_one_wish(
    changes: dict[str, object], ongoing: float, target: int, running: int, replicas: int
) -> None:
    assert wished_long(Ray(rules(**changes)), ongoing, target, running) == replicas


@pytest.mark.parametrize(
    ("wishes", "target", "changed"),
    [
        # _apply_delay_logic: (time, ongoing) of each turn; when the target changed, and to what
        pytest.param([(0, 40), (29.9, 40), (30, 40)], 10, (30, 20), id="upscale_delay_s 30"),
        pytest.param([(0, 40), (30, 60)], 10, (30, 30), id="the latest wish is applied"),
        pytest.param(
            [(0, 40), (20, 20), (21, 40), (50.9, 40), (51, 40)], 10, (51, 20),
            id="a moment of contentment begins it anew",
        ),
        pytest.param(
            [(0, 40), (29, 10), (30, 40), (59.9, 40), (60, 40)], 10, (60, 20),
            id="a moment of the other way begins it anew",
        ),
        pytest.param([(0, 10), (599.9, 10), (600, 10)], 10, (600, 5), id="downscale_delay_s 600"),
        pytest.param([(0, 10), (600, 4)], 10, (600, 2), id="the latest wish down is applied"),
        pytest.param([(0, 10), (300, 20), (301, 10), (900, 10)], 10, None, id="reset on the way"),
        pytest.param([(0, 0), (600, 0)], 2, (600, 1), id="2 to 1, however idle"),
        pytest.param([(0, 0), (599.9, 0), (600, 0)], 1, (600, 0), id="1 to 0"),
    ],
)  # fmt: skip
def test_delays(
    wishes: list[tuple[float, float]], target: int, changed: tuple[float, int] | None
) -> None:
    ray, found = Ray(rules()), None
    for at, ongoing in wishes:
        number = ray.decide(seen(ongoing, target), float(at)).replicas
        if number != target and found is None:
            found = (at, number)
    assert found == changed


def test_a_delay_begins_anew_after_it_was_over() -> None:
    ray = Ray(rules())
    assert [ray.decide(seen(40, 10), at).replicas for at in (0.0, 30.0)] == [10, 20]
    assert [ray.decide(seen(80, 20), at).replicas for at in (31.0, 60.9, 61.0)] == [20, 20, 40]


def test_of_the_file_come_the_look_back_and_the_way_down() -> None:
    assert Ray(rules()).windows.stable == 30.0
    ray = Ray(rules(stable_window="10s", down_delay="20s"))
    assert ray.windows.stable == 10.0
    assert [ray.decide(seen(10, 10), at).replicas for at in (0.0, 19.9, 20.0)] == [10, 10, 5]


def test_the_end_of_a_delay_is_looked_at_on_its_tenth_of_a_second() -> None:
    """CONTROL_LOOP_INTERVAL_S."""
    ray = Ray(rules())
    ray.decide(seen(40, 10), 100.43)
    assert ray.next_look(100.43) == 101.0
    assert ray.next_look(130.2) == pytest.approx(130.5)
    assert ray.next_look(130.5) == 131.0


def test_zero_takes_the_look_back_and_two_delays_and_nobody_has_to_look_until_then() -> None:
    policy = Policy(rules(initial=2))
    policy.wake(Counts(), 0.0)
    policy.record(report(1.0, 3.0, in_flight=0, requests=1))
    looks, changes, look = 0, [], policy.next_look(1.0)
    while policy.replicas:
        before = policy.replicas
        decision = policy.decide(Counts(ready=before), look)
        if decision.replicas != before:
            changes.append((look, decision.replicas, decision.mode))
        looks, look = looks + 1, policy.next_look(look)
    assert changes == [(602.0, 1, Mode.STABLE), (1203.0, 0, Mode.IDLE)]
    assert policy.is_over()
    assert looks < 620


def test_a_start_that_takes_long_is_looked_at_until_it_runs() -> None:
    policy = Policy(rules())
    policy.wake(Counts(), 0.0)
    now = 0.0
    while now < 100.0:
        now = policy.next_look(now)
        policy.decide(Counts(starting=1), now)
    while policy.replicas:
        now = policy.next_look(now)
        policy.decide(Counts(ready=1), now)
    assert now == pytest.approx(100.0 + 1.0 + DOWNSCALE_DELAY)


loads = st.lists(
    st.tuples(st.integers(1, 400), st.sampled_from([0.0, 5.0, 19.0, 20.0, 21.0, 60.0])),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=12)
@given(loads)
def test_turns_left_out_change_nothing(steps: list[tuple[int, float]]) -> None:
    """Beside a loop that turns every 0.1 s, as Ray's: the same changes, at most a report later."""
    every, ours = _changes(steps, every_turn=True), _changes(steps, every_turn=False)
    assert [number for _, number in every] == [number for _, number in ours]
    for (loop, _), (look, _) in zip(every, ours, strict=True):
        assert loop - LOOP <= look <= loop + 1.0 + LOOP


def _changes(steps: list[tuple[int, float]], *, every_turn: bool) -> list[tuple[float, int]]:
    ray, target, now, found, end = Ray(rules()), 10, 0.0, [], 0.0
    for seconds, ongoing in steps:
        end += seconds
        while now < end:
            number = ray.decide(seen(ongoing, target), now).replicas
            if number != target:
                found.append((now, number))
                target = number
            now = round(now + LOOP, 6) if every_turn else ray.next_look(now)
            if target == 0:
                return found
    return found


def test_the_delays_are_rays() -> None:
    assert (UPSCALE_DELAY, DOWNSCALE_DELAY, LOOP) == (30.0, 600.0, 0.1)
