"""What one service may have of the gateway's places when they become few.

A service whose replicas are sick keeps its requests for long, and with them clients' connections
and descriptors, of which all services have the same. So none gets all of them: of the places for
clients it may have what it may have of those for waiting requests (gateway/held.py); beyond that
its requests are refused and their connections closed. Of the descriptors for replicas it may have
as many as are free; beyond that its requests wait for one of its own.

While memory is short nobody gets a place, whatever is free (gateway/pressure.py).

While less than half of the places are taken no service can have too many, and a request pays for
one look at a flag.
"""

import math
from typing import TYPE_CHECKING

from cluster import descriptors
from gateway import problems
from gateway.held import is_fair
from gateway.problems import Problem

if TYPE_CHECKING:
    from gateway.context import Context
    from gateway.destination import Destination
    from gateway.exchange import Exchange

_OWN = 32  # descriptors for neither clients nor replicas; of few descriptors, one in sixteen
_COUNTED_FOR = 0.01  # seconds


class Crowd:
    """`is_dense`: from now on shares matter, or `is_shedding`: memory is short. `upstreams` are
    connections to replicas."""

    __slots__ = (
        "_all", "_busy", "_context", "_counted_at", "_for_clients", "_own", "_places", "is_dense",
        "is_shedding", "upstreams",
    )  # fmt: skip

    def __init__(self, context: "Context") -> None:
        self._context = context
        self._all = descriptors.limit()
        self._for_clients = descriptors.for_clients()
        self._own = min(_OWN, self._all // 16)
        self._places: float = math.inf
        self._busy = 0
        self._counted_at = -math.inf
        self.upstreams = 0
        self.is_dense = False
        self.is_shedding = False

    def look(self) -> None:
        """Connections have come or gone."""
        context, here = self._context, len(self._context.connections)
        places: float = self._for_clients - self._own
        if (limit := context.limits.connections) and here:
            everyone = context.everyone
            total = here if everyone is None else max(here, everyone.connections.total())
            # This process has its part of a limit that is for all, as the kernel deals them out.
            places = min(places, limit * here / total)
        self._places = places
        self.is_dense = here * 2 > places or self.is_shedding

    def shed(self, is_shedding: bool) -> None:
        """Whether memory is short from now on."""
        self.is_shedding = is_shedding
        self.look()

    def turn_away(self, exchange: "Exchange", now: float) -> None:
        """Answers it: memory is short, whatever its service has."""
        _refuse(exchange, problems.MEMORY_PRESSURE, now)

    def refuses(self, exchange: "Exchange", now: float) -> bool:
        """Answers it when its service has more than its share."""
        destination = exchange.destination
        if self._has_room(destination, now):
            return False
        _refuse(exchange, problems.over_share(destination.retry_after()), now)
        return True

    def may_connect(self, destination: "Destination") -> bool:
        """Whether its service may have one more connection to a replica."""
        free = self._all - self._own - len(self._context.connections) - self.upstreams
        slots = destination.dispatcher.slots
        own = sum([slot.open + len(slot.connecting) for slot in slots])
        return own < max(1, free)

    def _has_room(self, destination: "Destination", now: float) -> bool:
        if now - self._counted_at > _COUNTED_FOR:
            self._counted_at = now
            self._busy = sum([one.counters.level for one in self._context.sweep.destinations])
        level = destination.counters.level
        return not level or is_fair(level, max(level, self._busy), self._places)


def _refuse(exchange: "Exchange", problem: Problem, now: float) -> None:
    exchange.destination.counters.enter(now)
    exchange.client.keep_alive = False
    exchange.reject(problem, problem.code)
