"""When a dependency is there, and when it may go: the conditions of Compose's `depends_on`.

Pure. started: an instance of it runs. healthy: a replica is ready. completed: it has run and ended
with 0 since it was last wanted, in its current revision. Who stops last is the other way round: a
dependency stays until nobody runs any more who depends on it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cluster.lifecycle import State
from cluster.model import Desired, Mode, Replica, Trouble
from config.wake import Condition

_RUNS = (State.STARTING, State.READY, State.UNHEALTHY)
_USES = (*_RUNS, State.DRAINING)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a dependency. `trouble`: why it can have no replica now."""

    service: str
    desired: Desired
    replicas: Sequence[Replica] = ()
    has_completed: bool = False
    trouble: Trouble | None = None


def holds(condition: Condition, standing: Standing) -> bool:
    match condition:
        case "started":
            return standing.has_completed or any(map(_runs, standing.replicas))
        case "healthy":
            return any(replica.state is State.READY for replica in standing.replicas)
        case "completed":
            return standing.has_completed


def trouble_of(missing: Iterable[Standing]) -> Trouble | None:
    """Why the service that waits for these cannot have a replica; None: it may have one soon."""
    for standing in missing:
        if standing.desired.mode is Mode.MANUAL and standing.desired.replicas == 0:
            return Trouble("dependency-off", f"{standing.service}, which it needs, is off by hand")
        if standing.trouble is not None:
            return Trouble(
                "dependency-failed",
                f"{standing.service}, which it needs, has failed: {standing.trouble.message}",
                standing.trouble.retry_after,
            )
    return None


def is_in_use(dependants: Iterable[Replica]) -> bool:
    """Some of those that depend on it still run; frozen ones ask for nothing."""
    return any(replica.state in _USES for replica in dependants)


def is_at_work(replicas: Iterable[Replica]) -> bool:
    """Of a one-shot: half of a migration is worse than none, so it is left to end."""
    return any(replica.state in _RUNS for replica in replicas)


def serves(replicas: Iterable[Replica]) -> bool:
    return any(replica.state is State.READY for replica in replicas)


def _runs(replica: Replica) -> bool:
    return replica.state in _RUNS and replica.instance is not None
