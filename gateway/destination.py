"""Everything the gateway keeps of one service that was used: made on first use, not before.

A sleeping service has only a Route, so that ten thousand of them cost next to nothing.
"""

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.messages import EndpointSnapshot, Recorded
from gateway.account import Account
from gateway.dispatch import Dispatcher
from gateway.door import Door
from gateway.held import Held
from gateway.peers import Everyone
from gateway.problems import Problem
from gateway.retry import Budget
from gateway.routed import Routed, Sleeping
from gateway.stats import Counters

if TYPE_CHECKING:
    from gateway.exchange import Exchange

_WAKE_AGAIN = 1.0


@dataclass(slots=True, eq=False)
class Route:
    """A configured service, asleep or not."""

    service: Routed
    snapshot: EndpointSnapshot | None = None
    destination: "Destination | None" = None


class Destination:
    """One service in use."""

    __slots__ = (
        "_everyone", "account", "budget", "connect_timeout", "counters", "dispatcher", "door",
        "is_measured", "name", "queue_timeout", "removed", "reporting", "response_timeout",
        "service", "snapshot", "woken_at",
    )  # fmt: skip

    def __init__(
        self,
        service: Routed,
        rng: random.Random,
        now: float,
        everyone: Everyone | None = None,
        held: Held | None = None,
    ) -> None:
        self.name = service.name
        self.dispatcher: Dispatcher[Exchange] = Dispatcher(rng, held)
        self.counters = Counters(now)
        self.account: Account | None = None  # of what is recorded, if so
        self.budget = Budget(now)
        self.snapshot: EndpointSnapshot | None = None
        self.woken_at = -math.inf
        self.reporting = False
        self.removed = False
        self.door: Door | None = None  # None: nothing but the queue stands before it
        self._everyone = everyone
        self.configure(service)

    def configure(self, service: Routed) -> None:
        if service.timed:
            self.counters.times()  # what was before it was asked for is not told
        if service.record != (self.account is not None):
            self.account = Account(self.counters.wake_wait.buckets) if service.record else None
        self.service = service
        self.is_measured = service.timed or service.compared
        timeouts = service.timeouts
        self.connect_timeout = timeouts.connect or math.inf
        self.response_timeout = timeouts.response or math.inf
        self.queue_timeout = service.queue.timeout or math.inf
        self.dispatcher.configure(
            concurrency=service.concurrency,
            queue_size=service.queue.size,
            balance=service.balance,
            slow_start=service.slow_start,
            compared=service.compared,
            account=self.account,
        )
        if service.sleeping is not None or self.door is not None:
            self.door = self.door or Door()
            self.door.configure(service.sleeping or Sleeping(), service.paths)
        if self._everyone is not None:
            everyone = self._everyone
            self.dispatcher.share(everyone.peers(service.name), everyone.queue(service.name))

    def recorded(self) -> Recorded | None:
        """Since the last call; None: nothing is recorded."""
        if self.account is None:
            return None
        return self.account.take(self.counters.wake_wait.buckets)

    def may_wake(self, now: float) -> bool:
        """Whether a wake is due: a herd sends one, later requests repeat it each second."""
        if now - self.woken_at < _WAKE_AGAIN:
            return False
        self.woken_at = now
        return True

    def retry_after(self) -> int:
        """Whole seconds after which a replica may be there, by the measured start time."""
        measured = self.snapshot.start_seconds if self.snapshot else None
        return max(1, math.ceil(measured or 1.0))

    def trouble(self, now: float) -> Problem | None:
        """What to answer when no replica can be had now."""
        if self.snapshot is None or self.snapshot.trouble is None or self.dispatcher.slots:
            return None
        trouble = self.snapshot.trouble
        wait = trouble.retry_after if trouble.until is None else trouble.until - now
        return Problem(503, trouble.code, trouble.message, max(1, math.ceil(wait)))
