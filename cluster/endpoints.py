"""Services that others run: each address is a replica without an instance.

It is ready from the start, until a probe or traffic finds that it is not; nobody starts or stops
it.
"""

from collections.abc import Callable

from cluster.lifecycle import State
from cluster.model import Address, Replica
from cluster.registry import Registry
from config.service import Service


class StaticEndpoints:
    def __init__(
        self, registry: Registry, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._wall = wall

    def follow(self, spec: Service) -> list[str]:
        """Add those that are new; returns the replicas whose address was taken away."""
        wanted = {f"{spec.name}-{address}": Address.parse(address) for address in spec.endpoints}
        present = {replica.id: replica for replica in self._registry.replicas(spec.name)}
        for replica, address in wanted.items():
            if replica not in present:
                self._add(spec.name, replica, address)
        return [
            replica.id
            for replica in present.values()
            if replica.id not in wanted and replica.state is not State.DRAINING
        ]

    def _add(self, service: str, replica: str, address: Address) -> None:
        now = self._clock()
        self._registry.add(
            Replica(replica, service, "", State.READY, self._wall(), now, None, address)
        )
