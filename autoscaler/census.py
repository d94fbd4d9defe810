"""The replicas of services, counted anew only after something about a service has changed."""

from collections import Counter

from autoscaler.decision import Counts
from cluster.lifecycle import State
from cluster.registry import Registry


class Census:
    """Remembers the counts of those it is told to `follow`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[str, Counts | None] = {}
        registry.on_service(self._forget_counts)

    def follow(self, service: str) -> None:
        """It is decided about often from now on."""
        self._known.setdefault(service)

    def leave(self, service: str) -> None:
        self._known.pop(service, None)

    def counts(self, service: str) -> Counts:
        known = self._known.get(service)
        if known is None:
            states = Counter(replica.state for replica in self._registry.replicas(service))
            known = Counts(states[State.READY], states[State.STARTING], states[State.FROZEN])
            if service in self._known:
                self._known[service] = known
        return known

    def _forget_counts(self, service: str) -> None:
        if service in self._known:
            self._known[service] = None
