"""After 101 a request becomes a tunnel: bytes pass both ways until either side is done.

RFC 9110 §7.8. It counts as in flight all the while, and each side may close its half first; with
TLS, which has no halves, the tunnel ends as soon as one side does.
"""

from typing import TYPE_CHECKING

from gateway import farewell, recovery
from gateway.fields import Malformed, switches_as_asked, unframed
from gateway.head import Response
from gateway.phase import Phase

if TYPE_CHECKING:
    from gateway.exchange import Exchange


def switch_protocols(exchange: "Exchange", response: Response, rest: bytes) -> None:
    """RFC 9110 §7.8: from here on bytes pass both ways, but only if the client asked."""
    wanted, given = exchange.request.fields.upgrade, response.fields.upgrade
    if not switches_as_asked(wanted, given) or exchange.client.body is not None:
        recovery.bad_answer(
            exchange, Malformed(502, "bad-response", "The replica switched unasked.")
        )
        return
    exchange.status = 101
    exchange.phase = Phase.TUNNEL
    assert exchange.upstream is not None
    heard = exchange.upstream.body = farewell.follower_of(given)
    head = b"%b%b\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n"
    exchange.client.transport.write(
        head % (response.line, unframed(response.forward), given) + heard.feed(rest)
    )
    exchange.stream_deadline()
    exchange.client.open_tunnel(farewell.follower_of(given))
    farewell.tell_if_late(exchange)


def end(exchange: "Exchange", now: float) -> None:
    """Both sides are told that nothing more comes, after what was written to them."""
    if exchange.upstream is not None and not exchange.upstream.saw_eof:
        farewell.last_word(exchange, exchange.upstream.body)
    exchange.end(exchange.status, now)
    exchange.client.close()


def client_eof(exchange: "Exchange") -> bool:
    """The client has closed its side. True: the other side stays open (a tunnel)."""
    halves = exchange.client.transport.can_write_eof()
    if exchange.phase is not Phase.TUNNEL or exchange.upstream is None or not halves:
        exchange.abandon()
        return False
    if exchange.upstream.saw_eof:
        exchange.end(exchange.status, exchange.client.context.loop.time())
        return False
    exchange.upstream.transport.write_eof()
    return True


def upstream_eof(exchange: "Exchange") -> bool:
    """The replica has closed its side. True: the other side stays open (a tunnel)."""
    if exchange.phase is not Phase.TUNNEL or exchange.client.transport.is_closing():
        return False
    if exchange.upstream is not None:
        farewell.last_word(exchange, exchange.upstream.body)
    if farewell.was_told(exchange) or not exchange.client.transport.can_write_eof():
        return False
    exchange.client.transport.write_eof()
    return not exchange.client.saw_eof
