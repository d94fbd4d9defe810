"""One client connection: reads requests one after the other, each answered before the next.

What came too early is held, bounded by not reading on.
"""

import asyncio
import math
from typing import TYPE_CHECKING, cast

from gateway import hops, own_answers, tunnel, uploads
from gateway.bulk import HIGH_WATER
from gateway.context import Context
from gateway.departure import has_left
from gateway.drips import Drips
from gateway.exchange import Exchange
from gateway.fields import Malformed, Peer
from gateway.framing import Follower
from gateway.head import Request, incomplete_limits, parse_request
from gateway.hops import COUNTED
from gateway.phase import Phase
from gateway.uploads import WINDOW

if TYPE_CHECKING:
    from gateway.context import Entrance

_MAX_HELD = 64 * 1024
_AT_ONCE = 16  # requests that need no replica
# A head that is remembered costs up to five times its size: long ones only while clients are few.
_KEPT_HEAD, _KEPT_BY_MANY = 4096, 1536
_FEW = 1024
FRESH = 1.0  # seconds of a drain in which who has just come can send its first request
_LINGER = 2.0  # seconds in which a client that still sends can read why it was refused
_MAX_LINGER = 1024 * 1024


class Downstream(asyncio.Protocol):
    """A protocol that asyncio or uvloop drives; `exchange` is None between requests."""

    __slots__ = (
        "_drips", "_former", "_lingered", "_listener", "_paused", "_queued", "_scanned", "_serving",
        "_unread", "body", "body_limit", "bulk", "context", "deadline", "exchange", "held",
        "keep_alive", "later", "peer", "received", "saw_eof", "transport", "writable",
    )  # fmt: skip

    transport: asyncio.Transport
    peer: Peer

    def __init__(self, context: Context, listener: "Entrance") -> None:
        self.context = context
        self.exchange: Exchange | None = None
        self.body: Follower | None = None
        self.deadline = math.inf
        self.keep_alive = True
        self.writable = True
        self.saw_eof = False
        self.received = 0  # bytes of the last body that was complete
        self._listener = listener
        self._drips: Drips | None = None
        self._former: Request | None = None
        self.held = b""
        self.later = b""
        self.body_limit = 0
        self._scanned = 0
        self._queued = False
        self._serving = False
        self._paused = False
        self.bulk = False
        self._unread = 0
        self._lingered = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        context = self.context
        self.deadline = context.loop.time() + (context.patience or FRESH)
        context.connections.add(self)
        context.sweep.start()
        self.peer, refusal = self._listener.opened(transport)
        if refusal is not None:
            own_answers.turn_away(self, refusal)

    # Reading requests

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            if self._lingered >= 0:
                self._discard(data)
                return
            if self.held or self.later or len(data) > WINDOW:
                self.later += data
                if self.context.pressure is not None:
                    self.context.pressure.took(len(data))
            else:
                self.held = data
            if not self._queued:
                self._serve()
            if self.later:
                self._bound()
        elif self.body is not None and not self._queued:
            uploads.go_on(self, exchange, self.body, data)
        else:
            self.later += data
            self._bound()

    def _bound(self) -> None:
        """Read no more while much is held that cannot be served yet."""
        waits = self._queued or self.exchange is not None or not self.writable
        if waits and len(self.later) > _MAX_HELD:
            self.pause()

    def _refill(self) -> None:
        self.held += self.later[:WINDOW]
        self.later = self.later[WINDOW:]

    def _serve(self) -> None:
        """Take requests from what is held; a loop, so that no client can make it recurse."""
        if self._serving:
            return
        self._serving = True
        served = 0
        while self.exchange is None and self.writable and self._lingered < 0:
            if served == _AT_ONCE:
                self.go_on_later()
                break
            if self.held and self._next():
                served += 1
                continue
            if not self.later or self._lingered >= 0 or self.transport.is_closing():
                break
            self._refill()
        self._serving = False
        if self._paused and self.writable and not self._queued and self.exchange is None:
            self.resume()

    def _next(self) -> bool:
        """Begin the request at the head of what is held; False when it is not complete."""
        held, context = self.held, self.context
        if self._drips is not None:
            self.held = b""
            came, held = len(held), self._drips.add(held)
            if not held:
                self._keep(came)
                return False
        try:
            request = parse_request(held, self._scanned, context.limits, self.peer, self._former)
            if request is None:
                self._head_is_late(held)
                return False
            if self._drips is not None:
                self._scanned, self._drips = 0, None
            self.held = held[request.end :]
            self._begin(request)
        except Malformed as malformed:
            own_answers.refuse(self, malformed, head=held.startswith(b"HEAD "))
            return False
        return True

    def _head_is_late(self, held: bytes) -> None:
        """The time for a head runs from its first byte, however slowly the others drip."""
        if self._drips is None:
            limits = self.context.limits
            self.deadline = self.context.loop.time() + (limits.header_timeout or math.inf)
            self._drips = Drips(held, *incomplete_limits(limits))
        self.held = b""
        self._scanned = len(held)
        self._keep(len(held))

    def _keep(self, size: int) -> None:
        """So much more of a head that is not complete, unless memory is short."""
        pressure = self.context.pressure
        if pressure is not None and pressure.took(size):
            own_answers.head_is_late(self)

    def _begin(self, request: Request) -> None:
        context, fields = self.context, request.fields
        if request.end <= (_KEPT_HEAD if len(context.connections) <= _FEW else _KEPT_BY_MANY):
            self._former = request
        self.keep_alive = fields.keep_alive
        uploaded = b""
        if request.length:
            uploaded = uploads.begin(self, request.length)
        now = context.loop.time()
        if request.method in COUNTED and (left := hops.left(request)) >= 0:
            if left == 0:
                own_answers.last_stop(self, request, now)
                return
            request = hops.one_less(request, left)
        route = context.table.match(fields.host, request.target)
        if route is None:
            own_answers.no_route(self, request, now)
            return
        destination, crowd = route.destination or context.destination(route), context.crowd
        is_dense = crowd.is_dense
        if is_dense and crowd.is_shedding:
            crowd.turn_away(Exchange(self, destination, request, now), now)
            return
        if destination.door is None:
            exchange = self.exchange = Exchange(self, destination, request, now)
        elif (opened := destination.door.open(self, destination, request, now)) is not None:
            exchange = self.exchange = opened
        else:
            return
        if uploaded:
            exchange.upload(uploaded)
        if is_dense and type(exchange) is Exchange and crowd.refuses(exchange, now):
            return
        exchange.begin(now)

    def go_on_later(self) -> None:
        """With what is held, in another turn of the loop: the others have theirs first."""
        if not self._queued:
            self._queued = True
            self.context.turns.add(self._go_on)
        self._bound()

    def _go_on(self) -> None:
        self._queued = False
        exchange, body = self.exchange, self.body
        if exchange is None:
            self._serve()
        elif body is not None:
            data, self.later = self.later, b""
            uploads.go_on(self, exchange, body, data)
            upstream = exchange.upstream if exchange.phase >= Phase.AWAITING else None
            if not self._queued and upstream is not None and upstream.writable:
                self.resume()

    def open_tunnel(self, follower: Follower) -> None:
        """From now on everything that is read belongs to the exchange."""
        self.keep_alive = False
        self.body = follower
        self.body_limit = 0
        held, self.held, self.later = self.held + self.later, b"", b""
        self.resume()
        if held and self.exchange is not None:
            self.exchange.upload(follower.feed(held))

    # Answering

    def may_stay(self) -> bool:
        """Whether the connection may serve another request after this one."""
        return self.keep_alive and self.body is None and not self.context.draining

    def done(self, now: float) -> None:
        """The present request has been answered."""
        patience = self.context.patience
        self.deadline = now + patience
        if not self.keep_alive or self.body is not None or not patience:
            if self.body is not None or self.held or self.later:
                self.linger()
            else:
                self.close()
            return
        self.resume()
        if self.held or self.later:
            self._serve()

    def close(self) -> None:
        """Close once everything is written, at the latest when the deadline has passed."""
        self._lingered = 0
        self.deadline = self.context.loop.time() + self.context.idle_timeout
        self.transport.close()

    def linger(self) -> None:
        """RFC 9112 §9.6: read on for a while, or the client may lose the answer to a reset."""
        self.held = self.later = b""
        self._drips = None
        self._lingered = 0
        self.deadline = self.context.loop.time() + _LINGER
        if self.transport.is_closing():
            return
        # TLS has no half that could be closed alone: the client is to close all of it.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.resume()

    def _discard(self, data: bytes) -> None:
        self._lingered += len(data)
        if self._lingered > _MAX_LINGER:
            self.transport.abort()

    # Ending

    def eof_received(self) -> bool | None:
        self.saw_eof = True
        return self.exchange is not None and tunnel.client_eof(self.exchange)

    def connection_lost(self, error: Exception | None) -> None:
        self.context.connections.discard(self)
        self.context.paused.discard(self)
        self.context.admission.leave(self.peer)
        self._listener.closed()
        self.deadline = math.inf
        self.held = self.later = b""
        self._drips = None
        if self.exchange is not None:
            self.exchange.abandon()
        if not self.context.connections:
            self.context.emptied.set()

    def expired(self, now: float) -> None:
        """The deadline has passed."""
        if self.exchange is not None:
            self.exchange.expired(now)
        elif self._lingered >= 0:
            self.transport.abort()
        elif self._scanned:
            own_answers.head_is_late(self)
        else:
            self.close()

    def leave_if_gone(self) -> None:
        """Its request need not go on when the client has left although it is not read."""
        exchange = self.exchange
        if exchange is not None and has_left(self.transport, halves=exchange.phase is Phase.TUNNEL):
            self.transport.abort()

    def drain(self) -> None:
        """Close if nothing is under way, else after the present answer. A client that
        was not may be sending its next request: as far as there is patience, it may."""
        if self.exchange is not None or self._lingered >= 0 or self._scanned:
            return
        patience = self.context.patience or (FRESH if self._former is None else 0.0)
        if patience:
            self.deadline = min(self.deadline, self.context.loop.time() + patience)
        else:
            self.close()

    def give_way(self, now: float) -> None:
        """Leave after the present answer, or soon when nothing is under way. A request that is on
        its way is better refused than lost."""
        if self.exchange is not None:
            self.keep_alive = False
        elif self._lingered < 0:
            self.deadline = min(self.deadline, now + (0.0 if self._scanned else FRESH))

    def abort(self) -> None:
        self.transport.abort()

    # Back-pressure

    def has_read(self) -> bool:
        """Whether the client, which is slow, has taken anything since the last look."""
        unread, self._unread = self._unread, self.transport.get_write_buffer_size()
        return self._unread < unread

    def pause_writing(self) -> None:
        self.writable = False
        self._unread = self.transport.get_write_buffer_size()
        if self.context.pressure is not None:
            self.context.pressure.took(self._unread)
        if self.exchange is not None:
            self.exchange.pause_upstream()

    def resume_writing(self) -> None:
        self.writable = True
        if self.exchange is not None:
            self.exchange.resume_upstream()
        else:
            self._serve()

    def pause(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.context.paused.add(self)
            self.transport.pause_reading()

    def resume(self) -> None:
        """Unless much is held: whoever takes that goes on reading."""
        if self._paused and len(self.later) <= _MAX_HELD:
            self._paused = False
            self.context.paused.discard(self)
            if not self.transport.is_closing():
                self.transport.resume_reading()
