"""What happens to a request that cannot go on: retried, answered for, or cut.

A request without any byte of an answer may be retried when that is safe; one whose answer has
begun can only be cut, and the client must see the cut (RFC 9112 §8).
"""

import socket
import struct
from typing import TYPE_CHECKING

from cluster.messages import OutcomeKind
from gateway import conduct, farewell, problems
from gateway.fields import Malformed
from gateway.phase import FOR_DEADLINE, Phase
from gateway.problems import Problem
from gateway.retry import is_safe

if TYPE_CHECKING:
    from gateway.dispatch import Slot
    from gateway.exchange import Exchange
    from gateway.upstream import Upstream


def refused(exchange: "Exchange") -> None:
    """No connection was made: nothing of the request has reached the replica."""
    slot = exchange.slot
    assert slot is not None
    # Others would be refused too: they wait until the next sweep or snapshot.
    exchange.destination.dispatcher.shun(slot)
    exchange.upstream = None
    for parked in reversed(slot.parked):
        parked.requeue()
    slot.parked.clear()
    _fail(exchange, "refused", OutcomeKind.REFUSED, problems.UNREACHABLE)


def starved(exchange: "Exchange") -> None:
    """No descriptor was left to connect with, for which no replica is to blame: it waits until
    another connection is free, or for the next sweep."""
    exchange.park()
    exchange.client.context.sweep.close_one_idle()


def upstream_lost(exchange: "Exchange", upstream: "Upstream", error: Exception | None) -> None:
    """The replica's connection is gone."""
    exchange.upstream = None
    if exchange.phase is Phase.TUNNEL:
        if not upstream.saw_eof:
            farewell.last_word(exchange, upstream.body)
        was_told = farewell.was_told(exchange)
        exchange.end(exchange.status, exchange.client.context.loop.time())
        # Its own Close is on its way, and must not reset what it has still to read.
        exchange.client.linger() if was_told else exchange.client.close()
    elif exchange.phase is Phase.STREAMING:
        _stream_lost(exchange, error)
    elif upstream.has_answered:
        _give_up(exchange, problems.RESET, OutcomeKind.RESET)
    elif upstream.reused:
        # It was closed as we took it from the pool; that is no failure of the replica.
        _fail(exchange, "stale", None, problems.RESET)
    else:
        _fail(exchange, "reset", OutcomeKind.RESET, problems.RESET)


def bad_answer(exchange: "Exchange", malformed: Malformed) -> None:
    """The replica's answer cannot be passed on."""
    problem = Problem(malformed.status, malformed.code, malformed.detail)
    _give_up(exchange, problem, OutcomeKind.RESET)


def refuse_body(exchange: "Exchange", problem: Problem) -> None:
    """The rest of the request's body cannot be accepted."""
    exchange.client.keep_alive = False
    if exchange.phase >= Phase.STREAMING:
        cut(exchange, None)
    else:
        exchange.leave_queue()
        _give_up(exchange, problem, None)


def cut(exchange: "Exchange", kind: OutcomeKind | None) -> None:
    """In the middle of an answer: the client must never see a clean end."""
    if kind is not None and exchange.slot is not None:
        exchange.client.context.tell(exchange.destination, exchange.slot, kind)
    exchange.end(exchange.status, exchange.client.context.loop.time())
    if not exchange.request.minor:
        # Its answer may end with the connection (RFC 1945 §7.2.2): only a reset is no clean end.
        sock = exchange.client.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.client.transport.abort()


def expired(exchange: "Exchange", now: float) -> None:
    """The deadline of the present phase has passed."""
    if exchange.moved & FOR_DEADLINE:
        exchange.moved &= ~FOR_DEADLINE
        _renew_deadline(exchange, now)
        return
    match exchange.phase:
        case Phase.CONNECTING | Phase.QUEUED if exchange.upstream is None:
            _waited_in_vain(exchange, now)
        case Phase.CONNECTING:
            exchange.leave_queue()
            exchange.drop_upstream()
            _fail(exchange, "refused", OutcomeKind.REFUSED, problems.UNREACHABLE)
        case Phase.AWAITING if exchange.upload_is_due():
            refuse_body(exchange, problems.BODY_TIMEOUT)
        case Phase.AWAITING:
            conduct.given_up(exchange, now)
            _give_up(exchange, problems.REPLICA_TIMEOUT, OutcomeKind.TIMEOUT)
        case _ if exchange.client.writable:
            cut(exchange, OutcomeKind.TIMEOUT)
        case _ if exchange.client.has_read():
            _renew_deadline(exchange, now)
        case _:
            cut(exchange, None)


