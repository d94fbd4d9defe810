"""What a simulation costs: the time that replicas exist, and how often their number was changed.

A replica costs from the decision to start it until it is gone, as in `tidegate_replica_seconds`;
while it is frozen it costs memory alone.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cluster.lifecycle import State
from cluster.model import Replica
from cluster.registry import Registry

_ENDED = (State.STOPPED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one service: seconds of replicas that were awake, and of those that were frozen."""

    awake: float = 0.0
    frozen: float = 0.0

    @property
    def seconds(self) -> float:
        return self.awake + self.frozen


class Meter:
    """Listens to the registry. `clock` is loop time in seconds."""

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._since: dict[str, tuple[str, float, bool]] = {}
        self._spent: defaultdict[tuple[str, bool], float] = defaultdict(float)
        self._desired: Counter[str] = Counter()
        self.actions = 0
        self.turns = 0
        self.starts: Counter[str] = Counter()
        self._direction: dict[str, int] = {}
        registry.on_replica(self._follow)
        registry.on_service(self._wanted)

    def costs(self) -> dict[str, Cost]:
        """Until now, by service."""
        now, spent = self._clock(), self._spent.copy()
        for service, since, frozen in self._since.values():
            spent[service, frozen] += now - since
        services = dict.fromkeys(service for service, _ in spent)  # sums follow their order
        return {
            name: Cost(spent.get((name, False), 0.0), spent.get((name, True), 0.0))
            for name in services
        }

    def present(self) -> Iterator[tuple[str, bool]]:
        """Service, and whether it is frozen, of each replica there is."""
        return ((service, frozen) for service, _, frozen in self._since.values())

    def _follow(self, replica: Replica) -> None:
        now, frozen = self._clock(), replica.state is State.FROZEN
        known = self._since.pop(replica.id, None)
        if known is not None:
            service, since, was_frozen = known
            self._spent[service, was_frozen] += now - since
        else:
            self.starts[replica.service] += replica.state not in _ENDED
        if replica.state not in _ENDED:
            self._since[replica.id] = replica.service, now, frozen

    def _wanted(self, service: str) -> None:
        wanted = self._registry.desired(service)
        number = 0 if wanted.frozen else wanted.replicas
        change = number - self._desired[service]
        if not change:
            return
        self._desired[service] = number
        self.actions += 1
        self.turns += change * self._direction.get(service, change) < 0
        self._direction[service] = change
