"""One connection to a replica: connects, sends what an exchange gives it, follows the answer.

Idle ones lie in their slot's pool, the last used on top. Any byte that nobody asked for closes the
connection (RFC 9112 §9.2: it can no longer be known which answer is whose).
"""

import asyncio
import errno
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from cluster.messages import OutcomeKind
from gateway import recovery, tunnel
from gateway.bulk import HIGH_WATER, BulkReader, is_worth_it
from gateway.dispatch import Slot
from gateway.drips import Drips
from gateway.fields import Malformed
from gateway.framing import (
    CHUNKED,
    UNTIL_CLOSE,
    BadFraming,
    Chunked,
    Follower,
    Rechunked,
    UntilClose,
    follower,
)
from gateway.head import MAX_RESPONSE_HEAD, Response, parse_response

if TYPE_CHECKING:
    from gateway.context import Context
    from gateway.exchange import Exchange

_KEPT_HEAD = 4096
_MAX_INFORMATIONAL = 16
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


class Upstream(asyncio.Protocol):
    """A protocol that asyncio or uvloop drives; `exchange` is None while it is idle."""

    __slots__ = (
        "_behind", "_bulk", "_context", "_drips", "_former", "_informational", "_paused", "_task",
        "body", "exchange", "idle_since", "keep_alive", "reused", "saw_eof", "slot", "transport",
        "writable",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, context: "Context", slot: Slot, exchange: "Exchange") -> None:
        self._context = context
        self._behind = b""
        self._former: Response | None = None
        self._drips: Drips | None = None
        self._informational = 0
        self._paused = False
        self._task: asyncio.Task[None] | None = None
        self.slot = slot
        self.exchange: Exchange | None = exchange
        self.body: Follower | None = None
        self.keep_alive = True
        self.reused = False
        self.saw_eof = False
        self._bulk = False
        self.writable = True
        self.idle_since = math.inf

    # Connecting

    def connect(self) -> None:
        """Start to connect; the exchange is told how it ends."""
        self.slot.connecting[self] = None
        name = f"connect to {self.slot.endpoint.replica}"
        task = self._context.loop.create_task(self._connect(), name=name)
        self._task = task
        self._context.tasks.add(task)
        task.add_done_callback(self._context.tasks.discard)

    async def _connect(self) -> None:
        address = self.slot.endpoint.address
        try:
            await self._context.loop.create_connection(lambda: self, address.host, address.port)
        except (OSError, ValueError) as error:
            starved = isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR
            self._not_connected(recovery.starved if starved else recovery.refused)

    def _not_connected(self, recover: Callable[["Exchange"], None]) -> None:
        if self._task is None:
            return
        exchange, self.exchange, self._task = self.exchange, None, None
        self.slot.connecting.pop(self, None)
        if exchange is not None:
            recover(exchange)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        self.slot.open += 1
        self._context.crowd.upstreams += 1
        if self._task is None or self.exchange is None:
            self.transport.abort()  # dropped while it connected
            return
        self.slot.connecting.pop(self, None)
        self._task = None
        self.exchange.transmit(self, self._context.loop.time())
        self._unpark()

    def _unpark(self) -> None:
        if self.slot.parked:
            self.slot.parked.popitem(last=False)[0].connect(self.slot)

    # Reading the answer

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.drop()
        elif self._behind:
            self._behind += data
        elif self.body is not None:
            self._body(exchange, self.body, data)
        elif self._drips is None or (data := self._drips.add(data)):
            self._head(exchange, data)

    def _head(self, exchange: "Exchange", data: bytes) -> None:
        try:
            response = parse_response(data, self._former)
        except Malformed as malformed:
            recovery.bad_answer(exchange, malformed)
            return
        if response is None:
            if self._drips is None:
                self._drips = Drips(data, -1, MAX_RESPONSE_HEAD)
            return
        if self._drips is not None:
            self._drips = None
        if response.status < 200:
            self._interim(exchange, response, data)
            return
        if response.end <= _KEPT_HEAD:
            self._former = response
        self.keep_alive = response.fields.keep_alive
        status = response.status
        length = response.length
        # RFC 9112 §6.3 rule 1: these never have a body, whatever their fields say.
        if status == 204 or status == 304 or exchange.request.method == b"HEAD":
            length = 0
        body = data[response.end :]
        if len(body) == length:
            exchange.answer_whole(response, body)
        elif length == 0:
            self.keep_alive = False
            exchange.answer_whole(response, b"")
        else:
            self._begin_body(exchange, response, length, body)

    def _begin_body(
        self, exchange: "Exchange", response: Response, length: int, data: bytes
    ) -> None:
        modern = exchange.request.minor == 1
        if length == UNTIL_CLOSE:
            self.keep_alive = False
            self.body = Rechunked() if modern else UntilClose()
        elif length == CHUNKED and not modern:
            self.body = Chunked(bare=True)
        else:
            self.body = follower(length)
        if not self._bulk and is_worth_it(length, len(self._context.connections)):
            self._bulk = True
            self.transport.set_protocol(BulkReader(self, self._context.read_buffer))
        exchange.answer_head(response, length)
        if data:
            self._body(exchange, self.body, data)

    def _body(self, exchange: "Exchange", body: Follower, data: bytes) -> None:
        try:
            passed = body.feed(data)
        except BadFraming:
            recovery.cut(exchange, OutcomeKind.RESET)
            return
        if body.done and self.slot.tokens is not None:
            self.slot.vacate()
        if passed:
            exchange.answer_part(passed)
        if body.done:
            if body.rest:
                self.keep_alive = False
            self.body = None
            exchange.answered()
        elif body.rest:
            self._behind = body.rest
            self.pause()
            self._context.turns.add(self._catch_up)

    def _catch_up(self) -> None:
        """More of a body of many small chunks: the others have had their turn."""
        exchange, body = self.exchange, self.body
        data, self._behind = self._behind, b""
        if exchange is None or body is None or not data:
            return
        self._body(exchange, body, data)
        if not self._behind and exchange.client.writable:
            self.resume()

    def _interim(self, exchange: "Exchange", response: Response, data: bytes) -> None:
        """RFC 9110 §15.2: any number may come before the answer; we bound it."""
        self._informational += 1
        rest = data[response.end :]
        if response.status == 101:
            tunnel.switch_protocols(exchange, response, rest)
            return
        if self._informational > _MAX_INFORMATIONAL:
            flood = Malformed(502, "bad-response", "Too many interim answers.")
            recovery.bad_answer(exchange, flood)
            return
        exchange.interim(response)
        if rest:
            self._head(exchange, rest)

    # Ending

    def eof_received(self) -> bool | None:
        self.saw_eof = True
        self._catch_up_at_once()
        if self.exchange is None:
            self._forget()
            return False
        return tunnel.upstream_eof(self.exchange)

    def connection_lost(self, error: Exception | None) -> None:
        self._catch_up_at_once()
        self.slot.open -= 1
        self._context.crowd.upstreams -= 1
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            recovery.upstream_lost(exchange, self, error)
        elif self.idle_since != math.inf:
            self._forget()

    def _catch_up_at_once(self) -> None:
        """Nothing more will come: what has come is all that there is, and no other request goes
        this way."""
        if self._behind:
            self.keep_alive = False
        while self._behind:
            self._catch_up()

    def rest_idle(self, now: float) -> None:
        """Its exchange is complete: to the pool, or to the next one that waits for a connection."""
        self.exchange = None
        self._informational = 0
        self.reused = True
        if self._paused:
            self.resume()
        slot = self.slot
        if slot.parked:
            slot.parked.popitem(last=False)[0].transmit(self, now)
        else:
            self.idle_since = now
            slot.idle.append(self)

    def drop(self) -> None:
        """Close at once, whatever state it is in; nobody is told."""
        self.exchange = None
        self.body = None
        self._behind = b""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self.slot.connecting.pop(self, None)
            self._unpark()
            return
        self._forget()
        self.transport.abort()

    def _forget(self) -> None:
        if self.idle_since != math.inf:
            self.idle_since = math.inf
            if self in self.slot.idle:
                self.slot.idle.remove(self)

    def retreat(self) -> None:
        """The endpoint leaves while it connects: its exchange goes elsewhere."""
        exchange = self.exchange
        self.drop()
        if exchange is not None:
            exchange.upstream = None
            exchange.requeue()

    @property
    def has_answered(self) -> bool:
        """Whether any byte of an answer was seen."""
        return self._drips is not None or self._informational > 0

    # Back-pressure

    def pause_writing(self) -> None:
        self.writable = False
        if self.exchange is not None:
            self.exchange.client.pause()

    def resume_writing(self) -> None:
        self.writable = True
        if self.exchange is not None:
            self.exchange.client.resume()

    def pause(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Unless it is behind: then it goes on reading by itself."""
        if self._paused and not self._behind:
            self._paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()
