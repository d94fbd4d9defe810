"""What the API shows of services and replicas, and how a value becomes JSON.

Pure. The fields are the public contract: they may grow, they are never renamed. Times are RFC 3339
in UTC, counts are whole numbers, durations are seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from cluster.lifecycle import State
from cluster.model import Mode, Replica, Trouble
from cluster.rollout import Phase
from cluster.runtime import LogLine

if TYPE_CHECKING:
    from cluster.events import Happening


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """One copy of a service. `reason` says why it is in its state, or why it is ejected: ready,
    but without requests for a while."""

    id: str
    state: State
    address: str | None
    revision: str
    in_flight: int
    started_at: datetime
    reason: str
    ejected: bool = False

    @classmethod
    def of(cls, replica: Replica, in_flight: int, ejection: str | None = None) -> "ReplicaView":
        return cls(
            id=replica.id,
            state=replica.state,
            address=str(replica.address) if replica.address else None,
            revision=replica.revision,
            in_flight=in_flight,
            started_at=moment(replica.started_at),
            reason=replica.reason if ejection is None else ejection,
            ejected=ejection is not None,
        )


@dataclass(frozen=True, slots=True)
class TroubleView:
    """`message` includes what the replica itself said: the API is for operators."""

    code: str
    message: str
    retry_after: float

    @classmethod
    def of(cls, trouble: Trouble) -> "TroubleView":
        return cls(trouble.code, str(trouble), trouble.retry_after)


@dataclass(frozen=True, slots=True)
class LeaseView:
    """Until then the service neither freezes nor stops; `replica` is spared in a scale-in."""

    id: str
    service: str
    until: datetime
    replica: str | None = None


@dataclass(frozen=True, slots=True)
class RolloutView:
    """How replicas are being replaced, or that the file's revision is pinned out.

    `revision` is what is started now, `former` what it replaces, `filed` what the file says;
    `available` counts new replicas that were ready for `healthy_for`, `old` those still to leave.
    `reason` says why the file's revision is not run; `since` when the rollout under way began.
    """

    phase: Phase
    revision: str
    former: str
    filed: str
    available: int
    old: int
    since: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One service now. `desired` is what the autoscaler wants, `ready` how many may serve.

    `waits_for` names what must be there before its first replica; `completed` says that a service
    that runs once has ended well. `min` and `max` are those in force now, by a schedule or as
    configured. `revision` is what runs; where it is not the file's, or is not yet, `rollout` says
    so.
    """

    name: str
    revision: str
    desired: int
    mode: Mode
    in_flight: int
    queued: int
    replicas: tuple[ReplicaView, ...] = ()
    last_decision: Mapping[str, object] | None = None  # as ControlPlane.decisions tells it
    trouble: TroubleView | None = None
    hosts: tuple[str, ...] = ()
    min: int = 0
    max: int = 0
    ready: int = 0
    leases: tuple[LeaseView, ...] = ()
    waits_for: tuple[str, ...] = ()
    completed: bool = False
    rollout: RolloutView | None = None

    @property
    def is_used(self) -> bool:
        """Something runs, waits or is wrong: worth a line where thousands are asleep."""
        return bool(self.desired or self.replicas or self.queued or self.in_flight or self.trouble)


def moment(seconds: float) -> datetime:
    """Wall-clock seconds since 1970 as the time that people read."""
    return datetime.fromtimestamp(seconds, UTC)


def service_view(service: ServiceView) -> ServiceView:
    decision = service.last_decision
    return service if decision is None else replace(service, last_decision=dated(decision))


def happening_view(happening: "Happening") -> dict[str, object]:
    return {
        "id": happening.id,
        "at": moment(happening.at),
        "kind": happening.kind,
        "message": happening.message,
        "service": happening.service,
        "replica": happening.replica,
    }


def log_line_view(line: LogLine) -> dict[str, object]:
    return {
        "replica": line.replica,
        "stream": line.stream,
        "at": None if line.at is None else moment(line.at),
        "text": line.text,
    }


def dated(facts: Mapping[str, object]) -> dict[str, object]:
    """The same facts, with `at`, `since` and `until` as times instead of seconds."""
    times = {name: facts.get(name) for name in ("at", "since", "until")}
    found = {name: moment(at) for name, at in times.items() if isinstance(at, int | float)}
    return {**facts, **found}


def as_json(value: object) -> bytes:
    """Dataclasses, enums, times and mappings included; infinities become null."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z)


def _plain(value: Any) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be shown as JSON")
