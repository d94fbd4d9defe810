"""Plans of a rollout: who is old, who counts as available, and how far it may go at a time.

Source: Kubernetes deployments (minReadySeconds, maxSurge, maxUnavailable).
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.lifecycle import State
from cluster.model import Desired, Replica
from cluster.plan import Drain, Freeze, Remove, Scene, Start, Surge, plan
from cluster.rollout import is_available
from tests.cluster.builders import a_replica
from tests.cluster.test_plan import FROZEN, READY, STARTING, UNHEALTHY, old, scene, shape

LONG_AGO, JUST_NOW, NOW = 0.0, 99.0, 100.0
LIVING = (READY, STARTING, FROZEN, UNHEALTHY)
TIMED: dict[str, Any] = {"healthy_for": 5.0, "now": NOW}
KEPT = a_replica("k", State.STOPPED)


def fresh(name: str) -> Replica:
    return a_replica(name, since=JUST_NOW)


@pytest.mark.parametrize(
    ("given_scene", "expected"),
    [
        pytest.param(
            scene(1, old("a"), fresh("b"), **TIMED), [], id="the new one is not proven yet"
        ),
        pytest.param(
            scene(1, old("a"), a_replica("b"), **TIMED), ["drain a"], id="the new one is proven"
        ),
        pytest.param(
            scene(2, old("a"), fresh("b"), fresh("c"), **TIMED),
            [],
            id="the last old one waits, too",
        ),
        pytest.param(
            scene(2, old("a"), fresh("b"), surge=Surge(0, 1), **TIMED),
            [],
            id="one may be missing, and the one that is not proven is",
        ),
        pytest.param(
            scene(1, old("a", UNHEALTHY), fresh("b"), **TIMED),
            ["drain a"],
            id="who does not serve is not waited for",
        ),
        pytest.param(
            scene(1, a_replica("a"), outdated={"a"}), ["start 1"], id="a restart starts first"
        ),
        pytest.param(
            scene(1, a_replica("a"), a_replica("b"), outdated={"a"}),
            ["drain a"],
            id="and then the one that was there goes",
        ),
        pytest.param(
            scene(1, a_replica("a", FROZEN), frozen=True, outdated={"a"}),
            ["drain a"],
            id="a frozen one is not thawed again after a restart",
        ),
        pytest.param(
            scene(1, KEPT, kept=(), outdated={"k"}),
            ["remove k", "start 1"],
            id="nor is a kept one started again",
        ),
        pytest.param(
            scene(2, old("a"), a_replica("b"), accepted={"old"}), [], id="paused: both may stay"
        ),
        pytest.param(
            scene(3, old("a"), a_replica("b"), accepted={"old"}),
            ["start 1"],
            id="paused: what is missing is started",
        ),
        pytest.param(
            scene(4, *(a_replica(name, UNHEALTHY) for name in "abcd"), old("o", STARTING)),
            ["start 1", "drain o"],
            id="no storm when all are unready, old ones that never served or not",
        ),
        pytest.param(
            scene(1, a_replica("a"), fresh("b"), old("o"), pending={"b": 3}, **TIMED),
            ["drain a"],
            id="the old one stays while a proven one is leaving",
        ),
    ],
)
def test_a_plan_of_a_rollout(given_scene: Scene, expected: list[str]) -> None:
    assert shape(plan(given_scene)) == expected


def test_whoever_is_restarted_is_told_so() -> None:
    (drain,) = plan(scene(1, a_replica("a"), a_replica("b"), outdated={"a"}))
    assert drain == Drain("a", "restarted by hand")


replicas = st.lists(
    st.tuples(
        st.sampled_from([*LIVING, State.DRAINING, State.FAILED]),
        st.sampled_from(["new", "old", "older"]),
        st.sampled_from([LONG_AGO, JUST_NOW]),
    ),
    max_size=9,
).map(
    lambda rows: [
        a_replica(f"r{number}", state, revision=revision, since=since)
        for number, (state, revision, since) in enumerate(rows)
    ]
)
names = st.sets(st.sampled_from([f"r{number}" for number in range(9)]))
scenes = st.builds(
    Scene,
    desired=st.builds(Desired, st.integers(1, 6), reason=st.just("because")),
    revision=st.just("new"),
    replicas=replicas,
    surge=st.sampled_from([Surge(1, 0), Surge(0, 1), Surge(2, 1), Surge(3, 0)]),
    outdated=names,
    leased=names,
    accepted=st.sampled_from([(), ("older",)]),
    healthy_for=st.sampled_from([0.0, 5.0]),
    now=st.just(NOW),
)


def serves(replica: Replica, given: Scene) -> bool:
    """As those count that let others go."""
    if given.is_current(replica):
        return is_available(replica, given.healthy_for, NOW)
    return replica.state is READY


def drained(given: Scene) -> set[str]:
    return {action.replica for action in plan(given) if isinstance(action, Drain | Remove)}


@given(scenes)
@settings(max_examples=600)
def test_a_rollout_never_leaves_fewer_than_may_be_missing(given: Scene) -> None:
    """Old ones leave only as long as enough serve; surplus new ones are another matter."""
    gone = drained(given)
    olds = {one.id for one in given.replicas if not given.is_current(one)}
    before = [one for one in given.replicas if serves(one, given)]
    if not gone & olds & {one.id for one in before}:
        return
    remaining = sum(one.id not in gone for one in before)
    assert remaining >= min(len(before), given.desired.replicas - given.surge.missing)


@given(scenes)
@settings(max_examples=600)
def test_a_rollout_never_runs_more_than_may_surge(given: Scene) -> None:
    gone, actions = drained(given), plan(given)
    started = sum(action.count for action in actions if isinstance(action, Start))
    living = sum(one.state in LIVING and one.id not in gone for one in given.replicas)
    if started:
        assert living + started <= given.desired.replicas + given.surge.extra


def carried_out(given: Scene, number: int) -> Scene:
    """Everything succeeds, and is proven before the next look."""
    gone, present = drained(given), list(given.replicas)
    for action in plan(given):
        assert not isinstance(action, Freeze)
        if isinstance(action, Start):
            present += [a_replica(f"s{number}-{one}") for one in range(action.count)]
    mended = [
        replace(one, state=READY, since=LONG_AGO) if one.state in LIVING else one
        for one in present
        if one.id not in gone and one.state is not State.DRAINING
    ]
    return replace(given, replicas=mended)


@given(scenes)
@settings(max_examples=400)
def test_a_rollout_comes_to_its_end_and_rests(given: Scene) -> None:
    for number in range(40):
        given = carried_out(given, number)
    assert plan(given) == []
    assert len(given.replicas) == given.desired.replicas
    assert all(given.is_current(replica) for replica in given.replicas)
