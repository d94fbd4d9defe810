"""Which probes a replica is owed, given its state and the current spec.

Pure. The prober compares this set with the tasks it runs; there is no other reason to probe.
"""

from enum import StrEnum

from cluster.lifecycle import State
from cluster.model import Address, Replica
from config.health import Check as Check
from config.health import Health, Probe


class Duty(StrEnum):
    """Why a replica is probed; also the `kind` label of `tidegate_probes_total`."""

    STARTUP = "startup"  # until it may serve for the first time
    READINESS = "readiness"
    LIVENESS = "liveness"
    RECOVERY = "recovery"  # unhealthy, and no repeated probe could bring it back
    CONFIRM = "confirm"  # once, when traffic was refused


NONE: frozenset[Duty] = frozenset()
WATCHED = frozenset({State.STARTING, State.READY, State.UNHEALTHY})


def is_watched(replica: Replica) -> bool:
    """A frozen replica would fail every probe, a draining or ended one is nobody's concern."""
    return replica.address is not None and replica.state in WATCHED


def is_static(replica: Replica) -> bool:
    """An endpoint that others run: nothing we could evict or replace."""
    return replica.instance is None


def duties(replica: Replica, health: Health) -> frozenset[Duty]:
    if not is_watched(replica):
        return NONE
    if replica.state is State.STARTING:
        return frozenset({Duty.STARTUP})
    owed = {duty for duty in (Duty.READINESS, Duty.LIVENESS) if repeated(duty, health)}
    if replica.state is State.UNHEALTHY and not _can_return(replica, owed):
        owed.add(Duty.RECOVERY)
    return frozenset(owed)


def repeated(duty: Duty, health: Health) -> Probe | None:
    """The repeated probe behind a duty, where the operator asked for one."""
    return health.liveness if duty is Duty.LIVENESS else health.readiness


def probed_address(check: Check, address: Address) -> Address:
    """Health may be asked for at another port than the one that serves."""
    return address if check.port is None else Address(address.host, check.port)


def is_tcp(check: Check) -> bool:
    return check.http is None and check.exec is None and not check.grpc


def _can_return(replica: Replica, owed: set[Duty]) -> bool:
    # Liveness speaks only about death, except on an endpoint that we may not condemn.
    return Duty.READINESS in owed or (is_static(replica) and Duty.LIVENESS in owed)
