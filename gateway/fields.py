"""Which header fields pass, which are dropped, and which are added (RFC 9110 §7.6).

Pure. A block goes in; out come the few facts a proxy acts on and the block to pass on, in which
all other lines are byte for byte what was received.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway import grammar
from gateway.framing import CHUNKED, UNTIL_CLOSE

VIA_NAME = b"tidegate"
_MAX_VIA_LOOPS = 8

# RFC 9110 §7.6.1: Connection may name fields to drop, but never those that others rely on.
_NOT_NOMINABLE = frozenset(
    b"host content-length transfer-encoding via forwarded authorization cookie set-cookie "
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-real-ip x-request-id expect date "
    b"close".split()
)
_HOP_BY_HOP = frozenset(
    b"connection te upgrade keep-alive proxy-connection proxy-authenticate proxy-authorization "
    b"proxy-authentication-info".split()
)
_DROPPED_FROM_REQUEST = _HOP_BY_HOP | {b"forwarded", b"x-real-ip", b"x-request-id"}
_DROPPED_FROM_RESPONSE = _HOP_BY_HOP | {b"content-length", b"transfer-encoding"}
_PASSED_FROM_PROXIES = frozenset(
    b"x-forwarded-proto x-forwarded-host x-forwarded-port x-real-ip forwarded".split()
)


class Malformed(Exception):
    """A head that is refused: the status to answer, a stable code, and a sentence for people."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


@dataclass(slots=True)
class Peer:
    """Who sent the request. `trusted` peers are believed what they forward."""

    ip: bytes
    proto: bytes = b"http"
    trusted: bool = False
    authority: bytes = b"localhost"  # ours, for clients of HTTP/1.0 that name no host


@dataclass(slots=True)
class RequestFields:
    """What the fields of a request mean. `length` is in bytes, or CHUNKED.

    `host` is lower case, without port and trailing dot; `forward` is the block to pass on, where
    only a request id is missing when `request_id` is empty.
    """

    host: bytes
    length: int
    keep_alive: bool
    expect: bool
    upgrade: bytes
    request_id: bytes
    forward: bytes


@dataclass(slots=True)
class ResponseFields:
    """What the fields of a response mean. `length` is in bytes, or CHUNKED, or UNTIL_CLOSE.

    `framing` is the Content-Length line as it came; `forward` has no framing.
    """

    length: int
    keep_alive: bool
    dated: bool
    upgrade: bytes
    framing: bytes
    forward: bytes


def request_fields(block: bytes, minor: int, peer: Peer) -> RequestFields:
    """Read and rewrite the fields of a request. Raises Malformed."""
    seen, kept = _cut(grammar.REQUEST_FIELDS, block, _DROPPED_FROM_REQUEST)
    options = _tokens(seen.get(b"connection", ()))
    authority = _authority(seen.get(b"host", []), minor, peer)
    expect = _expects_continue(seen.get(b"expect", []), minor)
    if not expect and b"expect" in seen:
        kept = _without(kept, {b"expect"})
    upgrade = b""
    if b"upgrade" in options and minor and len(seen.get(b"upgrade", ())) == 1:
        upgrade = seen[b"upgrade"][0]
    keep_alive = b"close" not in options and (minor == 1 or b"keep-alive" in options)
    request_id = _request_id(seen, peer)
    return RequestFields(
        host=canonical_host(authority),
        length=_request_length(seen, minor),
        keep_alive=keep_alive,
        expect=expect,
        upgrade=upgrade,
        request_id=request_id,
        forward=b"".join(
            (_without(kept, options - _NOT_NOMINABLE), *_added(seen, authority, minor, peer))
        ),
    )


def response_fields(block: bytes, minor: int) -> ResponseFields:
    """Read and rewrite the fields of a response. Raises Malformed (502)."""
    seen, kept = _cut(grammar.RESPONSE_FIELDS, block, _DROPPED_FROM_RESPONSE)
    options = _tokens(seen.get(b"connection", ()))
    length = _response_length(seen, minor)
    return ResponseFields(
        length=length,
        keep_alive=b"close" not in options and (minor == 1 or b"keep-alive" in options),
        dated=b"date" in seen,
        upgrade=seen[b"upgrade"][0] if b"upgrade" in options and b"upgrade" in seen else b"",
        framing=b"\r\nContent-Length: %d" % length if length >= 0 else b"",
        forward=_without(kept, options - _NOT_NOMINABLE),
    )


def canonical_host(authority: bytes) -> bytes:
    """The name to route by: lower case, without port and one trailing dot."""
    if authority.startswith(b"["):
        return authority.partition(b"]")[0].lower() + b"]"
    return authority.partition(b":")[0].lower().removesuffix(b".")


def _cut(
    pattern: re.Pattern[bytes], block: bytes, dropped: frozenset[bytes]
) -> tuple[dict[bytes, list[bytes]], bytes]:
    """The values of the matching fields by lower-case name, and the block without `dropped`."""
    seen: dict[bytes, list[bytes]] = {}
    kept: list[bytes] = []
    at = 0
    for match in pattern.finditer(block):
        # A field that only differs by "_" is the same one to CGI-like applications.
        name = match[1].lower().replace(b"_", b"-")
        seen.setdefault(name, []).append(match[2].strip(b" \t"))
        if name in dropped or name.startswith(b"x-forwarded-") or b"_" in match[1]:
            kept.append(block[at : match.start()])
            at = match.end()
    if not at:
        return seen, block
    kept.append(block[at:])
    return seen, b"".join(kept)


