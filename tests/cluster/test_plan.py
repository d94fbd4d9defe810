"""Plans as tables, and the two laws that every plan obeys."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.lifecycle import Event, State, advance
from cluster.model import Desired, Replica
from cluster.plan import (
    Action,
    Drain,
    Freeze,
    Remove,
    Scene,
    Start,
    Surge,
    Thaw,
    plan,
    surge_of,
)
from tests.cluster.builders import a_replica

READY, STARTING, FROZEN = State.READY, State.STARTING, State.FROZEN
UNHEALTHY, FAILED, DRAINING = State.UNHEALTHY, State.FAILED, State.DRAINING


def shape(actions: list[Action]) -> list[str]:
    """Actions without their reasons: `start 2`, `drain a`."""
    return [
        f"start {action.count}"
        if isinstance(action, Start)
        else f"{type(action).__name__.lower()} {action.replica}"
        for action in actions
    ]


def scene(desired: int, *replicas: Replica, frozen: bool = False, **rest: object) -> Scene:
    wish = Desired(desired, reason="because", frozen=frozen)
    return Scene(wish, "new", replicas, **rest)  # type: ignore[arg-type]


def old(name: str, state: State = READY) -> Replica:
    return a_replica(name, state, revision="old")


@pytest.mark.parametrize(
    ("given_scene", "expected"),
    [
        pytest.param(scene(0), [], id="nothing wanted, nothing there"),
        pytest.param(scene(2), ["start 2"], id="from zero"),
        pytest.param(scene(2, a_replica("a", STARTING)), ["start 1"], id="a start counts"),
        pytest.param(scene(1, a_replica("a")), [], id="as wanted"),
        pytest.param(scene(1, a_replica("a", DRAINING)), ["start 1"], id="draining does not count"),
        pytest.param(
            scene(0, a_replica("a"), a_replica("b", STARTING), a_replica("c", FROZEN)),
            ["drain a", "drain b", "drain c"],
            id="to zero takes all, whatever they do",
        ),
        pytest.param(scene(0, a_replica("a", DRAINING)), [], id="nobody is drained twice"),
        pytest.param(
            scene(1, a_replica("a", FAILED)), ["remove a", "start 1"], id="a failed one is replaced"
        ),
        pytest.param(
            scene(1, a_replica("a", FAILED), may_start=False),
            ["remove a"],
            id="no start during back-off",
        ),
        pytest.param(
            scene(1, a_replica("a"), a_replica("b")), ["drain b"], id="the youngest goes first"
        ),
        pytest.param(
            scene(1, a_replica("a"), a_replica("b"), pending={"b": 3}),
            ["drain a"],
            id="the least loaded goes before the youngest",
        ),
        pytest.param(
            scene(1, a_replica("a", STARTING), a_replica("b"), pending={"b": 3}),
            ["drain a"],
            id="the unready goes before the least loaded",
        ),
        pytest.param(
            scene(1, a_replica("a"), frozen=True), ["freeze a"], id="an idle one is frozen"
        ),
        pytest.param(scene(1, a_replica("a", FROZEN), frozen=True), [], id="frozen as wanted"),
        pytest.param(
            scene(1, a_replica("a", STARTING), frozen=True), [], id="a start is frozen when ready"
        ),
        pytest.param(scene(1, frozen=True), [], id="nothing is started to be frozen"),
        pytest.param(scene(1, a_replica("a", FROZEN)), ["thaw a"], id="a wake thaws"),
        pytest.param(
            scene(3, a_replica("a", FROZEN)), ["thaw a", "start 2"], id="thaw first, then start"
        ),
        pytest.param(
            scene(1, a_replica("a"), a_replica("b", FROZEN)), ["drain b"], id="frozen surplus goes"
        ),
        pytest.param(
            scene(1, a_replica("a", UNHEALTHY)), ["start 1"], id="replaced before it is removed"
        ),
        pytest.param(
            scene(1, a_replica("a", UNHEALTHY), a_replica("b", STARTING)),
            [],
            id="the unready one stays until its replacement is ready",
        ),
        pytest.param(
            scene(1, a_replica("a", UNHEALTHY), a_replica("b")),
            ["drain a"],
            id="the replacement is ready",
        ),
        pytest.param(
            scene(3, *(a_replica(name, UNHEALTHY) for name in "abc")),
            ["start 1"],
            id="no storm when all are unready",
        ),
        pytest.param(
            scene(3, *(a_replica(name, UNHEALTHY) for name in "abc"), a_replica("d")),
            ["drain a"],
            id="one by one",
        ),
        pytest.param(scene(2, old("a"), old("b")), ["start 1"], id="a rollout starts with one"),
        pytest.param(
            scene(2, old("a"), old("b"), a_replica("c", STARTING)), [], id="and waits for it"
        ),
        pytest.param(
            scene(2, old("a"), old("b"), a_replica("c")),
            ["drain b"],
            id="then one old one goes",
        ),
        pytest.param(
            scene(2, old("a"), a_replica("c")), ["start 1"], id="then the next one is started"
        ),
        pytest.param(
            scene(2, old("a"), a_replica("c"), a_replica("d")), ["drain a"], id="last of the old"
        ),
        pytest.param(
            scene(1, old("a", STARTING)),
            ["start 1", "drain a"],
            id="an old one that never served is not waited for",
        ),
        pytest.param(
            scene(2, old("a"), old("b"), surge=Surge(0, 1)),
            ["drain b"],
            id="without surge one goes first",
        ),
        pytest.param(
            scene(1, old("a", FROZEN), frozen=True), ["drain a"], id="a frozen old one is let go"
        ),
    ],
)
def test_plan(given_scene: Scene, expected: list[str]) -> None:
    assert shape(plan(given_scene)) == expected


def test_every_drain_says_why() -> None:
    (drain,) = plan(scene(0, a_replica("a")))
    assert drain == Drain("a", "because")


@pytest.mark.parametrize(
    ("desired", "max_surge", "max_unavailable", "expected"),
    [
        pytest.param(10, 0.25, 0, Surge(3, 0), id="surge rounds up"),
        pytest.param(10, 1, 0.25, Surge(1, 2), id="unavailability rounds down"),
        pytest.param(1, 0, 0, Surge(1, 0), id="a change can always begin"),
        pytest.param(4, 0, 0.25, Surge(0, 1), id="room is made by taking one away"),
    ],
)
def test_surge_of(
    desired: int, max_surge: float | int, max_unavailable: float | int, expected: Surge
) -> None:
    assert surge_of(desired, max_surge, max_unavailable) == expected


replicas = st.lists(
    st.tuples(st.sampled_from(list(State)), st.sampled_from(["new", "old"])), max_size=8
).map(
    lambda rows: [
        a_replica(f"r{number}", state, revision=revision)
        for number, (state, revision) in enumerate(rows)
    ]
)
scenes = st.builds(
    Scene,
    desired=st.builds(Desired, st.integers(0, 6), reason=st.just("because"), frozen=st.booleans()),
    revision=st.just("new"),
    replicas=replicas,
    surge=st.sampled_from([Surge(1, 0), Surge(0, 1), Surge(2, 1)]),
    leased=st.sets(st.sampled_from([f"r{number}" for number in range(8)])),
)


_numbers = itertools.count()


def perform(before: list[Replica], actions: list[Action]) -> list[Replica]:
    """A perfect world: every action succeeds before the next look."""
    present = {replica.id: replica for replica in before}
    for action in actions:
        match action:
            case Start(count):
                for _ in range(count):
                    name = f"s{next(_numbers)}"
                    present[name] = a_replica(name, READY)
            case Drain(name, _) | Remove(name, _):
                del present[name]
            case Freeze(name):
                present[name] = replace(present[name], state=advance(READY, Event.FREEZE))
            case Thaw(name):
                present[name] = replace(present[name], state=advance(FROZEN, Event.THAW))
    mended = (UNHEALTHY, STARTING)
    return [
        replace(replica, state=READY) if replica.state in mended else replica
        for replica in present.values()
        if replica.state not in (DRAINING, State.STOPPED)
    ]


@given(scenes)
@settings(max_examples=400)
def test_planning_converges_and_then_rests(start: Scene) -> None:
    now = start
    for _ in range(40):
        now = replace(now, replicas=perform(list(now.replicas), plan(now)))
    assert plan(now) == []
    final = [replica for replica in now.replicas if replica.state is not FAILED]
    if not start.desired.frozen:
        assert [replica.revision for replica in final] == ["new"] * start.desired.replicas


@given(scenes)
def test_each_replica_gets_at_most_one_action(start: Scene) -> None:
    named = [action.replica for action in plan(start) if not isinstance(action, Start)]
    assert len(named) == len(set(named))


@given(scenes)
def test_a_change_never_takes_more_than_may_be_missing(start: Scene) -> None:
    """Nobody ready is drained below the floor (Kubernetes: maxUnavailable)."""
    if start.desired.frozen or start.desired.replicas == 0:
        return
    ready = [replica for replica in start.replicas if replica.state is READY]
    drained = {action.replica for action in plan(start) if isinstance(action, Drain)}
    remaining = sum(replica.id not in drained for replica in ready)
    floor = start.desired.replicas - start.surge.missing
    assert remaining >= min(len(ready), floor)
