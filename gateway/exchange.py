"""One request and its answer: bound to a slot, sent, answered, accounted.

Reads as the life of a request: begin, (wait), connect, transmit, answer, end. Every way out goes
through `_end`, which gives back what `begin` and `_bind` took.
"""

import math
from enum import IntEnum
from typing import TYPE_CHECKING

from cluster.messages import OutcomeKind
from gateway import problems
from gateway.access_log import Entry
from gateway.fields import Malformed
from gateway.framing import CHUNKED, UNTIL_CLOSE
from gateway.head import Request, Response
from gateway.problems import Problem
from gateway.retry import IDEMPOTENT, is_safe
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from gateway.destination import Destination
    from gateway.dispatch import Slot
    from gateway.downstream import Downstream

MAX_CONNECTING = 64  # to one replica at the same time; more overflow its listen backlog
MAX_PENDING = 64 * 1024
# A replica may close an idle connection just as it is used again. What can not be retried then
# only rides on connections that were used lately.
_FRESH = 1.0


class Phase(IntEnum):
    QUEUED = 0
    CONNECTING = 1
    AWAITING = 2
    STREAMING = 3
    TUNNEL = 4


class Exchange:
    """One request. Made by the client's connection, which it tells when it has ended."""

    __slots__ = (
        "_body_sent", "_cold", "_continued", "_moved", "_pending", "_queued_at", "_retries",
        "_sent", "_slot", "_started", "_status", "_until_close", "_upstream", "_waited", "client",
        "destination", "number", "phase", "request",
    )  # fmt: skip

    def __init__(
        self, client: "Downstream", destination: "Destination", request: Request, now: float
    ) -> None:
        self.client = client
        self.destination = destination
        self.request = request
        self.number = next(client.context.ids)
        self.phase = Phase.QUEUED
        self._slot: Slot | None = None
        self._upstream: Upstream | None = None
        self._started = now
        self._waited = -1.0
        self._cold = False
        self._retries = 0
        self._pending = b""
        self._body_sent = False
        self._continued = False
        self._moved = False
        self._until_close = False
        self._status = 0
        self._sent = 0

    # Binding to a replica

    def begin(self, now: float) -> None:
        destination = self.destination
        destination.counters.enter(now)
        if not destination.reporting:
            self.client.context.sweep.activate(destination, now)
        slot = destination.dispatcher.acquire()
        if slot is None:
            self._wait(now)
        else:
            self._bind(slot, now)

    def _wait(self, now: float, *, first: bool = False) -> None:
        destination, context = self.destination, self.client.context
        self.phase = Phase.QUEUED
        asleep = not destination.dispatcher.slots
        if asleep and (trouble := destination.trouble()) is not None:
            context.wake(destination, now)
            self.reject(trouble, trouble.code)
            return
        if not destination.dispatcher.wait(self, first=first):
            self.reject(problems.queue_full(destination.retry_after()), "queue-full")
            return
        self._queued_at = now
        self.client.deadline = now + (destination.service.queue.timeout or math.inf)
        if asleep:
            self._cold = True
            destination.counters.cold_start_waits += 1
            context.wake(destination, now)

    def admitted(self, slot: "Slot", now: float) -> None:
        """Its turn has come."""
        self._waited = max(0.0, self._waited) + now - self._queued_at
        self.destination.counters.queue_wait.observe(now - self._queued_at)
        self._bind(slot, now)

    def _bind(self, slot: "Slot", now: float) -> None:
        self._slot = slot
        idle = slot.idle
        if idle and (self.request.method in IDEMPOTENT or now - idle[-1].idle_since < _FRESH):
            upstream = idle.pop()
            upstream.idle_since = math.inf
            self.transmit(upstream, now)
        else:
            self.connect(slot)

    def connect(self, slot: "Slot") -> None:
        """On a new connection, when not too many are being made."""
        self.phase = Phase.CONNECTING
        timeouts, now = self.destination.service.timeouts, self.client.context.loop.time()
        if slot.connecting >= MAX_CONNECTING:
            slot.parked[self] = None
            self.client.deadline = now + (self.destination.service.queue.timeout or math.inf)
            return
        self.client.deadline = now + (timeouts.connect or math.inf)
        self._upstream = Upstream(self.client.context, slot, self)
        self._upstream.connect()

    def requeue(self) -> None:
        """Its slot is no good any more and nothing was sent: back to the head of the queue."""
        self._unbind()
        self._wait(self.client.context.loop.time(), first=True)

    # Sending

    def transmit(self, upstream: Upstream, now: float) -> None:
        """Send the head, and what is there of the body, on a connection that is free."""
        self.phase = Phase.AWAITING
        self._upstream = upstream
        upstream.exchange = self
        request, fields = self.request, self.request.fields
        head = b"%b%b" % (request.line, fields.forward)
        if not fields.request_id:
            head = b"%b\r\nX-Request-Id: %b%x" % (head, self.client.context.id_prefix, self.number)
        if fields.upgrade:
            head = b"%b\r\nConnection: Upgrade\r\nUpgrade: %b" % (head, fields.upgrade)
        if self._pending:
            self._body_sent = True
            upstream.transport.write(b"%b\r\n\r\n%b" % (head, self._pending))
            self._pending = b""
        else:
            upstream.transport.write(head + b"\r\n\r\n")
        self.client.deadline = now + self._patience()
        if self.client.body is not None and upstream.writable:
            self.client.resume()

    def _patience(self) -> float:
        """How long silence is borne while the answer has not begun."""
        if self._upload_is_due():
            return self.client.context.limits.idle_timeout or math.inf
        return self.destination.service.timeouts.response or math.inf

    def _upload_is_due(self) -> bool:
        """Whether it is the client's turn to send."""
        return (
            self.client.body is not None
            and (self._continued or not self.request.fields.expect)
            and (self._upstream is None or self._upstream.writable)
        )

    def upload(self, data: bytes) -> None:
        """The next part of the request's body, checked; or of a tunnel."""
        if self._upstream is None or self.phase < Phase.AWAITING:
            self._pending += data
            if len(self._pending) > MAX_PENDING and self.client.body is not None:
                self.client.pause()
            return
        self._moved = True
        if data:
            self._body_sent = True
            self._upstream.transport.write(data)
        if self.client.body is None and self.phase is Phase.AWAITING:
            self.client.deadline = self.client.context.loop.time() + self._patience()

    # The answer

    def interim(self, response: Response) -> None:
        """RFC 9110 §15.2: interim answers are for clients of HTTP/1.1 only."""
        if response.status == 100:
            self._continued = True
            self.client.deadline = self.client.context.loop.time() + self._patience()
        if self.request.minor == 1:
            self.client.transport.write(b"%b%b\r\n\r\n" % (response.line, response.fields.forward))

    def answer_whole(self, response: Response, body: bytes) -> None:
        """An answer that came in one piece."""
        length = response.fields.length
        plain = b"%b%b%b" % (response.line, response.fields.forward, response.fields.framing)
        if response.status == 204 or length in (UNTIL_CLOSE, CHUNKED):
            plain = self._unbodied(response)
        self._send_head(response, plain, body)
        self._sent = len(body)
        self.answered()

    def _unbodied(self, response: Response) -> bytes:
        """The head of an answer without body: HEAD and 304 keep the framing of what they describe,
        204 has none (RFC 9110 §8.6)."""
        chunked = response.fields.length == CHUNKED and response.status != 204
        framing = b"\r\nTransfer-Encoding: chunked" if chunked and self.request.minor else b""
        return b"%b%b%b" % (response.line, response.fields.forward, framing)

    def answer_head(self, response: Response, length: int) -> None:
        """The head of an answer whose body follows in parts."""
        plain = b"%b%b%b" % (response.line, response.fields.forward, response.fields.framing)
        if length < 0 and self.request.minor == 1:
            plain += b"\r\nTransfer-Encoding: chunked"
        elif length < 0:
            self.client.keep_alive = False
        self._until_close = length == UNTIL_CLOSE
        self.phase = Phase.STREAMING
        self._send_head(response, plain, b"")
        self.stream_deadline()

    def _send_head(self, response: Response, head: bytes, body: bytes) -> None:
        client = self.client
        self._status = response.status
        if not client.may_stay():
            client.keep_alive = False
            head += b"\r\nConnection: close"
        elif self.request.minor == 0:
            head += b"\r\nConnection: keep-alive"
        if not response.fields.dated:
            head = b"%b\r\nDate: %b" % (head, client.context.date)
        if self._cold:
            head = b"%b\r\nServer-Timing: wake;dur=%d" % (head, self._waited * 1000)
        client.transport.write(b"%b\r\n\r\n%b" % (head, body))

    def answer_part(self, data: bytes) -> None:
        self._moved = True
        self._sent += len(data)
        self.client.transport.write(data)

    def answered(self) -> None:
        """The answer is complete."""
        now = self.client.context.loop.time()
        upstream, slot = self._upstream, self._slot
        assert upstream is not None
        assert slot is not None
        complete = self.client.body is None
        kind = OutcomeKind.SERVER_ERROR if self._status >= 500 else OutcomeKind.OK
        if slot.failed or kind is not OutcomeKind.OK:
            self.client.context.tell(self.destination, slot, kind)
        self._upstream = None
        if complete and upstream.keep_alive and not slot.leaving:
            upstream.rest_idle(now)
        else:
            upstream.exchange = None
            upstream.transport.close()
        self._end(self._status, now)
        self.client.done(now)

    def stream_deadline(self) -> None:
        """Silence in the middle of an answer, or a client that does not read."""
        idle = self.destination.service.timeouts.idle
        if not self.client.writable:
            idle = self.client.context.limits.idle_timeout
        self.client.deadline = self.client.context.loop.time() + idle if idle else math.inf

    # Tunnels

    def switch_protocols(self, response: Response, rest: bytes) -> None:
        """RFC 9110 §7.8: from here on bytes pass both ways, but only if the client asked."""
        wanted, given = self.request.fields.upgrade, response.fields.upgrade
        if not wanted or not given or self.client.body is not None:
            self.bad_answer(Malformed(502, "bad-response", "The replica switched unasked."))
            return
        self._status = 101
        self.phase = Phase.TUNNEL
        head = b"%b%b\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n"
        self.client.transport.write(head % (response.line, response.fields.forward, given) + rest)
        self.stream_deadline()
        self.client.open_tunnel()

    def client_eof(self) -> bool:
        """The client has closed its side. True: the other side stays open (a tunnel)."""
        if self.phase is not Phase.TUNNEL or self._upstream is None:
            self.abandon()
            return False
        if self._upstream.saw_eof:
            self._end(self._status, self.client.context.loop.time())
            return False
        self._upstream.transport.write_eof()
        return True

    def upstream_eof(self) -> bool:
        """The replica has closed its side. True: the other side stays open (a tunnel)."""
        if self.phase is not Phase.TUNNEL or self.client.transport.is_closing():
            return False
        if self.client.transport.can_write_eof():
            self.client.transport.write_eof()
        return not self.client.saw_eof

    # What goes wrong

    def refused(self) -> None:
        """No connection was made: nothing of the request has reached the replica."""
        slot = self._slot
        assert slot is not None
        self.destination.dispatcher.shun(slot)
        self._upstream = None
        for parked in reversed(slot.parked):
            parked.requeue()
        slot.parked.clear()
        self._fail("refused", OutcomeKind.REFUSED, problems.UNREACHABLE)

    def upstream_lost(self, upstream: Upstream, error: Exception | None) -> None:
        """The replica's connection is gone."""
        self._upstream = None
        if self.phase is Phase.TUNNEL:
            self._end(self._status, self.client.context.loop.time())
            self.client.close()
        elif self.phase is Phase.STREAMING:
            self._stream_lost(error)
        elif upstream.has_answered:
            self._give_up(problems.RESET, OutcomeKind.RESET)
        elif upstream.reused:
            self._fail("stale", None, problems.RESET)
        else:
            self._fail("reset", OutcomeKind.RESET, problems.RESET)

    def _stream_lost(self, error: Exception | None) -> None:
        """RFC 9112 §8: only a close-delimited answer may end with its connection."""
        if not self._until_close or error is not None:
            self._cut(OutcomeKind.RESET)
            return
        if self.request.minor == 1:
            self.client.transport.write(b"0\r\n\r\n")
        self._end(self._status, self.client.context.loop.time())
        self.client.done(self.client.context.loop.time())

    def _fail(self, reason: str, kind: OutcomeKind | None, problem: Problem) -> None:
        """Without an answer: retry when that is safe, else say so. `kind` None blames nobody."""
        context, slot = self.client.context, self._slot
        assert slot is not None
        if kind is not None:
            context.tell(self.destination, slot, kind)
        now = context.loop.time()
        self._unbind()
        if self._may_retry(now):
            self.destination.counters.retries[reason] += 1
            self._again(slot, now, fresh=reason == "stale")
        else:
            self._answer(problem, now)
        context.admit(self.destination)

    def _may_retry(self, now: float) -> bool:
        service, counters = self.destination.service, self.destination.counters
        sent = self.phase is not Phase.CONNECTING
        if self._retries >= service.retries.attempts:
            return False
        if not is_safe(self.request.method, sent=sent, body_sent=self._body_sent):
            return False
        self._retries += 1
        return self.destination.budget.withdraw(service.retries.budget, counters.requests, now)

    def _again(self, slot: "Slot", now: float, *, fresh: bool) -> None:
        """On another replica if there is one, on the same when its connection was only stale."""
        dispatcher = self.destination.dispatcher
        if fresh and not slot.leaving:
            self._bind_fresh(slot)
        elif (other := dispatcher.acquire_other(slot)) is not None:
            self._bind(other, now)
        elif dispatcher.slots == [slot] and not dispatcher.is_shunned(slot):
            self._bind_fresh(slot)
        else:
            self._wait(now, first=True)

    def _bind_fresh(self, slot: "Slot") -> None:
        self.destination.dispatcher.reacquire(slot)
        self._slot = slot
        self.connect(slot)

    def bad_answer(self, malformed: Malformed) -> None:
        """The replica's answer cannot be passed on."""
        self._give_up(
            Problem(malformed.status, malformed.code, malformed.detail), OutcomeKind.RESET
        )

    def _give_up(self, problem: Problem, kind: OutcomeKind | None) -> None:
        """Close the replica's connection and answer for it."""
        context = self.client.context
        if kind is not None and self._slot is not None:
            context.tell(self.destination, self._slot, kind)
        self._drop_upstream()
        self._unbind()
        self._answer(problem, context.loop.time())
        context.admit(self.destination)

    def cut(self) -> None:
        """The replica broke its own framing in the middle of an answer."""
        self._cut(OutcomeKind.RESET)

    def _cut(self, kind: OutcomeKind | None) -> None:
        """In the middle of an answer: the client must never see a clean end."""
        context = self.client.context
        if kind is not None and self._slot is not None:
            context.tell(self.destination, self._slot, kind)
        self._end(self._status, context.loop.time())
        self.client.transport.abort()

    def refuse_body(self, problem: Problem) -> None:
        """The rest of the request's body cannot be accepted."""
        self.client.keep_alive = False
        if self.phase >= Phase.STREAMING:
            self._cut(None)
        else:
            self._leave_queue()
            self._give_up(problem, None)

    def abandon(self) -> None:
        """The client has left: the replica need not go on, and its place is free at once."""
        self._leave_queue()
        self._end(499 if self.phase is not Phase.TUNNEL else 101, self.client.context.loop.time())

    def reject(self, problem: Problem, reason: str) -> None:
        """Refused without having been sent."""
        self._leave_queue()
        self.destination.counters.reject(reason)
        self._answer(problem, self.client.context.loop.time())

    def _leave_queue(self) -> None:
        if self.phase is Phase.QUEUED:
            self.destination.dispatcher.abandon(self)
        elif self.phase is Phase.CONNECTING and self._slot is not None:
            self._slot.parked.pop(self, None)

    def expired(self, now: float) -> None:
        """The deadline of the present phase has passed."""
        if self._moved:
            self._moved = False
            if self.phase is Phase.AWAITING:
                self.client.deadline = now + self._patience()
            else:
                self.stream_deadline()
            return
        if self.phase is Phase.QUEUED:
            self.reject(problems.queue_timeout(self.destination.retry_after()), "queue-timeout")
        elif self.phase is Phase.CONNECTING:
            self._leave_queue()
            self._drop_upstream()
            self._fail("refused", OutcomeKind.REFUSED, problems.UNREACHABLE)
        elif self.phase is Phase.AWAITING and self._upload_is_due():
            self.refuse_body(problems.BODY_TIMEOUT)
        elif self.phase is Phase.AWAITING:
            self._give_up(problems.REPLICA_TIMEOUT, OutcomeKind.TIMEOUT)
        else:
            self._cut(OutcomeKind.TIMEOUT if self.client.writable else None)

    # The end

    def _answer(self, problem: Problem, now: float) -> None:
        self._status = problem.status
        self.client.write_problem(problem, self.request)
        self._end(problem.status, now)
        self.client.done(now)

    def _unbind(self) -> None:
        if self._slot is not None:
            slot, self._slot = self._slot, None
            self.client.context.release(self.destination, slot)

    def _drop_upstream(self) -> None:
        if self._upstream is not None:
            upstream, self._upstream = self._upstream, None
            if self.phase is Phase.TUNNEL:
                upstream.exchange = None
                upstream.transport.close()
            else:
                upstream.drop()

    def _end(self, status: int, now: float) -> None:
        """Give back everything, count it, and let the next one in."""
        self.client.exchange = None
        context, destination, slot = self.client.context, self.destination, self._slot
        if context.access_log is not None:
            context.access_log(self._entry(status, now))
        if self._upstream is not None:
            self._drop_upstream()
        destination.counters.leave(status, self._started, now)
        if slot is not None:
            self._slot = None
            context.release(destination, slot)
            if destination.dispatcher.waiting:
                context.admit(destination)

    def _entry(self, status: int, now: float) -> Entry:
        request_id = self.request.fields.request_id
        made = b"%b%x" % (self.client.context.id_prefix, self.number)
        return Entry(
            client=self.client.peer.ip.decode(),
            method=self.request.method,
            target=self.request.target,
            minor=self.request.minor,
            block=self.request.block,
            status=status,
            sent=self._sent,
            duration=now - self._started,
            service=self.destination.name,
            replica=self._slot.endpoint.replica if self._slot else "",
            request_id=(request_id or made).decode("ascii", "backslashreplace"),
        )

    # Back-pressure

    def pause_upstream(self) -> None:
        if self._upstream is not None and self.phase >= Phase.AWAITING:
            self._upstream.pause()
        if self.phase >= Phase.STREAMING:
            self.stream_deadline()

    def resume_upstream(self) -> None:
        if self._upstream is not None and self.phase >= Phase.AWAITING:
            self._upstream.resume()
        if self.phase >= Phase.STREAMING:
            self.stream_deadline()
