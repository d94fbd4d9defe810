"""Which values may vary from head to head, learned from two heads of one connection.

Pure. A value may vary when nothing depends on it but what a shape can tell: what passes as it is,
what is dropped, lengths, ids, and what trusted proxies forward. Hosts, connection options and
codings stay: another one is read in full.
"""

from collections.abc import Callable

from gateway import grammar
from gateway.fields import (
    Peer,
    RequestReading,
    ResponseReading,
    forward_request,
    forward_response,
    request_fields,
    response_fields,
)
from gateway.shape import NOTHING, Kind, Shape, Varying

_CRLF = b"\r\n"
_MAX_VARYING = 8
_STEADY = frozenset(b"host expect via transfer-encoding connection te upgrade".split())


def request_shape(
    block: bytes, forward: bytes, reading: RequestReading, peer: Peer, former: tuple[bytes, Shape]
) -> Shape:
    """The shape of a block that is not as the former one of its connection was."""
    shape = Shape(block, forward, reading.length, reading.request_id)
    lines = _varying(former, block, lambda line: request_kind(line, peer))

    def render(readable: bytes, marked: bytes) -> tuple[bytes, bytes]:
        read = request_fields(grammar.REQUEST_FIELDS.findall(readable), 1, peer)
        return forward_request(marked, read.forwarding), read.request_id

    if lines:
        shape.vary(block, lines, render)
    return shape


def response_shape(
    block: bytes, forward: bytes, reading: ResponseReading, former: tuple[bytes, Shape]
) -> Shape:
    """The same for an answer."""
    shape = Shape(block, forward, reading.length)
    lines = _varying(former, block, response_kind)

    def render(readable: bytes, marked: bytes) -> tuple[bytes, bytes]:
        read = response_fields(grammar.RESPONSE_FIELDS.findall(readable), 1)
        return forward_response(marked, read.forwarding), b""

    if lines:
        shape.vary(block, lines, render)
    return shape


def _varying(
    former: tuple[bytes, Shape], block: bytes, kind: Callable[[bytes], Kind | None]
) -> Varying:
    """The lines whose values differ in two blocks of equal names, or did before, and may."""
    before = former[1].varying
    lines, others = block.split(_CRLF), former[0].split(_CRLF)
    if len(lines) != len(others):
        return NOTHING
    found = {}
    for number, (line, other) in enumerate(zip(lines, others, strict=True)):
        if line == other and number not in before:
            continue
        if line.partition(b":")[0] != other.partition(b":")[0]:
            return NOTHING
        may = kind(line)
        if may is not None:
            found[number] = may
    return found if len(found) <= _MAX_VARYING else NOTHING


def request_kind(line: bytes, peer: Peer) -> Kind | None:
    """What the value of a line is when it varies; None when it must stay."""
    if not grammar.REQUEST_FIELDS.match(_CRLF + line):
        return Kind.MEANINGLESS
    name = line.partition(b":")[0].lower()
    if name in _STEADY:
        return None
    if name == b"content-length":
        return Kind.LENGTH
    if not peer.trusted:
        return Kind.MEANINGLESS
    return Kind.REQUEST_ID if name == b"x-request-id" else Kind.FORWARDED


def response_kind(line: bytes) -> Kind | None:
    """The same for an answer."""
    if not grammar.RESPONSE_FIELDS.match(_CRLF + line):
        return Kind.MEANINGLESS
    name = line.partition(b":")[0].lower()
    if name in _STEADY:
        return None
    return Kind.LENGTH if name == b"content-length" else Kind.MEANINGLESS
