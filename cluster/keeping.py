"""What was stopped and is kept, to be started again: `scaling.idle.remove_after`.

Kept is never capacity: it is stopped, and only a start away from being the same replica again. Who
runs once has nothing to keep.
"""

from collections.abc import Callable, Collection, Sequence

from cluster.lifecycle import State
from cluster.model import Exit, Instance, InstanceStatus, Replica
from cluster.registry import Registry
from config.service import Service

_ENDED_WELL = (0, -15, -9)  # by itself on SIGTERM, by SIGTERM, by SIGKILL after its grace


class Keeping:
    """`can` says whether the engine keeps what was stopped; `clock` is loop time."""

    def __init__(self, registry: Registry, clock: Callable[[], float], *, can: bool) -> None:
        self._registry = registry
        self._clock = clock
        self._can = can

    def keeps(self, spec: Service) -> bool:
        """Whoever of this service goes to sleep is kept."""
        wished = spec.scaling.idle.remove_after is not None and not spec.endpoints
        return self._can and wished and not self._registry.is_one_shot(spec.name)

    def kept(self, spec: Service, revision: str, replicas: Sequence[Replica]) -> Collection[str]:
        """Those that may still be started again."""
        if not self.keeps(spec):
            return ()
        return [
            replica.id
            for replica in replicas
            if replica.state is State.STOPPED
            and replica.instance is not None
            and replica.revision == revision
            and self._left(spec, replica) > 0
        ]

    def until_first_end(
        self, spec: Service, replicas: Sequence[Replica], kept: Collection[str]
    ) -> float:
        """Seconds until the first of them is to be removed."""
        return min(self._left(spec, replica) for replica in replicas if replica.id in kept)

    def was_kept(self, instance: Instance) -> bool:
        """Found after a restart of ours: what ended by a failure is not worth keeping."""
        spec = self._registry.specs.get(instance.service)
        end = instance.exit or Exit()
        ended_well = end.code in _ENDED_WELL and not end.oom
        ended = instance.status is InstanceStatus.EXITED and ended_well
        return ended and spec is not None and self.keeps(spec)

    def _left(self, spec: Service, replica: Replica) -> float:
        return replica.since + (spec.scaling.idle.remove_after or 0.0) - self._clock()
