"""The table is complete, closed, and has only ends that are ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.lifecycle import TRANSITIONS, Event, InvalidTransition, State, advance, may


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(State)


ENDS = (State.STOPPED, State.FAILED)


def test_only_failed_is_an_end_for_ever_and_what_was_stopped_can_only_begin_anew() -> None:
    assert {state for state, row in TRANSITIONS.items() if not row} == {State.FAILED}
    assert TRANSITIONS[State.STOPPED] == {Event.REVIVE: State.STARTING}


@pytest.mark.parametrize("state", [state for state in State if state not in ENDS])
def test_whatever_lives_can_end(state: State) -> None:
    assert advance(state, Event.EXITED) in (State.FAILED, State.STOPPED)


def test_a_drained_replica_serves_nobody_before_it_was_started_again() -> None:
    assert TRANSITIONS[State.DRAINING] == {Event.EXITED: State.STOPPED}


@given(st.sampled_from(list(State)), st.sampled_from(list(Event)))
def test_advance_agrees_with_may(state: State, event: Event) -> None:
    if may(state, event):
        assert advance(state, event) in State
    else:
        with pytest.raises(InvalidTransition, match=f"a {state} replica cannot be {event}"):
            advance(state, event)
