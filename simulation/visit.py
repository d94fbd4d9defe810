"""One simulated request: a gateway's Exchange without sockets.

Queueing, binding, retries, refusals and all counts are the gateway's own code. Only what would
touch a connection is replaced: instead of being sent, a request stays in its replica for its time.
"""

import math
from typing import TYPE_CHECKING, cast

from cluster.messages import OutcomeKind
from config.settings import Limits
from gateway import conduct, problems, recovery
from gateway.exchange import Exchange
from gateway.fields import Peer
from gateway.head import Request, parse_request
from gateway.phase import Phase
from gateway.problems import Problem
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from gateway.destination import Destination
    from gateway.dispatch import Slot
    from gateway.downstream import Downstream
    from simulation.stage import Stage

_AWAITING = Phase.AWAITING
_FAILED = 500


def _request() -> Request:
    head = b"GET / HTTP/1.1\r\nHost: simulated\r\n\r\n"
    parsed = parse_request(head, 0, Limits(), Peer(b"192.0.2.2"), None)
    assert parsed is not None
    return parsed


_REQUEST = _request()


class _Broken:
    """What is left of a connection to a replica that has died: enough to recover from."""

    has_answered = False
    reused = False


_BROKEN = cast(Upstream, _Broken())


class Visit(Exchange):
    """It is its own client, too. `seconds` is its service time when it is alone in its replica;
    `turn` tells its present stay in a replica from former ones; `waited` is the time, in seconds,
    until it was bound first."""

    deadline: float
    exchange: Exchange | None

    __slots__ = ("body", "context", "deadline", "exchange", "seconds", "stage", "turn", "waited")

    def __init__(
        self, stage: "Stage", destination: "Destination", seconds: float, now: float
    ) -> None:
        self.context = stage.context
        self.stage = stage
        super().__init__(cast("Downstream", self), destination, _REQUEST, now)
        self.seconds = seconds
        self.turn = 0
        self.waited = -1.0
        self.body = None
        self.deadline = math.inf
        self.exchange = self

    # As a client's connection

    def expired(self, now: float) -> None:
        recovery.expired(self, now)

    def drain(self) -> None:
        """Nobody drains a simulated gateway: it ends when nobody is in it."""

    def give_way(self, now: float) -> None:
        """Likewise: no simulated gateway is short of memory."""

    def abort(self) -> None:
        """Likewise."""

    # In place of what touches sockets

    def wait(self, now: float, *, first: bool = False) -> None:
        self.stage.context.connections.add(self)
        super().wait(now, first=first)

    def bind(self, slot: "Slot", now: float) -> None:
        stage = self.stage
        self.slot = slot
        if self.waited < 0.0:
            self.waited = now - self.started
            if self.waited:
                stage.context.connections.discard(self)
        else:
            stage.context.connections.discard(self)
        if slot.endpoint.replica in stage.gone:
            self.phase = Phase.CONNECTING
            recovery.refused(self)
            return
        self.phase = _AWAITING
        self.sent_at = now
        stage.stay(self, slot, now)

    def answer_problem(self, problem: Problem, now: float) -> None:
        self.end(problem.status, now)

    def end(self, status: int, now: float, whole: bool = False) -> None:
        self.stage.context.connections.discard(self)
        super().end(status, now, whole)
        self.stage.ledger.note(self, status, now)

    # What becomes of its stay

    def answer(self, status: int, now: float) -> None:
        """The replica has answered, all at once."""
        slot, self.status = self.slot, status
        assert slot is not None
        whole = self.sent_at == self.started
        if not whole:
            self._measure_answer(now)
        if status >= _FAILED:
            self.context.tell(self.destination, slot, OutcomeKind.SERVER_ERROR)
        elif slot.is_heeded:
            conduct.answered(self, slot, now)
        self.end(status, now, whole)

    def give_up(self, now: float) -> None:
        """Its answer did not begin in time."""
        slot = self.slot
        assert slot is not None
        conduct.given_up(self, now)
        self.context.tell(self.destination, slot, OutcomeKind.TIMEOUT)
        self.end(problems.REPLICA_TIMEOUT.status, now)

    def lose(self) -> None:
        """Its replica has died."""
        self.turn = -1
        recovery.upstream_lost(self, _BROKEN, None)
