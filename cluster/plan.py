"""From what is wanted and what is there to what must be done.

Pure, and level-based: the whole state goes in, the event that made us look does not. Planning
again with the same state gives the same actions; once they are carried out, the plan is empty.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cluster.lifecycle import State
from cluster.model import Desired, Replica
from cluster.rollout import Currency, is_available


@dataclass(frozen=True, slots=True)
class Start:
    """Start that many replicas of the current revision."""

    count: int


@dataclass(frozen=True, slots=True)
class Revive:
    """Start again what was stopped and kept."""

    replica: str


@dataclass(frozen=True, slots=True)
class Drain:
    """No new requests; stop it once its last one is done. `keep` it to be started again."""

    replica: str
    reason: str
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Take away what is left of it: it failed, or it has done what it was for."""

    replica: str
    reason: str


@dataclass(frozen=True, slots=True)
class Freeze:
    replica: str


@dataclass(frozen=True, slots=True)
class Thaw:
    replica: str


Action = Start | Revive | Drain | Remove | Freeze | Thaw


@dataclass(frozen=True, slots=True)
class Surge:
    """How far a change of revision, or a replacement, may go beside the desired count.

    `extra` replicas may run above it, `missing` may lack below it (counts, not shares).
    """

    extra: int = 1
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a plan depends on. `pending` is requests in flight by replica.

    `is_held`: what it depends on is not there, so nothing is started or thawed. `may_sleep`: those
    that depend on it are gone. `leased` are replicas to spare as long as others can go. `keeps`:
    who sleeps is stopped and kept; `kept` are those that may still be started again.

    Old is what is neither of `revision` nor of those `accepted`, and what is `outdated`. An old one
    goes when a new one has been ready for `healthy_for` seconds.
    """

    desired: Desired
    revision: str
    replicas: Sequence[Replica]
    surge: Surge = field(default_factory=Surge)
    pending: Mapping[str, int] = field(default_factory=dict)
    may_start: bool = True
    is_held: bool = False
    may_sleep: bool = True
    leased: Collection[str] = ()
    keeps: bool = False
    kept: Collection[str] = ()
    accepted: Collection[str] = ()
    outdated: Collection[str] = frozenset()
    healthy_for: float = 0.0
    now: float = 0.0

    def is_current(self, replica: Replica) -> bool:
        return Currency(self.revision, self.accepted, self.outdated).holds(replica)


def surge_of(desired: int, max_surge: float | int, max_unavailable: float | int) -> Surge:
    """Shares as counts: surge rounds up, unavailability down (Kubernetes deployments).

    When both come to nothing a change could never begin, so one extra is allowed.
    """
    extra = math.ceil(max_surge * desired) if isinstance(max_surge, float) else max_surge
    missing = (
        math.floor(max_unavailable * desired)
        if isinstance(max_unavailable, float)
        else max_unavailable
    )
    return Surge(max(extra, 0 if missing else 1), missing)


def plan(scene: Scene) -> list[Action]:
    """What to do now. Actions on different replicas are independent of each other."""
    actions: list[Action] = [
        Remove(replica.id, replica.reason)
        for replica in scene.replicas
        if replica.state is State.FAILED
        or (replica.state is State.STOPPED and replica.id not in scene.kept)
    ]
    if _is_sleep(scene.desired) and not scene.may_sleep:
        return actions
    if scene.desired.replicas == 0:
        return actions + _stop_all(scene)
    if scene.desired.frozen:
        return actions + _put_to_sleep(scene)
    return actions + _reach(scene)


def _is_sleep(desired: Desired) -> bool:
    return desired.replicas == 0 or desired.frozen


_ALIVE = (State.STARTING, State.READY, State.FROZEN, State.UNHEALTHY)
_CAPACITY = (State.STARTING, State.READY)


def _living(scene: Scene) -> list[Replica]:
    return [replica for replica in scene.replicas if replica.state in _ALIVE]


def _drain_all(replicas: Sequence[Replica], reason: str) -> list[Action]:
    return [Drain(replica.id, reason) for replica in replicas]


def _stop_all(scene: Scene) -> list[Action]:
    """Only what served is worth keeping, and only what would serve again."""
    return [
        Drain(replica.id, scene.desired.reason, scene.keeps and _is_worth_keeping(replica, scene))
        for replica in _living(scene)
    ]


def _is_worth_keeping(replica: Replica, scene: Scene) -> bool:
    return replica.state in (State.READY, State.FROZEN) and scene.is_current(replica)


def _put_to_sleep(scene: Scene) -> list[Action]:
    """Keep up to the desired count, frozen; what is starting is frozen once it is ready."""
    old = [replica for replica in _living(scene) if not scene.is_current(replica)]
    current = [replica for replica in _living(scene) if scene.is_current(replica)]
    victims = _victims(current, len(current) - scene.desired.replicas, scene)
    kept = [replica for replica in current if replica not in victims]
    return [
        *_drain_all(old, "a new revision will be started on wake"),
        *_drain_all(victims, scene.desired.reason),
        *(Freeze(replica.id) for replica in kept if replica.state is State.READY),
    ]


def _reach(scene: Scene) -> list[Action]:
    living = _living(scene)
    current = [replica for replica in living if scene.is_current(replica)]
    old = [replica for replica in living if not scene.is_current(replica)]
    thaws = [] if scene.is_held else _thaw(current, scene.desired.replicas)
    starts = _start(scene, current, old, len(thaws))
    surplus = _shed(scene, current)
    return [*thaws, *starts, *surplus, *_retire(scene, current, old)]


def _thaw(current: Sequence[Replica], wanted: int) -> list[Action]:
    """The oldest frozen ones first, as many as are missing."""
    missing = wanted - sum(replica.state in _CAPACITY for replica in current)
    frozen = [replica for replica in current if replica.state is State.FROZEN]
    return [Thaw(replica.id) for replica in frozen[: max(0, missing)]]


def _start(
    scene: Scene, current: Sequence[Replica], old: Sequence[Replica], thawing: int
) -> list[Action]:
    """What is still missing, but never more beside the unready and the old than may surge."""
    if scene.is_held or not scene.may_start:
        return []
    wanted = scene.desired.replicas
    capacity = sum(replica.state in _CAPACITY for replica in current) + thawing
    in_the_way = sum(replica.state is State.UNHEALTHY for replica in current) + len(old)
    room = wanted + (scene.surge.extra if in_the_way else 0) - capacity - in_the_way
    # Nothing of the old revision serves: there is nobody to go easy on.
    if old and not any(replica.state is State.READY for replica in old):
        room = wanted - capacity
    count = max(0, min(wanted - capacity, room))
    kept = [replica.id for replica in scene.replicas if replica.state is State.STOPPED]
    revived = [id for id in kept if id in scene.kept][:count]
    fresh = count - len(revived)
    return [*map(Revive, revived), *([Start(fresh)] if fresh else [])]


def _shed(scene: Scene, current: Sequence[Replica]) -> list[Action]:
    """Those above the desired count, and unready ones for which a ready one stands in."""
    wanted = scene.desired.replicas
    capable = [replica for replica in current if replica.state in _CAPACITY]
    unready = [replica for replica in current if replica.state is State.UNHEALTHY]
    ready = sum(replica.state is State.READY for replica in current)
    unready.sort(key=lambda replica: replica.id in scene.leased)
    replaced = unready[: max(0, ready + len(unready) - wanted)]
    frozen = [replica for replica in current if replica.state is State.FROZEN]
    superfluous = frozen if len(capable) >= wanted else []
    victims = _victims(capable, len(capable) - wanted, scene)
    return [
        *(Drain(replica.id, f"replaced: {replica.reason}") for replica in replaced),
        *_drain_all(superfluous, scene.desired.reason),
        *_drain_all(victims, scene.desired.reason),
    ]


def _retire(scene: Scene, current: Sequence[Replica], old: Sequence[Replica]) -> list[Action]:
    """Old replicas, as fast as enough remain that are ready, and new ones long enough."""
    serving = [replica for replica in old if replica.state is State.READY]
    available = [one for one in current if is_available(one, scene.healthy_for, scene.now)]
    spare = len(available) + len(serving) - (scene.desired.replicas - scene.surge.missing)
    useless = [replica for replica in old if replica.state is not State.READY]
    leaving = _victims(serving, spare, scene)
    return [Drain(replica.id, _why_replaced(replica, scene)) for replica in (*useless, *leaving)]


def _why_replaced(replica: Replica, scene: Scene) -> str:
    if replica.revision == scene.revision:
        return "restarted by hand"
    return f"replaced by revision {scene.revision}"


def _victims(replicas: Sequence[Replica], count: int, scene: Scene) -> list[Replica]:
    """Not ready first, then the least loaded, then the youngest; leased ones last of all."""
    youngest_first = reversed(list(replicas))
    ranked = sorted(
        youngest_first,
        key=lambda replica: (
            replica.id in scene.leased,
            replica.state is State.READY,
            scene.pending.get(replica.id, 0),
        ),
    )
    return ranked[: max(0, count)]
