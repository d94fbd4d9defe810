"""How long starts took, by phase: what the engine needed, what the program needed, and both with
the wait for a place in the start budget.

Only starts that Tidegate asked for count: what was found running has no known beginning.
"""

from collections.abc import Callable

from cluster.lifecycle import State
from cluster.metrics import ClusterMetrics
from cluster.model import Replica
from cluster.registry import Registry


class ColdStarts:
    """`clock` is loop time, in seconds."""

    def __init__(
        self, registry: Registry, metrics: ClusterMetrics, clock: Callable[[], float]
    ) -> None:
        self._seconds = metrics.cold_start_seconds
        self._clock = clock
        self._decided: dict[str, float] = {}
        self._made: dict[str, float] = {}
        registry.on_replica(self._follow)

    def made(self, replica: str, service: str, begun: float) -> None:
        """The engine has answered: the instance runs. `begun`: when it was called."""
        now = self._clock()
        if replica in self._decided:
            self._made[replica] = now
        self._observe(service, "start", now - begun)

    def _follow(self, replica: Replica) -> None:
        if replica.state is State.STARTING:
            self._decided.setdefault(replica.id, replica.since)
            return
        decided = self._decided.pop(replica.id, None)
        made = self._made.pop(replica.id, None)
        if replica.state is State.READY and decided is not None and made is not None:
            self._observe(replica.service, "ready", self._clock() - made)
            self._observe(replica.service, "total", self._clock() - decided)

    def _observe(self, service: str, phase: str, seconds: float) -> None:
        self._seconds.labels(service, phase).observe(seconds)
