"""The gateway's part of a simulation: its production code, with visits instead of connections.

Arrivals and departures are played between two timers of the loop, in the order of their times; a
tie goes to the departure, whose place the arrival may take.
"""

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from config import settings as config
from config.service import Service
from gateway.context import Context, GatewayEvents
from gateway.dispatch import Slot
from gateway.gateway import Gateway
from gateway.routed import routed
from simulation.assumptions import Assumptions
from simulation.clock import VirtualTimeLoop
from simulation.ledger import Ledger
from simulation.traffic import Arrival
from simulation.visit import Visit

if TYPE_CHECKING:
    from gateway.destination import Route

_OK, _FAILED = 200, 500
_END: Arrival = (math.inf, 0.0, 0)


class Stage:
    """`gone` are replicas that have ended, which a request may still be bound to for a moment."""

    def __init__(
        self,
        settings: config.Gateway,
        events: GatewayEvents,
        assumptions: Assumptions,
        ledger: Ledger,
        rng: random.Random,
    ) -> None:
        self._settings = settings.model_copy(update={"listen": (), "tls": ()})
        self.gateway = Gateway(self._settings, events, rng)
        self.ledger = ledger
        self.gone: set[str] = set()
        self._slowdown = assumptions.slowdown
        self._fails = assumptions.answer_fails
        self._rng = rng
        self._staying: list[tuple[float, int, Visit]] = []
        self._turns = count(1)
        self._routes: list[Route] = []
        self._arrivals: Iterator[Arrival] = iter(())
        self._next = _END
        self._begins = 0.0

    @property
    def context(self) -> Context:
        return self.gateway.context

    async def open(
        self, services: Mapping[str, Service], names: Iterable[str], arrivals: Iterator[Arrival],
        now: float,
    ) -> None:  # fmt: skip
        """From `now` on (loop time) the arrivals come; `names` are those of their services."""
        self.gateway.configure(
            [routed(name, service) for name, service in services.items()], self._settings
        )
        await self.gateway.start()
        self._routes = [self.context.routes[name] for name in names]
        self._arrivals, self._begins = arrivals, now
        self._advance()

    async def levels(self) -> dict[str, int]:
        """Requests in flight and queued, by service."""
        used = (route.destination for route in self._routes if route.destination is not None)
        return {destination.name: destination.counters.level for destination in used}

    @property
    def is_over(self) -> bool:
        """Everybody has come, and has gone again."""
        return self._next is _END and not self._staying and not self.context.connections

    # Between two timers

    def play(self, loop: VirtualTimeLoop) -> None:
        staying = self._staying
        while not loop.stirred:
            comes = self._next[0]
            if staying and staying[0][0] <= comes:
                if staying[0][0] > loop.horizon:
                    return
                at, turn, visit = heappop(staying)
                loop.now = at
                if turn == visit.turn:
                    self._leave(visit, at)
            elif comes <= loop.horizon and comes < math.inf:
                loop.now = comes
                self._come(comes)
            else:
                return

    def _come(self, now: float) -> None:
        _, seconds, service = self._next
        self._advance()
        route = self._routes[service]
        destination = route.destination or self.context.destination(route)
        Visit(self, destination, seconds, now).begin(now)

    def _advance(self) -> None:
        after = next(self._arrivals, _END)
        self._next = _END if after is _END else (after[0] + self._begins, after[1], after[2])

    def stay(self, visit: Visit, slot: Slot, now: float) -> None:
        """It is in that replica from now on."""
        seconds = visit.seconds * self._slowdown(slot.in_flight)
        turn = visit.turn = next(self._turns)
        heappush(
            self._staying, (now + min(seconds, visit.destination.response_timeout), turn, visit)
        )

    def _leave(self, visit: Visit, now: float) -> None:
        if now - visit.sent_at >= visit.destination.response_timeout:
            visit.give_up(now)
        elif self._fails and self._rng.random() < self._fails:
            visit.answer(_FAILED, now)
        else:
            visit.answer(_OK, now)

    def ended(self, replica: str) -> None:
        """Whoever is in it is lost, and has to be sent elsewhere."""
        self.gone.add(replica)
        lost = [one for _, turn, one in self._staying if turn == one.turn and _is_in(one, replica)]
        if lost:
            leaving = set(lost)
            self._staying[:] = [entry for entry in self._staying if entry[2] not in leaving]
            heapify(self._staying)
        for visit in lost:
            visit.lose()


def _is_in(visit: Visit, replica: str) -> bool:
    return visit.slot is not None and visit.slot.endpoint.replica == replica
