"""Tunnels of a replica that leaves are told to close (RFC 6455 §7.1, code 1001: going away).

The replica is told, as if by its client, at the end of a frame. It answers with a Close after all
that it had still to say, and that one tells the client: nothing of the replica's is lost, and a
replica that does not listen may go on for as long as `drain`. Should it end without a word, the
client is told by us. Of other protocols nobody here knows a word for it; they have all of `drain`.

When the gateway itself is replaced, no replica leaves: its tunnels go on, and are told when the
time that they have is nearly over.
"""

from typing import TYPE_CHECKING

from gateway.frames import GOING_AWAY, Frames, close_frame
from gateway.framing import Follower, UntilClose
from gateway.phase import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.context import Connection
    from gateway.exchange import Exchange

_REASON = b"going away"


def follower_of(protocol: bytes) -> Follower:
    """For one direction of a tunnel."""
    return Frames() if protocol.lower() == b"websocket" else UntilClose()


def tell_all(connections: "Iterable[Connection]") -> None:
    """Those whose replica leaves; whoever was told before is not told again."""
    for connection in connections:
        exchange = connection.exchange
        if exchange is not None and exchange.phase is Phase.TUNNEL and _leaves(exchange):
            tell(exchange)


def tell(exchange: "Exchange") -> None:
    upstream, spoken = exchange.upstream, exchange.client.body
    if upstream is None or not isinstance(spoken, Frames) or exchange.client.saw_eof:
        return
    if not isinstance(upstream.body, Frames) or upstream.body.has_closed:
        return
    mask = exchange.client.context.rng.getrandbits(32).to_bytes(4, "big")
    if word := spoken.end_with(close_frame(GOING_AWAY, _REASON, mask)):
        upstream.transport.write(word)


def tell_if_late(exchange: "Exchange") -> None:
    """It became a tunnel when its replica was leaving already."""
    if _leaves(exchange):
        tell(exchange)


def was_told(exchange: "Exchange") -> bool:
    """Nothing more may be said to the replica."""
    spoken = exchange.client.body
    return isinstance(spoken, Frames) and spoken.is_over


def last_word(exchange: "Exchange", heard: Follower | None) -> None:
    """The replica has ended: its client is told why, unless that would tear a frame apart.

    `heard` follows what the replica has said.
    """
    if not isinstance(heard, Frames) or not _leaves(exchange):
        return
    if word := heard.end_with(close_frame(GOING_AWAY, _REASON)):
        exchange.client.transport.write(word)


def _leaves(exchange: "Exchange") -> bool:
    return exchange.client.context.ending or (exchange.slot is not None and exchange.slot.draining)
