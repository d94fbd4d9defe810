"""Which probes a replica is owed, given its state and the current spec.

Pure. The prober compares this set with the tasks it runs; there is no other reason to probe.
"""

from enum import StrEnum

from cluster.lifecycle import State
from cluster.model import Address, InstanceHealth, Replica
from config.health import Check as Check
from config.health import Health, Probe


class Duty(StrEnum):
    """Why a replica is probed; also the `kind` label of `tidegate_probes_total`."""

    STARTUP = "startup"  # until it may serve for the first time
    READINESS = "readiness"
    LIVENESS = "liveness"
    RECOVERY = "recovery"  # unhealthy, and no repeated probe could bring it back
    CONFIRM = "confirm"  # once, when traffic was refused
    # No probes of ours, where the image has a HEALTHCHECK:
    PATIENCE = "patience"  # it has to pass within the startup's deadline
    HEED = "heed"  # it failed: the replica is evicted when its turn comes


NONE: frozenset[Duty] = frozenset()
WATCHED = frozenset({State.STARTING, State.READY, State.UNHEALTHY})


def is_watched(replica: Replica) -> bool:
    """A frozen replica would fail every probe, a draining or ended one is nobody's concern."""
    return replica.address is not None and replica.state in WATCHED


def is_static(replica: Replica) -> bool:
    """An endpoint that others run: nothing we could evict or replace."""
    return replica.instance is None


def is_judged_by_engine(replica: Replica, health: Health) -> bool:
    """The image has a HEALTHCHECK, and the operator asked for no other."""
    return replica.health is not None and health.is_left_to_the_image


def duties(replica: Replica, health: Health, evicted: bool = False) -> frozenset[Duty]:
    """`evicted`: it may only come back by its liveness."""
    if not is_watched(replica):
        return NONE
    if is_judged_by_engine(replica, health):
        return _beside_the_engine(replica, health, evicted)
    if replica.state is State.STARTING:
        return frozenset({Duty.STARTUP})
    owed = {duty for duty in (Duty.READINESS, Duty.LIVENESS) if repeated(duty, health)}
    if replica.state is State.UNHEALTHY and not evicted and not _can_return(replica, owed):
        owed.add(Duty.RECOVERY)
    return frozenset(owed)


def _beside_the_engine(replica: Replica, health: Health, evicted: bool) -> frozenset[Duty]:
    if replica.state is State.STARTING:
        # How long its own check may take is the image's to say (start period, retries).
        patience = "deadline" in health.startup.model_fields_set
        return frozenset({Duty.PATIENCE}) if patience else NONE
    if replica.health is InstanceHealth.UNHEALTHY:
        return frozenset({Duty.HEED})
    if replica.state is State.UNHEALTHY and not evicted:
        return frozenset({Duty.RECOVERY})
    return NONE


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
