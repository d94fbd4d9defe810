"""Tunnels and streaming answers in which nothing moves: they keep nobody awake.

A request that waits for its first byte is in flight however long that takes; one whose answer has
begun is activity only while bytes move. Looked at once per report: a byte costs nothing. Bytes that
a slow client takes out of our buffers, or out of the kernel's, move too: a download is not silent
because the replica is held back.

When the service falls asleep, what was silent for so long is ended. A tunnel is closed on both
sides after what was written, and after what gateway/farewell.py has to say; an answer is cut, for
it is not complete (RFC 9112 §8).
"""

import fcntl
import math
import struct
import termios
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway import recovery, tunnel
from gateway.phase import FOR_SILENCE, Phase

if TYPE_CHECKING:
    import asyncio

    from gateway.context import Connection
    from gateway.destination import Destination
    from gateway.exchange import Exchange

_COARSE = 0.001  # seconds: clocks of two processes are read one after the other
_STREAMING = Phase.STREAMING
_INT = struct.Struct("i")


@dataclass(slots=True)
class Still:
    """`since` is when bytes were last seen to have moved (loop time), `unread` what lay in the
    buffers then, when one side was held back."""

    since: float
    unread: int = -1


@dataclass(slots=True)
class Census:
    """Of one service: how many are silent, and when the last of those was not (loop time)."""

    silent: int = 0
    since: float = 0.0

    def silent_for(self, seconds: float, now: float) -> int:
        """How many, where all of them have been for so long; two looks may be very close."""
        return self.silent if now - self.since >= seconds - _COARSE else 0


class Silence:
    """All streams of one gateway."""

    __slots__ = ("_looked_at", "_of", "_streams")

    def __init__(self) -> None:
        self._looked_at = -math.inf
        self._streams: dict[Exchange, Still] = {}
        self._of: dict[Destination, Census] = {}

    def of(self, destination: "Destination") -> Census:
        """As of the last look."""
        return self._of.get(destination) or Census()

    @property
    def is_any(self) -> bool:
        """At the last look."""
        return bool(self._streams)

    def look(self, connections: Iterable["Connection"], now: float) -> None:
        """Who has moved since the last look; one of a moment serves the reports of all."""
        if now == self._looked_at:
            return
        self._looked_at = now
        former, self._streams, self._of = self._streams, {}, {}
        for connection in connections:
            exchange = connection.exchange
            if exchange is not None and exchange.phase >= _STREAMING:
                self._note(exchange, former.get(exchange), now)

    def _note(self, exchange: "Exchange", former: Still | None, now: float) -> None:
        unread = _unread(exchange)
        still = Still(now, unread)
        if former is not None and not _has_moved(exchange, former.unread, unread):
            still.since = former.since
        exchange.moved &= ~FOR_SILENCE
        self._streams[exchange] = still
        if still.since < now and exchange.keeps_awake:
            census = self._of.setdefault(exchange.destination, Census())
            census.silent += 1
            census.since = max(census.since, still.since)

    def end(self, destination: "Destination", after: float, now: float) -> None:
        """Those of replicas that leave, of a service that falls asleep, which are silent for
        `after` seconds."""
        for exchange, still in list(self._streams.items()):
            slot = exchange.slot
            if exchange.destination is not destination or slot is None or not slot.leaving:
                continue
            moved = _has_moved(exchange, still.unread, _unread(exchange))
            if moved or now - still.since < after - _COARSE:
                continue
            with destination.counters.unnoticing():
                _end(exchange, now)


def _end(exchange: "Exchange", now: float) -> None:
    if exchange.phase is Phase.TUNNEL:
        tunnel.end(exchange, now)
    else:
        recovery.cut(exchange, None)


def _has_moved(exchange: "Exchange", former: int, unread: int) -> bool:
    return bool(exchange.moved & FOR_SILENCE) or unread != former


def _unread(exchange: "Exchange") -> int:
    """Bytes on their way to a side that is slow; -1 when neither is, and `moved` says it all."""
    waiting = -1
    if not exchange.client.writable:
        waiting = _waiting(exchange.client.transport)
    if exchange.upstream is not None and not exchange.upstream.writable:
        waiting = max(0, waiting) + _waiting(exchange.upstream.transport)
    return waiting


def _waiting(transport: "asyncio.Transport") -> int:
    """In our buffer and in the kernel's, which the peer has not acknowledged (tcp(7), SIOCOUTQ)."""
    ours = transport.get_write_buffer_size()
    if transport.is_closing():
        return ours
    descriptor = transport.get_extra_info("socket").fileno()
    theirs: int = _INT.unpack(fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0" * _INT.size))[0]
    return ours + theirs
