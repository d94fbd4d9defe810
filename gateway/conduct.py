"""How each replica answers, for whoever compares it with its siblings.

Pure. Nothing is counted unless a service asks for it; then two additions a request. A service that
is recorded counts its answers here too. A request that
was given up counts with the time it had waited: a replica that all clients run away from would
otherwise look like one that nobody asks. How fast a failure came says nothing.
"""

from bisect import bisect_left
from typing import TYPE_CHECKING

from cluster.buckets import EDGES, Sparse
from cluster.messages import OutcomeKind, Served
from gateway.account import uploaded
from gateway.phase import Phase

if TYPE_CHECKING:
    from gateway.dispatch import Slot
    from gateway.exchange import Exchange

_AWAITING = Phase.AWAITING


class Conduct:
    """The counts of one replica since they were taken last."""

    __slots__ = ("answers", "failures", "times")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.answers = 0
        self.failures = 0
        self.times = [0] * (len(EDGES) + 1)

    def take(self, replica: str) -> Served | None:
        """None when there is nothing to tell; then all begins anew."""
        times: Sparse = tuple((index, count) for index, count in enumerate(self.times) if count)
        if not (self.answers or self.failures or times):
            return None
        served = Served(replica, self.answers, self.failures, times)
        self.begin()
        return served


def begun(exchange: "Exchange", now: float) -> None:
    """The first byte of an answer that comes in parts."""
    slot = exchange.slot
    if slot is not None and slot.conduct is not None and exchange.status < 500:
        slot.conduct.times[bisect_left(EDGES, now - exchange.sent_at)] += 1


def answered(exchange: "Exchange", slot: "Slot", now: float) -> None:
    """An answer that is no failure is complete."""
    conduct = slot.conduct
    if conduct is not None:
        conduct.answers += 1
        if exchange.phase is _AWAITING:
            conduct.times[bisect_left(EDGES, now - exchange.sent_at)] += 1
    if slot.account is not None:
        slot.account.answered(now - exchange.sent_at, uploaded(exchange), exchange.sent)
    if slot.failed:
        exchange.client.context.tell(exchange.destination, slot, OutcomeKind.OK)


def given_up(exchange: "Exchange", now: float) -> None:
    """Nobody waits for its answer any more, while it was the replica's turn."""
    slot = exchange.slot
    if slot is None or slot.conduct is None or exchange.phase is not _AWAITING:
        return
    if not exchange.upload_is_due():
        slot.conduct.times[bisect_left(EDGES, now - exchange.sent_at)] += 1