def _waited_in_vain(exchange: "Exchange", now: float) -> None:
    problem = problems.queue_timeout(exchange.destination.retry_after())
    if exchange.phase is Phase.QUEUED:
        exchange.count_wait(now)
        if exchange.destination.dispatcher.is_shut:
            problem = problems.UNREACHABLE
    exchange.reject(problem, problem.code)


def _renew_deadline(exchange: "Exchange", now: float) -> None:
    """Something has moved: the silence begins anew."""
    if exchange.phase is Phase.AWAITING:
        exchange.client.deadline = now + exchange.patience()
    else:
        exchange.stream_deadline()


def _stream_lost(exchange: "Exchange", error: Exception | None) -> None:
    """RFC 9112 §8: only a close-delimited answer may end with its connection."""
    if not exchange.until_close or error is not None:
        cut(exchange, OutcomeKind.RESET)
        return
    if exchange.slot is not None:
        exchange.slot.vacate()
    if exchange.request.minor:
        exchange.client.transport.write(b"0\r\n\r\n")
    now = exchange.client.context.loop.time()
    exchange.end(exchange.status, now)
    exchange.client.done(now)


def _fail(exchange: "Exchange", reason: str, kind: OutcomeKind | None, problem: Problem) -> None:
    """Without an answer: retry when that is safe, else say so. `kind` None blames nobody."""
    context, destination, slot = exchange.client.context, exchange.destination, exchange.slot
    assert slot is not None
    if kind is not None:
        context.tell(destination, slot, kind)
    now = context.loop.time()
    exchange.unbind()
    if exchange.phase is not Phase.CONNECTING:
        exchange.seeking_since = now
    if _may_retry(exchange, reason, now):
        destination.counters.retries[reason] += 1
        _again(exchange, slot, now, fresh=reason == "stale")
    else:
        exchange.answer_problem(problem, now)
    context.admit(destination)


def _may_retry(exchange: "Exchange", reason: str, now: float) -> bool:
    destination = exchange.destination
    sent = exchange.phase is not Phase.CONNECTING
    if not is_safe(exchange.request.method, sent=sent, body_sent=exchange.body_sent):
        return False
    if reason == "stale":
        return True
    retries = destination.service.retries
    if not sent and retries.attempts and retries.budget:
        # It cost no replica anything: its time in the queue is the bound.
        return now < exchange.seeking_since + destination.queue_timeout
    if exchange.retries >= retries.attempts:
        return False
    exchange.retries += 1
    return destination.budget.withdraw(retries.budget, destination.counters.requests, now)


def _again(exchange: "Exchange", slot: "Slot", now: float, *, fresh: bool) -> None:
    """On another replica if there is one, on the same when its connection was only stale."""
    dispatcher = exchange.destination.dispatcher
    if fresh and not slot.leaving:
        _on_the_same(exchange, slot)
    elif (other := dispatcher.acquire_other(slot)) is not None:
        exchange.bind(other, now)
    elif dispatcher.slots == [slot] and not dispatcher.is_shunned(slot):
        _on_the_same(exchange, slot)
    else:
        exchange.wait(now, first=True)


def _on_the_same(exchange: "Exchange", slot: "Slot") -> None:
    if not exchange.destination.dispatcher.reacquire(slot):
        exchange.wait(exchange.client.context.loop.time(), first=True)
        return
    exchange.slot = slot
    exchange.connect(slot)


def _give_up(exchange: "Exchange", problem: Problem, kind: OutcomeKind | None) -> None:
    """Close the replica's connection and answer for it."""
    context = exchange.client.context
    if kind is not None and exchange.slot is not None:
        context.tell(exchange.destination, exchange.slot, kind)
    exchange.drop_upstream()
    exchange.unbind()
    exchange.answer_problem(problem, context.loop.time())
    context.admit(exchange.destination)
