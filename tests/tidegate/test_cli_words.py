"""States, decisions and times in words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.views import ServiceView, as_json, service_view
from cluster.lifecycle import State
from cluster.rollout import Phase
from tests.support.operated_plane import asleep, awake, broken, replica, rolled_back
from tidegate.cli_words import (
    age,
    clean,
    count,
    decision_of,
    reload_in_words,
    rollout_of,
    span,
    state_of,
)

NOW = datetime(2023, 11, 14, 22, 15, 20, tzinfo=UTC)


def sent(view: ServiceView) -> dict[str, Any]:
    """As the command line gets it."""
    service = orjson.loads(as_json(service_view(view)))
    assert isinstance(service, dict)
    return service


def with_states(*states: State, desired: int = 1) -> dict[str, Any]:
    replicas = tuple(replica(f"web-{number}", state) for number, state in enumerate(states))
    ready = sum(state is State.READY for state in states)
    return sent(replace(asleep("web"), desired=desired, replicas=replicas, ready=ready))


@pytest.mark.parametrize(
    ("states", "desired", "word"),
    [
        ((), 0, "asleep"),
        ((), 1, "waiting"),
        ((State.STARTING,), 1, "starting"),
        ((State.READY,), 1, "ready"),
        ((State.READY, State.STARTING), 2, "scaling up"),
        ((State.READY, State.DRAINING), 1, "scaling down"),
        ((State.READY, State.UNHEALTHY), 2, "degraded"),
        ((State.READY, State.FAILED), 1, "degraded"),
        ((State.UNHEALTHY,), 1, "unhealthy"),
        ((State.FROZEN,), 1, "frozen"),
        ((State.FROZEN, State.STARTING), 1, "starting"),
        ((State.DRAINING,), 0, "stopping"),
        ((State.STOPPED,), 0, "asleep"),
    ],
)
def test_a_service_in_one_word(states: tuple[State, ...], desired: int, word: str) -> None:
    assert state_of(with_states(*states, desired=desired)) == word


@pytest.mark.parametrize(
    ("phase", "word"),
    [
        (Phase.PROGRESSING, "rolling out"),
        (Phase.RESTARTING, "restarting"),
        (Phase.ROLLING_BACK, "rolling back"),
        (Phase.FAILED, "degraded"),
        (Phase.ROLLED_BACK, "ready"),
        (Phase.PAUSED, "ready"),
    ],
)
def test_a_rollout_is_a_state_while_it_is_under_way(phase: Phase, word: str) -> None:
    rollout = orjson.loads(as_json(rolled_back("99999999", phase)))
    assert state_of({**with_states(State.READY), "rollout": rollout}) == word


def test_a_rollout_in_words() -> None:
    service = with_states(State.READY)
    assert rollout_of(service) == ""
    back = {**service, "rollout": orjson.loads(as_json(rolled_back("99999999")))}
    assert rollout_of(back) == (
        "rolled-back: 99999999 is run instead of the file's 0a1b2c3d (by hand)"
    )
    going = orjson.loads(as_json(rolled_back("99999999", Phase.PROGRESSING)))
    assert rollout_of({**service, "rollout": going}) == (
        "progressing: 0a1b2c3d → 99999999, 1 new for long enough, 0 old left"
    )


def test_a_rollout_that_was_rolled_back_does_not_make_a_sleeping_service_fail() -> None:
    trouble = {"code": "rollout-failed", "message": "revision x failed", "retry_after": 0.0}
    rollout = orjson.loads(as_json(rolled_back("99999999")))
    service = {**sent(asleep()), "trouble": trouble, "rollout": rollout}
    assert state_of(service) == "asleep"
    assert decision_of(service, NOW) == "rollout-failed: revision x failed"


def test_trouble_is_failing_unless_a_replica_serves_or_starts() -> None:
    assert state_of(sent(broken())) == "failing"
    trouble = broken().trouble
    assert state_of({**with_states(State.READY), "trouble": trouble}) == "ready"
    assert state_of({**with_states(State.STARTING), "trouble": trouble}) == "starting"


def test_a_decision_tells_its_step_its_age_and_its_reason() -> None:
    assert decision_of(sent(awake()), NOW) == (
        "1 → 2, 2m ago: 15 in flight on average over 60s, target 10 per replica"
    )
    assert decision_of(sent(asleep()), NOW) == ""


def test_trouble_comes_before_the_decision() -> None:
    assert decision_of(sent(replace(broken(), last_decision=awake().last_decision)), NOW) == (
        "crash-looping: exited with code 1: [boom] (next try in 4s)"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0, "0s"),
        (0.2, "200ms"),
        (1, "1s"),
        (59.6, "1m"),
        (75, "1m15s"),
        (3600, "1h"),
        (3661, "1h1m"),
        (86_400 + 5, "1d"),
        (90_000, "1d1h"),
    ],
)
def test_a_span_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


@given(st.floats(min_value=0, max_value=1e9))
def test_every_span_has_some_unit(seconds: float) -> None:
    assert span(seconds).endswith(("ms", "s", "m", "h", "d"))


@pytest.mark.parametrize(("seconds", "text"), [(-30, "now"), (0, "now"), (1, "1s"), (60, "1m")])
def test_an_age_is_never_negative_when_clocks_differ(seconds: int, text: str) -> None:
    assert age((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == text
    assert age(None, NOW) == ""


@given(st.text())
def test_nothing_that_was_said_can_steer_the_terminal(text: str) -> None:
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in clean(text))


def test_controls_are_shown() -> None:
    assert clean("a\x1b[31mb\nc") == "a\\x1b[31mb c"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 services"), (1, "1 service"), (10_000, "10,000 services")]
)
def test_counts(number: int, text: str) -> None:
    assert count(number, "service") == text


def test_a_reload_in_words() -> None:
    nothing: dict[str, list[str]] = {
        "added": [],
        "changed": [],
        "removed": [],
        "restart_needed": [],
    }
    assert reload_in_words(nothing) == ["reloaded: nothing changed"]
    assert reload_in_words(
        nothing | {"added": ["a", "b"], "removed": ["c"], "restart_needed": ["gateway"]}
    ) == ["reloaded", "added: a, b", "removed: c", "restart Tidegate to apply: gateway"]
    assert reload_in_words(nothing | {"warnings": ["a.yaml:3: warning: is unwise"]}) == [
        "reloaded: nothing changed",
        "a.yaml:3: warning: is unwise",
    ]
