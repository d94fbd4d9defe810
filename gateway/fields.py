"""Which header fields pass, which are dropped, and which are added (RFC 9110 §7.6).

Pure. A block goes in; out come the few facts a proxy acts on and the block to pass on, in which
all other lines are byte for byte what was received.
"""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from gateway import grammar
from gateway.framing import CHUNKED, UNTIL_CLOSE

VIA_NAME = b"tidegate"
_MAX_VIA_LOOPS = 8

Found = Sequence[bytes]  # lines
_NONE: frozenset[bytes] = frozenset()

# RFC 9110 §7.6.1: Connection may name fields to drop, but never those that others rely on; the
# usual hop-by-hop ones are dropped anyway.
_NEVER_NOMINATED = frozenset(
    b"host content-length transfer-encoding via forwarded authorization cookie set-cookie "
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-real-ip x-request-id expect date "
    b"close keep-alive upgrade te".split()
)
_KEPT_IN_REQUEST = frozenset(b"host content-length transfer-encoding expect via".split())
_KEPT_IN_RESPONSE = frozenset(b"content-length transfer-encoding date".split())
_PASSED_FROM_PROXIES = frozenset(
    b"x-forwarded-proto x-forwarded-host x-forwarded-port x-real-ip".split()
)


class Malformed(Exception):
    """A head that is refused: the status to answer, a stable code, and a sentence for people."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


@dataclass(slots=True, frozen=True)
class Peer:
    """Who sent the request. `trusted` peers are believed what they forward."""

    ip: bytes
    proto: bytes = b"http"
    trusted: bool = False
    authority: bytes = b"localhost"  # ours, for clients of HTTP/1.0 that name no host


@dataclass(slots=True)
class RequestFields:
    """What the fields of a request mean, whatever its length and id are.

    `host` is lower case, without port and trailing dot.
    """

    host: bytes
    keep_alive: bool
    expect: bool
    upgrade: bytes


@dataclass(slots=True)
class ResponseFields:
    """What the fields of a response mean, whatever its length is."""

    keep_alive: bool
    dated: bool
    upgrade: bytes


@dataclass(slots=True)
class Forwarding:
    """What to change in a block. `added` are lines of our own; `dropped` says that some are not
    passed on, `cut` is the line when it is one alone, `nominated` names those beside the usual.
    """

    added: bytes
    dropped: bool
    cut: bytes
    nominated: frozenset[bytes]


@dataclass(slots=True)
class RequestReading:
    """All that a request's fields say. `length` is in bytes, or CHUNKED; when `request_id` is
    empty, one is to be added."""

    fields: RequestFields
    length: int
    request_id: bytes
    forwarding: Forwarding


@dataclass(slots=True)
class ResponseReading:
    """All that a response's fields say. `length` is in bytes, or CHUNKED, or UNTIL_CLOSE."""

    fields: ResponseFields
    length: int
    forwarding: Forwarding


def request_fields(found: Found, minor: int, peer: Peer) -> RequestReading:
    """The meaning of the fields that `grammar.REQUEST_FIELDS` found. Raises Malformed."""
    seen = _by_name(found)
    options = _tokens(seen[b"connection"]) if b"connection" in seen else set()
    authority = _authority(seen.get(b"host", []), minor, peer)
    expect = _expects_continue(seen.get(b"expect", []), minor)
    upgrade = b""
    if b"upgrade" in options and minor and len(seen.get(b"upgrade", ())) == 1:
        upgrade = _upgrade(seen[b"upgrade"][0])
    nominated = options - _NEVER_NOMINATED
    if b"expect" in seen and not expect:
        nominated |= {b"expect"}
    keep_alive = b"close" not in options and (minor == 1 or b"keep-alive" in options)
    return RequestReading(
        RequestFields(canonical_host(authority), keep_alive, expect, upgrade),
        length=_request_length(seen, minor),
        request_id=_request_id(seen, peer),
        forwarding=Forwarding(
            added=b"".join(_added(seen, authority, minor, peer)),
            dropped=not seen.keys() <= _KEPT_IN_REQUEST or bool(nominated),
            cut=_only_dropped(found, _KEPT_IN_REQUEST),
            nominated=frozenset(nominated),
        ),
    )


def response_fields(found: Found, minor: int) -> ResponseReading:
    """The meaning of the fields that `grammar.RESPONSE_FIELDS` found. Raises Malformed (502)."""
    seen = _by_name(found)
    keep_alive, upgrade, nominated = minor == 1, b"", _NONE
    if b"connection" in seen:
        options = _tokens(seen[b"connection"])
        keep_alive = b"close" not in options and (keep_alive or b"keep-alive" in options)
        nominated = frozenset(options - _NEVER_NOMINATED)
        if b"upgrade" in options and b"upgrade" in seen:
            upgrade = seen[b"upgrade"][0]
    return ResponseReading(
        ResponseFields(keep_alive, b"date" in seen, upgrade),
        length=_response_length(seen, minor),
        forwarding=Forwarding(
            added=b"",
            dropped=not seen.keys() <= _KEPT_IN_RESPONSE,
            cut=_only_dropped(found, _KEPT_IN_RESPONSE),
            nominated=nominated,
        ),
    )


def forward_request(block: bytes, forwarding: Forwarding) -> bytes:
    """The lines to send on: the client's, byte for byte and in order, then our own."""
    if forwarding.dropped:
        block = _passed(block, forwarding, grammar.DROPPED_FROM_REQUEST)
    return block + forwarding.added


