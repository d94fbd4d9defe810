"""When a dependency is there: the conditions of the Compose specification (services.depends_on:
service_started, service_healthy, service_completed_successfully), as a table."""

import pytest

from cluster.conditions import Standing, holds, is_at_work, is_in_use, serves, trouble_of
from cluster.lifecycle import State
from cluster.model import Desired, Mode, Replica, Trouble
from config.wake import Condition
from tests.cluster.builders import a_replica

WANTED = Desired(1, Mode.STABLE)


def db(*states: State, completed: bool = False) -> Standing:
    replicas = tuple(a_replica(f"db-{state}", state, service="db") for state in states)
    return Standing("db", WANTED, replicas, completed)


BEING_STARTED = Replica("db-1", "db", "new", State.STARTING, 0.0, 0.0)


@pytest.mark.parametrize(
    ("standing", "met"),
    [
        pytest.param(db(), "", id="nothing there"),
        pytest.param(Standing("db", WANTED, (BEING_STARTED,)), "", id="no instance yet"),
        pytest.param(db(State.STARTING), "started", id="an instance runs"),
        pytest.param(db(State.READY), "started healthy", id="ready"),
        pytest.param(db(State.UNHEALTHY), "started", id="unready but running"),
        pytest.param(
            db(State.UNHEALTHY, State.READY), "started healthy", id="one of two is enough"
        ),
        pytest.param(db(State.FROZEN), "", id="frozen answers nobody"),
        pytest.param(db(State.DRAINING), "", id="one that leaves is not there"),
        pytest.param(db(State.FAILED), "", id="failed"),
        pytest.param(db(completed=True), "started completed", id="ended well"),
    ],
)
def test_which_conditions_hold(standing: Standing, met: str) -> None:
    conditions: tuple[Condition, ...] = ("started", "healthy", "completed")
    assert [one for one in conditions if holds(one, standing)] == met.split()


@pytest.mark.parametrize(
    ("state", "in_use", "at_work"),
    [
        (State.STARTING, True, True),
        (State.READY, True, True),
        (State.UNHEALTHY, True, True),
        (State.DRAINING, True, False),
        (State.FROZEN, False, False),
        (State.STOPPED, False, False),
        (State.FAILED, False, False),
    ],
)
def test_who_still_uses_what_it_depends_on(state: State, in_use: bool, at_work: bool) -> None:
    assert is_in_use([a_replica("web-1", state)]) is in_use
    assert is_at_work([a_replica("web-1", state)]) is at_work
    assert serves([a_replica("web-1", state)]) is (state is State.READY)


def test_the_trouble_of_a_dependency_is_that_of_who_waits_for_it() -> None:
    boom = Trouble("start-failed", "exited with code 3", 7.0, detail="a password")
    told = trouble_of([db(), Standing("db", WANTED, trouble=boom)])
    assert told == Trouble(
        "dependency-failed", "db, which it needs, has failed: exited with code 3", 7.0
    )
    off = trouble_of([Standing("db", Desired(0, Mode.MANUAL))])
    assert off is not None
    assert (off.code, off.message) == ("dependency-off", "db, which it needs, is off by hand")
    assert trouble_of([db(State.STARTING)]) is None
