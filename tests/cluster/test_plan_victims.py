"""Who goes first, who is spared, and who has to wait: leases and dependencies in a plan."""

from typing import Any

import pytest
from hypothesis import given

from cluster.lifecycle import State
from cluster.plan import Drain, Scene, plan
from tests.cluster.builders import a_replica
from tests.cluster.test_plan import (
    FAILED,
    FROZEN,
    READY,
    STARTING,
    UNHEALTHY,
    old,
    scene,
    scenes,
    shape,
)

LEASED: dict[str, Any] = {"leased": {"a"}}
HELD: dict[str, Any] = {"is_held": True}
NEEDED: dict[str, Any] = {"may_sleep": False}
KEPT = a_replica("k", State.STOPPED)
ONE_LEFT = (a_replica("a", UNHEALTHY), a_replica("b", UNHEALTHY), a_replica("c"))


@pytest.mark.parametrize(
    ("given_scene", "expected"),
    [
        pytest.param(
            scene(1, a_replica("a"), a_replica("b"), a_replica("c"), pending={"c": 1}),
            ["drain b", "drain a"],
            id="least loaded, then youngest",
        ),
        pytest.param(
            scene(1, a_replica("a", STARTING), a_replica("b"), a_replica("c"), pending={"b": 1}),
            ["drain a", "drain c"],
            id="not ready before all others, however old",
        ),
        pytest.param(
            scene(1, a_replica("a"), a_replica("b"), pending={"a": 0, "b": 9}, **LEASED),
            ["drain b"],
            id="the busy one goes before the leased one",
        ),
        pytest.param(
            scene(1, a_replica("a", STARTING), a_replica("b"), **LEASED),
            ["drain b"],
            id="so does the ready one",
        ),
        pytest.param(
            scene(1, a_replica("a"), a_replica("b"), leased={"a", "b"}),
            ["drain b"],
            id="of leased ones alone, the youngest",
        ),
        pytest.param(
            scene(0, a_replica("a"), **LEASED), ["drain a"], id="to zero a lease of one is none"
        ),
        pytest.param(
            scene(1, *ONE_LEFT, **LEASED),
            ["drain b", "drain a"],
            id="unready ones for which another stands in: the leased one last",
        ),
        pytest.param(
            scene(2, *ONE_LEFT, **LEASED),
            ["drain b"],
            id="and not at all when one is enough",
        ),
        pytest.param(
            scene(2, old("a"), old("b"), a_replica("c"), **LEASED),
            ["drain b"],
            id="a change of revision takes the leased one last",
        ),
        pytest.param(
            scene(1, a_replica("a"), a_replica("b"), frozen=True, **LEASED),
            ["drain b", "freeze a"],
            id="sleep keeps the leased one",
        ),
        pytest.param(scene(2, **HELD), [], id="held: nothing is started"),
        pytest.param(scene(1, a_replica("a", FROZEN), **HELD), [], id="held: nothing is thawed"),
        pytest.param(
            scene(1, a_replica("a", FAILED), **HELD),
            ["remove a"],
            id="held: a failed one goes",
        ),
        pytest.param(scene(0, a_replica("a"), **NEEDED), [], id="needed: not stopped yet"),
        pytest.param(
            scene(1, a_replica("a"), frozen=True, **NEEDED), [], id="needed: not frozen yet"
        ),
        pytest.param(
            scene(1, a_replica("a"), a_replica("b"), **NEEDED),
            ["drain b"],
            id="needed: fewer is no sleep",
        ),
        pytest.param(scene(0, KEPT, kept={"k"}), [], id="kept: it stays"),
        pytest.param(scene(0, KEPT), ["remove k"], id="kept no longer: it goes"),
        pytest.param(
            scene(2, KEPT, kept={"k"}), ["revive k", "start 1"], id="kept: before a new one"
        ),
        pytest.param(
            scene(1, KEPT, a_replica("a", STARTING), kept={"k"}), [], id="kept: not one too many"
        ),
        pytest.param(
            scene(1, KEPT, a_replica("a", FROZEN), kept={"k"}), ["thaw a"], id="frozen comes first"
        ),
        pytest.param(
            scene(1, KEPT, kept={"k"}, may_start=False), [], id="kept: back-off holds for it too"
        ),
        pytest.param(scene(1, KEPT, kept={"k"}, **HELD), [], id="kept: so do dependencies"),
        pytest.param(
            scene(1, a_replica("a", State.STOPPED), may_start=False),
            ["remove a"],
            id="what has completed is taken away",
        ),
    ],
)
def test_plan_for_leases_and_dependencies(given_scene: Scene, expected: list[str]) -> None:
    assert shape(plan(given_scene)) == expected


@pytest.mark.parametrize("keeps", [True, False])
def test_only_what_served_and_would_serve_again_is_kept(keeps: bool) -> None:
    states = (READY, FROZEN, STARTING, UNHEALTHY)
    replicas = [a_replica(state.value, state) for state in states]
    actions = plan(scene(0, *replicas, old("old"), keeps=keeps))
    assert all(isinstance(action, Drain) for action in actions)
    kept = [action.replica for action in actions if isinstance(action, Drain) and action.keep]
    assert kept == (["ready", "frozen"] if keeps else [])


@given(scenes)
def test_no_leased_replica_goes_while_another_of_its_kind_stays(start: Scene) -> None:
    """Of the ready ones of a revision; going to zero takes all of them anyway."""
    gone = {action.replica for action in plan(start) if isinstance(action, Drain)}
    for revision in ("new", "old"):
        ready = [r.id for r in start.replicas if r.state is READY and r.revision == revision]
        if gone & set(ready) & set(start.leased):
            assert not set(ready) - gone - set(start.leased)
