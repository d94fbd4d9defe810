"""The body of a request on its way to its exchange: followed to its end, bounded, and in turns."""

from typing import TYPE_CHECKING

from gateway import problems, recovery
from gateway.bulk import BulkReader, is_worth_it
from gateway.fields import Malformed
from gateway.framing import BadFraming, Follower, follower

if TYPE_CHECKING:
    from gateway.downstream import Downstream
    from gateway.exchange import Exchange

WINDOW = 16 * 1024  # of what is held, as much is looked at: many small requests cost no more


def begin(client: "Downstream", length: int) -> bytes:
    """The part of the body that came with the head. Raises Malformed."""
    limit = client.body_limit = client.context.limits.body
    if limit and length > limit:
        raise Malformed(413, "body-too-large", problems.BODY_TOO_LARGE.detail)
    body = client.body = follower(length)
    try:
        came = _follow(client, body)
    except BadFraming as error:
        raise Malformed(400, "bad-framing", f"The body is refused: {error}.") from None
    if limit and body.size > limit:
        raise Malformed(413, "body-too-large", problems.BODY_TOO_LARGE.detail)
    if body.done:
        client.held, client.body, client.received = body.rest, None, body.size
        return came
    client.held, client.later = b"", body.rest + client.later
    if client.later:
        client.go_on_later()
    if not client.bulk and is_worth_it(length, len(client.context.connections)):
        client.bulk = True
        client.transport.set_protocol(BulkReader(client, client.context.read_buffer))
    return came


def _follow(client: "Downstream", body: Follower) -> bytes:
    came = body.feed(client.held)
    while client.later and not body.done and not body.rest:
        client.held, client.later = client.later[:WINDOW], client.later[WINDOW:]
        came += body.feed(client.held)
    return came


def go_on(client: "Downstream", exchange: "Exchange", body: Follower, data: bytes) -> None:
    """More of it has come, or what had come has its turn."""
    try:
        passed = body.feed(data)
    except BadFraming:
        recovery.refuse_body(exchange, problems.BAD_BODY)
        return
    if 0 < client.body_limit < body.size:
        recovery.refuse_body(exchange, problems.BODY_TOO_LARGE)
        return
    client.later = body.rest
    if body.done:
        client.body, client.received = None, body.size
    elif client.later:
        client.go_on_later()
    exchange.upload(passed)
    if exchange.upstream is None and client.context.pressure is not None:
        client.context.pressure.took(len(passed))
