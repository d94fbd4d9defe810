"""Which replicas a gateway may still have requests of.

A replica counts as routed from the snapshot that first names it until the gateway said that it is
drained after leaving.
"""

import asyncio

from cluster.messages import Drained, EndpointSnapshot
from cluster.registry import Registry


class Routed:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._replicas: set[str] = set()
        self._leaving: dict[str, asyncio.Event] = {}
        registry.on_snapshot(self._note)

    def drained(self, message: Drained) -> None:
        """Law: believed only of a replica that is not in the current snapshot.

        A service that left the configuration has no route: the gateway let go of all it had.
        """
        current = self._registry.snapshot(message.service).endpoints
        routed = message.service in self._registry.specs
        if routed and any(endpoint.replica == message.replica for endpoint in current):
            return
        self._replicas.discard(message.replica)
        if (waiting := self._leaving.pop(message.replica, None)) is not None:
            waiting.set()

    async def left(self, replica: str) -> None:
        """Until no gateway has a request of this replica in flight."""
        if replica in self._replicas:
            await self._leaving.setdefault(replica, asyncio.Event()).wait()

    def forget(self, replica: str) -> None:
        self._replicas.discard(replica)
        self._leaving.pop(replica, None)

    def _note(self, snapshot: EndpointSnapshot) -> None:
        self._replicas.update(endpoint.replica for endpoint in snapshot.endpoints)
