"""The states of a replica and the only ways between them.

Pure. Each event has one writer: the reconciler, discovery or health. A pair that is not in the
table cannot happen.
"""

from enum import StrEnum


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    FROZEN = "frozen"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


class Event(StrEnum):
    """What may happen to a replica, and who says so."""

    DRAIN = "drain"  # reconciler: no new requests; stopped once the old ones are done
    FREEZE = "freeze"  # reconciler
    THAW = "thaw"  # reconciler
    REVIVE = "revive"  # reconciler: what was stopped and kept is started again
    PASSED = "passed"  # health: startup or readiness succeeded
    UNREADY = "unready"  # health: readiness failed, or liveness: it is replaced
    CONDEMNED = "condemned"  # health: a start missed its deadline, an eviction could not wait
    COMPLETED = "completed"  # discovery: a one-shot has ended with 0
    EXITED = "exited"  # discovery: the instance is gone or has ended


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.STARTING: {
        Event.PASSED: State.READY,
        Event.CONDEMNED: State.FAILED,
        Event.COMPLETED: State.STOPPED,
        Event.EXITED: State.FAILED,
        Event.DRAIN: State.DRAINING,
    },
    State.READY: {
        Event.COMPLETED: State.STOPPED,
        Event.UNREADY: State.UNHEALTHY,
        Event.CONDEMNED: State.FAILED,
        Event.EXITED: State.FAILED,
        Event.FREEZE: State.FROZEN,
        Event.DRAIN: State.DRAINING,
    },
    State.UNHEALTHY: {
        Event.COMPLETED: State.STOPPED,
        Event.PASSED: State.READY,
        Event.CONDEMNED: State.FAILED,
        Event.EXITED: State.FAILED,
        Event.DRAIN: State.DRAINING,
    },
    State.FROZEN: {
        Event.THAW: State.READY,
        Event.EXITED: State.FAILED,
        Event.DRAIN: State.DRAINING,
    },
    State.DRAINING: {Event.EXITED: State.STOPPED},
    State.STOPPED: {Event.REVIVE: State.STARTING},
    State.FAILED: {},
}


class InvalidTransition(Exception):
    """The event makes no sense in that state: a bug in its writer, or late news."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"a {state} replica cannot be {event}")


def may(state: State, event: Event) -> bool:
    return event in TRANSITIONS[state]


def advance(state: State, event: Event) -> State:
    """The next state. Raises InvalidTransition."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise InvalidTransition(state, event) from None