def _tokens(values: Iterable[bytes]) -> set[bytes]:
    listed = (token.strip(b" \t").lower() for value in values for token in value.split(b","))
    return {token for token in listed if token}


def _without(block: bytes, names: set[bytes] | frozenset[bytes]) -> bytes:
    """The block without the lines of these fields; linear whatever a client names."""
    names = names - {b"keep-alive", b"upgrade", b"te"}
    if not names:
        return block
    lines = block.split(b"\r\n")
    return b"\r\n".join(line for line in lines if line.partition(b":")[0].lower() not in names)


def _authority(hosts: list[bytes], minor: int, peer: Peer) -> bytes:
    """RFC 9112 §3.2: exactly one valid Host in HTTP/1.1."""
    if not hosts and minor == 0:
        return peer.authority
    if len(hosts) != 1 or not grammar.AUTHORITY.fullmatch(hosts[0]):
        raise Malformed(400, "bad-host", "The request needs exactly one valid Host field.")
    return hosts[0]


def _expects_continue(values: list[bytes], minor: int) -> bool:
    """RFC 9110 §10.1.1: HTTP/1.0 expectations are ignored, unknown ones answered with 417."""
    if not values or minor == 0:
        return False
    if len(values) != 1 or values[0].lower() != b"100-continue":
        raise Malformed(417, "expectation-failed", "The only known expectation is 100-continue.")
    return True


def _request_length(seen: dict[bytes, list[bytes]], minor: int) -> int:
    """RFC 9112 §6.3, the strict reading: what two parties might frame differently is refused."""
    codings = seen.get(b"transfer-encoding")
    lengths = seen.get(b"content-length")
    if codings is None:
        return 0 if lengths is None else _counted(lengths, 400)
    if lengths is not None:
        raise Malformed(400, "bad-framing", "Both Content-Length and Transfer-Encoding are given.")
    if minor == 0:
        raise Malformed(400, "bad-framing", "HTTP/1.0 has no Transfer-Encoding.")
    if len(codings) == 1 and codings[0].lower() == b"chunked":
        return CHUNKED
    if len(codings) == 1 and grammar.TOKEN.fullmatch(codings[0]):
        raise Malformed(501, "unknown-coding", "The only known transfer coding is chunked.")
    raise Malformed(400, "bad-framing", "Transfer-Encoding must be exactly chunked.")


def _response_length(seen: dict[bytes, list[bytes]], minor: int) -> int:
    codings = seen.get(b"transfer-encoding")
    lengths = seen.get(b"content-length")
    if codings is None:
        return UNTIL_CLOSE if lengths is None else _counted(lengths, 502)
    if lengths is not None or minor == 0 or [coding.lower() for coding in codings] != [b"chunked"]:
        raise Malformed(502, "bad-response", "The replica's answer is framed in an invalid way.")
    return CHUNKED


def _counted(lengths: list[bytes], status: int) -> int:
    if len(lengths) != 1 or not grammar.CONTENT_LENGTH.fullmatch(lengths[0]):
        code = "bad-framing" if status == 400 else "bad-response"
        raise Malformed(status, code, "Content-Length must be given once, as a number.")
    return int(lengths[0])


def _request_id(seen: dict[bytes, list[bytes]], peer: Peer) -> bytes:
    ids = seen.get(b"x-request-id", ())
    return ids[0] if peer.trusted and len(ids) == 1 and len(ids[0]) <= 128 else b""


def _added(
    seen: dict[bytes, list[bytes]], authority: bytes, minor: int, peer: Peer
) -> Iterable[bytes]:
    """Field lines of our own, each with its CRLF in front."""
    if b"host" not in seen:
        yield b"\r\nHost: " + authority
    # RFC 9110 §10.1.4: TE is hop by hop; only its wish for trailers is ours to repeat.
    if b"trailers" in _tokens(seen.get(b"te", ())):
        yield b"\r\nConnection: TE\r\nTE: trailers"
    believed = seen if peer.trusted else {}
    chain = b", ".join([*believed.get(b"x-forwarded-for", ()), peer.ip])
    yield b"\r\nX-Forwarded-For: " + chain
    if b"x-forwarded-proto" not in believed:
        yield b"\r\nX-Forwarded-Proto: " + peer.proto
    if b"x-forwarded-host" not in believed:
        yield b"\r\nX-Forwarded-Host: " + authority
    for name in sorted(_PASSED_FROM_PROXIES & believed.keys()):
        yield b"\r\n%b: %b" % (name.title(), b", ".join(believed[name]))
    if (ids := believed.get(b"x-request-id")) and _request_id(seen, peer):
        yield b"\r\nX-Request-Id: " + ids[0]
    # RFC 9110 §7.6.3: Via is appended and names the version that was received.
    if sum(value.count(VIA_NAME) for value in seen.get(b"via", ())) >= _MAX_VIA_LOOPS:
        raise Malformed(508, "loop-detected", "The request has passed this gateway too often.")
    yield b"\r\nVia: 1.%d %b" % (minor, VIA_NAME)