def forward_response(block: bytes, forwarding: Forwarding) -> bytes:
    """The lines to send on, byte for byte and in order."""
    if forwarding.dropped:
        block = _passed(block, forwarding, grammar.DROPPED_FROM_RESPONSE)
    return block


def _passed(block: bytes, forwarding: Forwarding, dropped: "re.Pattern[bytes]") -> bytes:
    cut = forwarding.cut
    block = block.replace(cut, b"", 1) if cut else dropped.sub(b"", block)
    return without(block, forwarding.nominated) if forwarding.nominated else block


def unframed(block: bytes) -> bytes:
    """The block of an answer that is framed anew, or has no body at all."""
    return without(block, {b"content-length", b"transfer-encoding"})


def without(block: bytes, names: AbstractSet[bytes]) -> bytes:
    """The block without the lines of these fields; linear whatever a client names."""
    lines = block.split(b"\r\n")
    return b"\r\n".join(line for line in lines if line.partition(b":")[0].lower() not in names)


def canonical_host(authority: bytes) -> bytes:
    """The name to route by: lower case, without port and one trailing dot."""
    if authority.startswith(b"["):
        return authority.partition(b"]")[0].lower() + b"]"
    return authority.partition(b":")[0].lower().removesuffix(b".")


def _by_name(found: Found) -> dict[bytes, list[bytes]]:
    """Values by lower-case name. One that only differs by "_" is the same to CGI-like programs."""
    seen: dict[bytes, list[bytes]] = {}
    for line in found:
        name, _, value = line.partition(b":")
        key = name.lower()
        if b"_" in key:
            seen.setdefault(b"_", []).append(value)
        else:
            # Only SP: "chunked" and a tab is chunked to us (RFC 9110 §5.5) but not to llhttp.
            seen.setdefault(key, []).append(value.strip(b" "))
    return seen


def _only_dropped(found: Found, kept: frozenset[bytes]) -> bytes:
    """The line that is not passed on, with its CRLF, when it is the only one.

    It is then the first of its name in the block, so that no other line can begin like it.
    """
    dropped = [line for line in found if line.partition(b":")[0].lower() not in kept]
    return b"\r\n" + dropped[0] if len(dropped) == 1 else b""


def _tokens(values: Iterable[bytes]) -> set[bytes]:
    listed = (token.strip(b" \t").lower() for value in values for token in value.split(b","))
    return {token for token in listed if token}


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


def _upgrade(value: bytes) -> bytes:
    """What may be asked of the replica. Not h2c, which RFC 9113 §3.1 has withdrawn: in such a
    tunnel any number of requests would pass by all the rules of this gateway."""
    return b"" if any(token.startswith(b"h2c") for token in _tokens((value,))) else value


def switches_as_asked(wanted: bytes, given: bytes) -> bool:
    """RFC 9110 §7.8: a server must not switch to a protocol that the client did not list."""
    switched = _tokens((given,))
    return bool(switched) and switched <= _tokens((wanted,))


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
    if _is_unknown(codings):
        raise Malformed(501, "unknown-coding", "The only known transfer coding is chunked.")
    raise Malformed(400, "bad-framing", "Transfer-Encoding must be exactly chunked.")


def _is_unknown(codings: list[bytes]) -> bool:
    """RFC 9112 §6.1: a list of codings in which only the last may be chunked, and not alone."""
    *others, last = (coding.strip(b" \t").lower() for coding in b",".join(codings).split(b","))
    if not all(grammar.TOKEN.fullmatch(coding) for coding in (*others, last)):
        return False
    return b"chunked" not in others and (bool(others) or last != b"chunked")


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
    if b"te" in seen and b"trailers" in _tokens(seen[b"te"]):
        yield b"\r\nConnection: TE\r\nTE: trailers"
    if peer.trusted:
        yield from _believed(seen, authority, peer)
    else:
        yield b"\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b" % (
            peer.ip, peer.proto, authority,
        )  # fmt: skip
    # RFC 9110 §7.6.3: Via is appended and names the version that was received.
    if sum(value.count(VIA_NAME) for value in seen.get(b"via", ())) >= _MAX_VIA_LOOPS:
        raise Malformed(508, "loop-detected", "The request has passed this gateway too often.")
    yield b"\r\nVia: 1.%d %b" % (minor, VIA_NAME)


def _believed(seen: dict[bytes, list[bytes]], authority: bytes, peer: Peer) -> Iterable[bytes]:
    """What a trusted proxy says of its client is repeated, and what it leaves out is added."""
    chain = b", ".join([*seen.get(b"x-forwarded-for", ()), peer.ip])
    yield b"\r\nX-Forwarded-For: " + chain
    if b"x-forwarded-proto" not in seen:
        yield b"\r\nX-Forwarded-Proto: " + peer.proto
    if b"x-forwarded-host" not in seen:
        yield b"\r\nX-Forwarded-Host: " + authority
    if b"forwarded" in seen:
        node = b'"[%b]"' % peer.ip if b":" in peer.ip else peer.ip
        hops = [*seen[b"forwarded"], b"for=%b;proto=%b" % (node, peer.proto)]
        yield b"\r\nForwarded: " + b", ".join(hops)
    for name in sorted(_PASSED_FROM_PROXIES & seen.keys()):
        yield b"\r\n%b: %b" % (name.title(), b", ".join(seen[name]))
    if (ids := seen.get(b"x-request-id")) and _request_id(seen, peer):
        yield b"\r\nX-Request-Id: " + ids[0]
