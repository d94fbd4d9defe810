"""The table of the world: every fact about services and replicas, each with one writer.

Specs are written by the composition root, *desired* by the autoscaler, verdicts and ejections by
health, instances by discovery, starts and ends by the reconciler. Whatever changes, each service
has one current immutable EndpointSnapshot, and it is published before the writer's call returns.
A service that was never used costs no more than its spec.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cluster.lifecycle import Event, State, advance, may
from cluster.messages import Endpoint, EndpointSnapshot
from cluster.model import Address, Desired, InstanceHealth, Mode, Replica, Trouble
from config.links import one_shots
from config.service import Service

_LIVING = (State.STARTING, State.READY, State.UNHEALTHY)
ASLEEP = Desired(0, reason="never used")


@dataclass(slots=True)
class _Record:
    """What is known of a service that was used at least once."""

    desired: Desired = ASLEEP
    trouble: Trouble | None = None
    start_seconds: float | None = None
    completed: str | None = None  # the revision of a one-shot that has ended well
    replicas: dict[str, Replica] = field(default_factory=dict)
    ejected: dict[str, str] = field(default_factory=dict)  # each with the reason
    withheld: set[str] = field(default_factory=set)
    snapshot: EndpointSnapshot | None = None


class Registry:
    """All facts. Listeners are called at once, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._specs: Mapping[str, Service] = {}
        self._one_shots: frozenset[str] = frozenset()
        self._records: dict[str, _Record] = {}
        self._service_of: dict[str, str] = {}
        self._on_snapshot: list[Callable[[EndpointSnapshot], None]] = []
        self._on_replica: list[Callable[[Replica], None]] = []
        self._on_service: list[Callable[[str], None]] = []

    # Reading

    @property
    def specs(self) -> Mapping[str, Service]:
        return self._specs

    def used_services(self) -> Iterator[str]:
        """Names of services that have ever been wanted or had a replica."""
        return iter(tuple(self._records))

    def replicas(self, service: str) -> tuple[Replica, ...]:
        """Oldest first, ended ones until they are forgotten."""
        record = self._records.get(service)
        return tuple(record.replicas.values()) if record else ()

    def replica(self, replica: str) -> Replica | None:
        service = self._service_of.get(replica)
        return self._records[service].replicas.get(replica) if service is not None else None

    def known(self) -> dict[str, Replica]:
        """All replicas of all services, by their id."""
        return {
            id: replica
            for record in self._records.values()
            for id, replica in record.replicas.items()
        }

    def desired(self, service: str) -> Desired:
        record = self._records.get(service)
        return record.desired if record else ASLEEP

    def trouble(self, service: str) -> Trouble | None:
        record = self._records.get(service)
        return record.trouble if record else None

    def is_one_shot(self, service: str) -> bool:
        """It runs once, and ending with 0 is its success: another service waits for that."""
        return service in self._one_shots

    def completed(self, service: str) -> str | None:
        """The revision of a one-shot that has ended well since it was last wanted."""
        record = self._records.get(service)
        return record.completed if record else None

    def start_seconds(self, service: str) -> float | None:
        """Measured time from the decision to start to ready, seconds, smoothed."""
        record = self._records.get(service)
        return record.start_seconds if record else None

    def is_ejected(self, replica: str) -> bool:
        return self.ejection(replica) is not None

    def ejection(self, replica: str) -> str | None:
        """Why it gets no requests for a while although it is ready."""
        service = self._service_of.get(replica)
        return None if service is None else self._records[service].ejected.get(replica)

    def snapshot(self, service: str) -> EndpointSnapshot:
        record = self._records.get(service)
        return (record and record.snapshot) or EndpointSnapshot(service, 0)

    # Subscribing

    def on_snapshot(self, listener: Callable[[EndpointSnapshot], None]) -> None:
        """Called with each new snapshot."""
        self._on_snapshot.append(listener)

    def on_replica(self, listener: Callable[[Replica], None]) -> None:
        """Called with a replica after each change of it, its first appearance included."""
        self._on_replica.append(listener)

    def on_service(self, listener: Callable[[str], None]) -> None:
        """Called with the name of a service whenever anything about it changed."""
        self._on_service.append(listener)

    # Writing: the composition root

    def configure(self, specs: Mapping[str, Service]) -> None:
        """Replace all specs; the services that had any record are announced as changed."""
        self._specs = specs
        self._one_shots = one_shots(specs.values())
        for service in self.used_services():
            self._announce(service)

    # Writing: the autoscaler

    def want(self, service: str, desired: Desired) -> None:
        record = self._record(service)
        if record.desired != desired:
            record.desired = desired
            if desired.replicas == 0:
                record.completed = None
            self._publish(service, record)
            self._announce(service)

    # Writing: the reconciler and discovery

    def add(self, replica: Replica) -> None:
        self._service_of[replica.id] = replica.service
        self._put(replica)

    def locate(
        self,
        replica: str,
        instance: str,
        address: Address | None,
        health: InstanceHealth | None = None,
    ) -> None:
        """The instance behind a replica, once the runtime told it."""
        known = self.replica(replica)
        if known and (known.instance, known.address) != (instance, address):
            self._put(replace(known, instance=instance, address=address, health=health))

    def note_health(self, replica: str, instance: str, health: InstanceHealth | None) -> None:
        """What the engine's own check says of it; late news of another instance is ignored."""
        known = self.replica(replica)
        if known and known.instance == instance and known.health is not health:
            self._put(replace(known, health=health))

    def claimants(self, address: Address) -> list[str]:
        """Living replicas of ours that we believe at that address."""
        return [
            replica.id
            for record in self._records.values()
            for replica in record.replicas.values()
            if replica.address == address
            and replica.instance is not None
            and replica.state in _LIVING
        ]

    def withhold(self, replica: str, withheld: bool) -> None:
        """Keep it out of the snapshot: it is said to have ended, and what that means for it is
        not known yet. Its address may be another's already."""
        service = self._service_of.get(replica)
        if service is not None:
            record = self._records[service]
            (record.withheld.add if withheld else record.withheld.discard)(replica)
            self._publish(service, record)

    def complete(self, replica: str) -> None:
        """A one-shot has ended well. Once nobody wants it any more, it is to run again."""
        known = self.replica(replica)
        if known is not None and self.desired(known.service).replicas > 0:
            self._record(known.service).completed = known.revision

    def forget(self, replica: str) -> None:
        service = self._service_of.pop(replica, None)
        if service is None:
            return
        record = self._records[service]
        del record.replicas[replica]
        record.ejected.pop(replica, None)
        record.withheld.discard(replica)
        self._publish(service, record)
        self._announce(service)

    def set_trouble(self, service: str, trouble: Trouble | None) -> None:
        record = self._record(service)
        if record.trouble != trouble:
            record.trouble = trouble
            self._publish(service, record)
            self._announce(service)

    def touch(self, service: str) -> None:
        """Nothing changed in the table, but the world should be looked at again."""
        self._announce(service)

    # Writing: whoever owns the event (see lifecycle.Event)

    def advance(self, replica: str, event: Event, reason: str, now: float) -> bool:
        """Move a replica along the lifecycle table; False for late news about it."""
        known = self.replica(replica)
        if known is None or not may(known.state, event):
            return False
        if known.state is State.STARTING and event is Event.PASSED:
            self._measure_start(known.service, now - known.since)
        self._put(replace(known, state=advance(known.state, event), since=now, reason=reason))
        return True

    # Writing: health

    def eject(self, replica: str, ejected: bool, reason: str = "") -> None:
        """Keep a ready replica out of the snapshot for a while, or let it back."""
        service = self._service_of.get(replica)
        if service is None:
            return
        record = self._records[service]
        if ejected:
            record.ejected[replica] = reason
        else:
            record.ejected.pop(replica, None)
        self._publish(service, record)
        self._announce(service)

    # The rest is private

    def _record(self, service: str) -> _Record:
        return self._records.setdefault(service, _Record())

    def _put(self, replica: Replica) -> None:
        record = self._record(replica.service)
        record.replicas[replica.id] = replica
        self._publish(replica.service, record)
        for listener in self._on_replica:
            listener(replica)
        self._announce(replica.service)

    def _announce(self, service: str) -> None:
        for listener in self._on_service:
            listener(service)

    def _measure_start(self, service: str, seconds: float) -> None:
        record = self._record(service)
        former = record.start_seconds
        record.start_seconds = seconds if former is None else 0.7 * former + 0.3 * seconds

    def _publish(self, service: str, record: _Record) -> None:
        former = record.snapshot or EndpointSnapshot(service, 0)
        snapshot = EndpointSnapshot(
            service,
            former.version,
            endpoints=_endpoints(record),
            trouble=_trouble_to_tell(record),
            start_seconds=record.start_seconds,
            frozen=any(one.state is State.FROZEN for one in record.replicas.values()),
            ends_silent=self._ends_silent(service, record.desired),
            draining=_draining(record),
        )
        if snapshot == former or _only_forgets(snapshot, former):
            return
        record.snapshot = replace(snapshot, version=former.version + 1)
        for listener in self._on_snapshot:
            listener(record.snapshot)

    def _ends_silent(self, service: str, desired: Desired) -> float | None:
        """Only the way to sleep ends them: by hand or in a rollout they have the time to drain."""
        spec = self._specs.get(service)
        if spec is None or desired is ASLEEP or desired.mode is not Mode.IDLE:
            return None
        idle = spec.scaling.idle
        if desired.frozen:
            return idle.freeze_after
        return idle.stop_after if desired.replicas <= spec.scaling.min else None


def _endpoints(record: _Record) -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(replica.id, replica.address, replica.revision)
        for replica in record.replicas.values()
        if replica.state is State.READY
        and replica.address
        and replica.id not in record.ejected
        and replica.id not in record.withheld
    )


def _draining(record: _Record) -> tuple[str, ...]:
    states = record.replicas.values()
    return tuple(replica.id for replica in states if replica.state is State.DRAINING)


def _only_forgets(snapshot: EndpointSnapshot, former: EndpointSnapshot) -> bool:
    """That a drained replica has ended is no news for a gateway, which had nothing of it left."""
    same = replace(snapshot, draining=former.draining) == former
    return same and set(snapshot.draining) <= set(former.draining)


def _trouble_to_tell(record: _Record) -> Trouble | None:
    """None while a replica is on its way: its waiting requests may still be served. What may not
    be awake at all is no trouble of a replica: that is told whatever there is."""
    if record.desired.refusal is not None:
        return record.desired.refusal
    on_its_way = any(replica.state is State.STARTING for replica in record.replicas.values())
    if on_its_way or record.trouble is None or record.trouble.at_once:
        return None
    return replace(record.trouble, detail="")
