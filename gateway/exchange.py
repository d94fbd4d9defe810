"""One request and its answer: bound to a slot, sent, answered, accounted.

Reads as the life of a request: begin, (wait), bind, transmit, answer, end. Every way out goes
through `end`, which gives back what `begin` and `bind` took; what goes wrong is in `recovery`.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from cluster.messages import OutcomeKind
from gateway import conduct, recovery
from gateway.access_log import entry_of
from gateway.fields import unframed
from gateway.framing import CHUNKED, UNTIL_CLOSE
from gateway.head import Request, Response
from gateway.own_answers import write_problem
from gateway.phase import FOR_DEADLINE, FOR_SILENCE, Phase
from gateway.problems import Problem
from gateway.retry import IDEMPOTENT
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
# Looked up once: a member of an enumeration is slow to reach, and these serve every request.
_QUEUED, _AWAITING = Phase.QUEUED, Phase.AWAITING
_MOVED = FOR_DEADLINE | FOR_SILENCE


class Exchange:
    """One request. Made by the client's connection, which it tells when it has ended.

    `moved` has a bit for each who asks whether bytes of it have moved since they asked last.
    `seeking_since`: since it came, or since it was sent in vain; however often it is refused, it
    waits no longer in all than the queue's timeout.
    """

    keeps_awake = True

    __slots__ = (
        "_asked_at", "_cold", "_continued", "_pending", "_queued_at", "_waited",
        "body_sent", "client", "destination", "moved", "number", "phase", "request", "retries",
        "seeking_since", "sent", "sent_at", "slot", "started", "status", "until_close", "upstream",
    )  # fmt: skip

    def __init__(
        self, client: "Downstream", destination: "Destination", request: Request, now: float
    ) -> None:
        self.client = client
        self.destination = destination
        self.request = request
        self.number = next(client.context.ids)
        self.phase = _QUEUED
        self.slot: Slot | None = None
        self.upstream: Upstream | None = None
        self.started = self.seeking_since = self._asked_at = now
        self._waited = -1.0
        self._cold = False
        self.retries = 0
        self._pending = b""
        self.body_sent = False
        self._continued = False
        self.moved = 0
        self.until_close = False
        self.status = 0
        self.sent = 0

    # Binding to a replica

    def begin(self, now: float) -> None:
        destination = self.destination
        destination.counters.enter(now)
        if not destination.reporting:
            self.client.context.sweep.activate(destination, now)
        slot = destination.dispatcher.acquire()
        if slot is not None:
            self.bind(slot, now)
            return
        self.wait(now)
        if destination.dispatcher.is_shared:
            # A peer may have given a place back just before it could see that one waits here.
            self.client.context.admit(destination)

    def wait(self, now: float, *, first: bool = False) -> None:
        destination, context = self.destination, self.client.context
        self.phase = Phase.QUEUED
        if not first:
            destination.counters.held += 1
        asleep = not destination.dispatcher.slots
        if asleep and (trouble := destination.trouble(now)) is not None:
            context.wake(destination, now)
            self.reject(trouble, trouble.code)
            return
        if not destination.dispatcher.wait(self, first=first):
            full = destination.dispatcher.full
            self.reject(replace(full, retry_after=destination.retry_after()), full.code)
            return
        self._queued_at = now
        self.client.deadline = self.seeking_since + destination.queue_timeout
        if asleep:
            self._cold = True
            destination.counters.cold_start_waits += 1
            context.wake(destination, now)

    def admitted(self, slot: "Slot", now: float) -> None:
        """Its turn has come."""
        self._waited = max(0.0, self._waited) + now - self._queued_at
        self.count_wait(now)
        self.bind(slot, now)

    def count_wait(self, now: float) -> None:
        self.destination.counters.wait(now - self._queued_at, woken=self._cold)

    def bind(self, slot: "Slot", now: float) -> None:
        self.slot = slot
        idle = slot.idle
        while idle:
            upstream = idle[-1]
            if now - upstream.idle_since >= _FRESH and self.request.method not in IDEMPOTENT:
                break
            idle.pop()
            upstream.idle_since = math.inf
            if not upstream.transport.is_closing():
                self.transmit(upstream, now)
                return
        self.connect(slot)

    def connect(self, slot: "Slot") -> None:
        """On a new connection, when not too many are being made."""
        self.phase = Phase.CONNECTING
        context, destination = self.client.context, self.destination
        if len(slot.connecting) >= MAX_CONNECTING or not context.crowd.may_connect(destination):
            self.park()
            return
        self.client.deadline = context.loop.time() + destination.connect_timeout
        self.upstream = Upstream(context, slot, self)
        self.upstream.connect()

    def park(self) -> None:
        """Its connection could not even be begun; however often, it waits no longer in all."""
        assert self.slot is not None
        self.upstream = None
        self.slot.park(self)
        self.client.deadline = self.seeking_since + self.destination.queue_timeout

    def requeue(self) -> None:
        """Its slot is no good any more and nothing was sent: back to the head of the queue."""
        self.unbind()
        self.wait(self.client.context.loop.time(), first=True)

    # Sending

    def transmit(self, upstream: Upstream, now: float) -> None:
        """Send the head, and what is there of the body, on a connection that is free."""
        self.phase = _AWAITING
        self.sent_at = now
        self.upstream = upstream
        upstream.exchange = self
        request, client = self.request, self.client
        fields = request.fields
        forward = request.forward
        if fields.upgrade:
            forward += b"\r\nConnection: Upgrade\r\nUpgrade: " + fields.upgrade
        if request.request_id:
            head = b"%b%b\r\n\r\n" % (request.line, forward)
        else:
            id_line = client.context.id_line
            head = b"%b%b%b%x\r\n\r\n" % (request.line, forward, id_line, self.number)
        if request.length:
            self._transmit_upload(head, now)
            return
        upstream.transport.write(head)
        client.deadline = now + self.destination.response_timeout

    def _transmit_upload(self, head: bytes, now: float) -> None:
        upstream, client = self.upstream, self.client
        assert upstream is not None
        self.body_sent = bool(self._pending)
        pending, self._pending = self._pending, b""
        upstream.transport.write(head + pending)
        client.deadline = now + self.patience()
        if client.body is not None and upstream.writable:
            client.resume()

    def patience(self) -> float:
        """How long silence is borne while the answer has not begun."""
        if self.upload_is_due():
            return self.client.context.idle_timeout
        return self.destination.response_timeout

    def upload_is_due(self) -> bool:
        """Whether it is the client's turn to send."""
        return (
            self.client.body is not None
            and (self._continued or not self.request.fields.expect)
            and (self.upstream is None or self.upstream.writable)
        )

    def upload(self, data: bytes) -> None:
        """The next part of the request's body, checked; or of a tunnel."""
        if self.upstream is None or self.phase < Phase.AWAITING:
            self._pending += data
            if len(self._pending) > MAX_PENDING and self.client.body is not None:
                self.client.pause()
            return
        self.moved = _MOVED
        if data:
            self.body_sent = True
            self.upstream.transport.write(data)
        if self.client.body is None and self.phase is Phase.AWAITING:
            now = self.client.context.loop.time()
            self.client.deadline = now + self.patience()
            # How slowly the client sent is neither latency nor service time.
            self._asked_at += now - self.sent_at
            self.sent_at = now

    # The answer

    def interim(self, response: Response) -> None:
        """RFC 9110 §15.2: interim answers are for clients of HTTP/1.1 only."""
        if response.status == 100:
            self._continued = True
            self.client.deadline = self.client.context.loop.time() + self.patience()
        if self.request.minor == 1:
            block = unframed(response.forward)  # RFC 9110 §8.6: or a client waits for a body
            self.client.transport.write(b"%b%b\r\n\r\n" % (response.line, block))

    def answer_whole(self, response: Response, body: bytes) -> None:
        """An answer that came in one piece."""
        head = response.line + response.forward
        # RFC 9110 §8.6: HEAD and 304 keep the framing of what they describe, 204 has none.
        if response.status == 204 or (response.length == CHUNKED and not self.request.minor):
            head = response.line + unframed(response.forward)
        if (slot := self.slot) is not None and slot.tokens is not None:
            slot.vacate()
        self._send(response, head, body)
        self.sent = len(body)
        self.answered()

    def answer_head(self, response: Response, length: int) -> None:
        """The head of an answer whose body follows in parts."""
        head = response.line + response.forward
        if length < 0 and not self.request.minor:
            head = response.line + unframed(response.forward)
            self.client.keep_alive = False
        elif length == UNTIL_CLOSE:
            head += b"\r\nTransfer-Encoding: chunked"
        self.until_close = length == UNTIL_CLOSE
        self.phase = Phase.STREAMING
        self._send(response, head, b"")
        if self.destination.is_measured:
            conduct.begun(self, now := self.client.context.loop.time())
            self._measure_answer(now)
        self.stream_deadline()

    def _measure_answer(self, now: float) -> None:
        if self.destination.service.timed:
            latency, service_time = now - self._asked_at, now - self.sent_at
            self.destination.counters.answer(latency, service_time, woken=self._cold)

    def _send(self, response: Response, head: bytes, body: bytes) -> None:
        client, context = self.client, self.client.context
        self.status = response.status
        if not client.keep_alive or client.body is not None or context.draining:
            client.keep_alive = False
            head += b"\r\nConnection: close"
        elif not self.request.minor:
            head += b"\r\nConnection: keep-alive"
        if not response.fields.dated:
            head += b"\r\nDate: " + context.date
        if self._waited >= 0.0:
            name = b"wake" if self._cold else b"queue"
            head += b"\r\nServer-Timing: %b;dur=%d" % (name, self._waited * 1000)
        client.transport.write(head + b"\r\n\r\n" + body)

    def answer_part(self, data: bytes) -> None:
        self.moved = _MOVED
        self.sent += len(data)
        self.client.transport.write(data)

    def answered(self) -> None:
        """The answer is complete."""
        client, upstream, slot = self.client, self.upstream, self.slot
        assert upstream is not None
        assert slot is not None
        now = client.context.loop.time()
        whole = self.phase is _AWAITING and self.sent_at == self.started
        if not whole and self.phase is _AWAITING:
            self._measure_answer(now)
        if self.status >= 500:
            client.context.tell(self.destination, slot, OutcomeKind.SERVER_ERROR)
        elif slot.is_heeded:
            conduct.answered(self, slot, now)
        self.upstream = None
        if client.body is None and upstream.keep_alive and upstream.writable and not slot.leaving:
            upstream.rest_idle(now)
        elif client.body is None and upstream.writable:
            upstream.exchange = None
            upstream.transport.close()
        else:
            upstream.drop()  # it may never read what is left of the request
        self.end(self.status, now, whole)
        client.done(now)

    def stream_deadline(self) -> None:
        """Silence in the middle of an answer, or a client that does not read."""
        idle = self.destination.service.timeouts.idle
        if not self.client.writable:
            idle = self.client.context.limits.idle_timeout
        self.client.deadline = self.client.context.loop.time() + idle if idle else math.inf

    # What ends it early

    def expired(self, now: float) -> None:
        """Its client's deadline has passed."""
        recovery.expired(self, now)

    def abandon(self) -> None:
        """The client has left: the replica need not go on, and its place is free at once."""
        self.leave_queue()
        now = self.client.context.loop.time()
        conduct.given_up(self, now)
        self.end(499 if self.phase is not Phase.TUNNEL else 101, now)

    def reject(self, problem: Problem, reason: str) -> None:
        """Refused without having been sent."""
        self.leave_queue()
        self.destination.counters.reject(reason)
        self.answer_problem(problem, self.client.context.loop.time())

    def leave_queue(self) -> None:
        if self.phase is Phase.QUEUED:
            self.destination.dispatcher.abandon(self)
        elif self.phase is Phase.CONNECTING and self.slot is not None:
            self.slot.parked.pop(self, None)

    # The end

    def answer_problem(self, problem: Problem, now: float) -> None:
        self.status = problem.status
        write_problem(self.client, problem, self.request)
        self.end(problem.status, now)
        self.client.done(now)

    def unbind(self) -> None:
        if self.slot is not None:
            slot, self.slot = self.slot, None
            if self.destination.dispatcher.release(slot):
                self.client.context.tell_drained(self.destination, slot)

    def drop_upstream(self) -> None:
        if self.upstream is not None:
            upstream, self.upstream = self.upstream, None
            if self.phase is Phase.TUNNEL:
                upstream.exchange = None
                upstream.transport.close()
            else:
                upstream.drop()

    def end(self, status: int, now: float, whole: bool = False) -> None:
        """Give back everything, count it, and let the next one in."""
        client, destination, slot = self.client, self.destination, self.slot
        client.exchange = None
        if client.context.access_log is not None:
            client.context.access_log(entry_of(self, status, now))
        if self.upstream is not None:
            self.drop_upstream()
        destination.counters.leave(status, self.started, now, whole)
        if slot is not None:
            self.slot = None
            dispatcher = destination.dispatcher
            if dispatcher.release(slot):
                client.context.tell_drained(destination, slot)
            if dispatcher.waiting:
                client.context.admit(destination)

    # Back-pressure

    def pause_upstream(self) -> None:
        if self.upstream is not None and self.phase >= Phase.AWAITING:
            self.upstream.pause()
        if self.phase >= Phase.STREAMING:
            self.stream_deadline()

    def resume_upstream(self) -> None:
        if self.upstream is not None and self.phase >= Phase.AWAITING:
            self.upstream.resume()
        if self.phase >= Phase.STREAMING:
            self.stream_deadline()
