"""Which probes a replica is owed."""

import pytest

from cluster.lifecycle import State
from cluster.model import Address
from config.service import Health, Probe
from health.duties import Duty, duties, probed_address
from tests.support.probed_world import a_health, a_replica

PLAIN = a_health()
READINESS = a_health(readiness=Probe(tcp=True))
LIVENESS = a_health(liveness=Probe(tcp=True))
BOTH = a_health(readiness=Probe(tcp=True), liveness=Probe(tcp=True))


@pytest.mark.parametrize(
    ("state", "health", "static", "owed"),
    [
        pytest.param(State.STARTING, BOTH, False, {Duty.STARTUP}, id="only startup at first"),
        pytest.param(State.READY, PLAIN, False, set(), id="nothing asked for, nothing done"),
        pytest.param(State.READY, READINESS, False, {Duty.READINESS}, id="readiness"),
        pytest.param(State.READY, BOTH, False, {Duty.READINESS, Duty.LIVENESS}, id="both"),
        pytest.param(State.UNHEALTHY, PLAIN, False, {Duty.RECOVERY}, id="a way back"),
        pytest.param(
            State.UNHEALTHY, READINESS, False, {Duty.READINESS}, id="readiness is the way back"
        ),
        pytest.param(
            State.UNHEALTHY,
            LIVENESS,
            False,
            {Duty.LIVENESS, Duty.RECOVERY},
            id="liveness is no way back for ours",
        ),
        pytest.param(
            State.UNHEALTHY, LIVENESS, True, {Duty.LIVENESS}, id="but it is for an endpoint"
        ),
        pytest.param(State.FROZEN, BOTH, False, set(), id="a frozen one cannot answer"),
        pytest.param(State.DRAINING, BOTH, False, set(), id="draining"),
        pytest.param(State.FAILED, BOTH, False, set(), id="failed"),
        pytest.param(State.STOPPED, BOTH, False, set(), id="stopped"),
    ],
)
def test_duties_follow_from_state_and_spec(
    state: State, health: Health, static: bool, owed: set[Duty]
) -> None:
    assert duties(a_replica(state=state, static=static), health) == owed


def test_a_replica_without_an_address_cannot_be_probed() -> None:
    assert duties(a_replica(address=None), BOTH) == set()


def test_a_probe_may_have_a_port_of_its_own() -> None:
    address = Address("10.0.0.7", 8080)
    assert probed_address(Probe(tcp=True), address) == address
    assert probed_address(Probe(tcp=True, port=9000), address) == Address("10.0.0.7", 9000)
