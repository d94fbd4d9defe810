"""Heads of requests and responses: strictly checked, cut, and made ready to pass on.

Pure. `None` means that more bytes are needed; what can never become a valid head raises
Malformed at once. A connection mostly repeats its fields: a head of the shape of the former one of
the same connection needs no full reading.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache

from config.settings import Limits
from gateway import grammar
from gateway.fields import (
    Found,
    Malformed,
    Peer,
    RequestFields,
    RequestReading,
    ResponseFields,
    ResponseReading,
    forward_request,
    forward_response,
    request_fields,
    response_fields,
)
from gateway.shape import SHAPELESS, Shape
from gateway.varying import request_shape, response_shape

MAX_RESPONSE_HEAD = 64 * 1024
_MAX_KNOWN, _MAX_KNOWN_SIZE = 8, 512  # fields and bytes: what is remembered stays small
_HEAD_END = b"\r\n\r\n"


@dataclass(slots=True)
class Request:
    """One request head. `length` is in bytes, or CHUNKED; an empty `request_id` is to be filled.
    `line` is the request line to send on, `forward` the block to send on; `raw` is what was read,
    and `end` where the body begins."""

    method: bytes
    target: bytes
    minor: int
    line: bytes
    fields: RequestFields
    length: int
    request_id: bytes
    forward: bytes
    raw: bytes
    end: int
    shape: Shape = field(compare=False, repr=False)


@dataclass(slots=True)
class Response:
    """One response head. `length` is in bytes, or CHUNKED, or UNTIL_CLOSE. `line` is the status
    line to send on, `forward` the block to send on; `raw` is what was read, and `end` where the
    body begins."""

    status: int
    line: bytes
    fields: ResponseFields
    length: int
    forward: bytes
    raw: bytes
    end: int
    shape: Shape = field(compare=False, repr=False)


def parse_request(
    data: bytes, scanned: int, limits: Limits, peer: Peer, former: Request | None
) -> Request | None:
    """The head at the start of `data`, of which `scanned` bytes were seen before.

    Raises Malformed.
    """
    if former is not None and data.startswith(former.raw):
        return former
    # A head that comes in drips is not matched anew with each of them.
    first = None if scanned else grammar.USUAL_LINE.match(data)
    if first is None:
        return _parse_unusual(data, scanned, limits, peer)
    line, method, target = first.groups()
    if 0 < limits.url < len(target):
        return _parse_unusual(data, 0, limits, peer)
    if former is not None:
        shape = former.shape
        fitted = shape.fit(data, first.end(), limits.headers)
        if fitted is not None:
            end, forward, length, request_id = fitted
            return Request(
                method, target, 1, line, former.fields, length, request_id, forward, data[:end],
                end, shape,
            )  # fmt: skip
    rest = grammar.REST_OF_HEAD.match(data, first.end())
    if rest is None or _exceeds(block := rest[1], limits):
        return _parse_unusual(data, 0, limits, peer)
    read = _request_fields(grammar.REQUEST_FIELDS.findall(block), peer)
    forward = forward_request(block, read.forwarding)
    if former is None:
        shape = Shape(block, forward, read.length, read.request_id)
    else:
        shape = request_shape(block, forward, read, peer, (_block(former.raw), former.shape))
    end = rest.end()
    return Request(
        method, target, 1, line, read.fields, read.length, read.request_id, forward, data[:end],
        end, shape,
    )  # fmt: skip


def parse_response(data: bytes, former: Response | None) -> Response | None:
    """The head at the start of `data`. Raises Malformed (502)."""
    if former is not None and data.startswith(former.raw):
        return former
    first = grammar.USUAL_STATUS.match(data)
    if first is None:
        return _parse_unusual_response(data)
    line, status = first.groups()
    if former is not None:
        shape = former.shape
        fitted = shape.fit(data, first.end(), MAX_RESPONSE_HEAD)
        if fitted is not None:
            end, forward, length, _ = fitted
            return Response(
                int(status), line, former.fields, length, forward, data[:end], end, shape
            )
    rest = grammar.REST_OF_HEAD.match(data, first.end())
    if rest is None or (end := rest.end()) > MAX_RESPONSE_HEAD:
        return _parse_unusual_response(data)
    block = rest[1]
    read = _response_fields(grammar.RESPONSE_FIELDS.findall(block))
    forward = forward_response(block, read.forwarding)
    if former is None:
        shape = Shape(block, forward, read.length)
    else:
        shape = response_shape(block, forward, read, (_block(former.raw), former.shape))
    return Response(int(status), line, read.fields, read.length, forward, data[:end], end, shape)


def _block(head: bytes) -> bytes:
    return head[head.find(b"\r\n") : -4]


def wants_html(head: bytes) -> bool:
    """Whether a browser asks (RFC 9110 §12.5.1)."""
    accept = grammar.ACCEPT.search(head)
    return accept is not None and b"text/html" in accept[1].lower()


# Clients and services repeat the few fields that matter, on whatever connection.
_known_request_fields = lru_cache(1024)(request_fields)
_known_response_fields = lru_cache(1024)(response_fields)


def _is_small(found: list[bytes]) -> bool:
    return len(found) <= _MAX_KNOWN and len(b"".join(found)) <= _MAX_KNOWN_SIZE


def _request_fields(found: list[bytes], peer: Peer) -> RequestReading:
    """Their meaning, remembered when they are few. Raises Malformed."""
    if _is_small(found):
        return _known_request_fields(tuple(found), 1, peer)
    return request_fields(found, 1, peer)


def _response_fields(found: list[bytes]) -> ResponseReading:
    """The same for an answer. Raises Malformed (502)."""
    if _is_small(found):
        return _known_response_fields(tuple(found), 1)
    return response_fields(found, 1)


def _parse_unusual_response(data: bytes) -> Response | None:
    """Step by step: what is not of the usual form, not complete, or not valid."""
    end = data.find(_HEAD_END)
    if end < 0:
        if len(data) > MAX_RESPONSE_HEAD or grammar.is_spoilt(data, 0):
            raise Malformed(502, "bad-response", "The head of the replica's answer is invalid.")
        return None
    line = grammar.STATUS_LINE.match(data)
    if line is None or end > MAX_RESPONSE_HEAD:
        raise Malformed(502, "bad-response", "The head of the replica's answer is invalid.")
    minor = 1 if line[1] == b"1" else 0
    block = data[line.end() - 2 : end]
    if not grammar.BLOCK.fullmatch(block):
        raise Malformed(502, "bad-response", "A field of the replica's answer is invalid.")
    found = grammar.RESPONSE_FIELDS.findall(block)
    read = response_fields(found, minor)
    start = data[: line.end() - 2] if minor else b"HTTP/1.1" + line[2]
    forward = forward_response(block, read.forwarding)
    end += 4
    status, length = int(line[3]), read.length
    return Response(status, start, read.fields, length, forward, data[:end], end, SHAPELESS)


def _exceeds(block: bytes, limits: Limits) -> bool:
    size, most = len(block), limits.header_count
    # The shortest field is four bytes long, so that few bytes need not be counted through.
    return 0 < limits.headers < size or (0 < most * 4 < size and block.count(b"\n") > most)


def _parse_unusual(data: bytes, scanned: int, limits: Limits, peer: Peer) -> Request | None:
    """Step by step: what is not of the usual form, not complete, or not valid."""
    end = data.find(_HEAD_END, scanned - 3 if scanned > 3 else 0)
    if end < 0:
        _check_incomplete(data, scanned, limits)
        return None
    line = grammar.REQUEST_LINE.match(data)
    if line is None:
        # RFC 9112 §2.2: one empty line before a request may be skipped; we skip no more.
        if data.startswith(b"\r\n"):
            return _after_empty_line(data, limits, peer)
        raise _bad_line(data, limits)
    method, target, version = line.groups()
    minor = 1 if version == b"1" else 0
    block = data[line.end() - 2 : end]
    if limits.url and len(target) > limits.url:
        raise Malformed(414, "url-too-long", "The request target is too long.")
    # 0x2F is "/": origin-form, the only form that needs no second look.
    if target[0] != 0x2F:
        method, target, block = _other_form(method, target, minor, block, limits, peer)
        start = method + b" " + target + b" HTTP/1.1"
    elif minor:
        start = data[: line.end() - 2]
    else:
        start = method + b" " + target + b" HTTP/1.1"
    end += 4
    read = request_fields(_found(block, limits), minor, peer)
    forward = forward_request(block, read.forwarding)
    return Request(
        method, target, minor, start, read.fields, read.length, read.request_id, forward,
        data[:end], end, SHAPELESS,
    )  # fmt: skip


def _found(block: bytes, limits: Limits) -> Found:
    """The fields that matter, of a block that is valid as a whole. Raises Malformed."""
    if limits.headers and len(block) > limits.headers:
        raise Malformed(431, "headers-too-large", "The header fields are too large.")
    if limits.header_count and block.count(b"\n") > limits.header_count:
        raise Malformed(431, "too-many-headers", "There are too many header fields.")
    if not grammar.BLOCK.fullmatch(block):
        raise Malformed(400, "bad-field", "A header field is not valid HTTP/1.1.")
    found: Found = grammar.REQUEST_FIELDS.findall(block)
    return found


def _check_incomplete(data: bytes, scanned: int, limits: Limits) -> None:
    """Refuse what can no longer become a valid head, however much follows."""
    if grammar.is_spoilt(data, max(0, scanned - 1)):
        raise Malformed(400, "bad-request", "The head of the request is not valid HTTP/1.1.")
    start = 2 if data.startswith(b"\r\n") else 0
    if start == len(data) or data == b"\r":
        return
    eol = data.find(b"\r\n", start)
    line_length = (eol if eol >= 0 else len(data)) - start
    if eol >= 0 and not grammar.REQUEST_LINE.match(data, start):
        raise _bad_line(data[start:], limits)
    if eol < 0 and not grammar.STARTS_LIKE_REQUEST.match(data, start):
        raise Malformed(400, "bad-request-line", "The request line is not valid HTTP/1.1.")
    longest_line, most = incomplete_limits(limits)
    if 0 < longest_line < line_length:
        raise Malformed(414, "url-too-long", "The request target is too long.")
    if eol >= 0 and 0 < most < len(data) - eol:
        raise Malformed(431, "headers-too-large", "The header fields are too large.")


def incomplete_limits(limits: Limits) -> tuple[int, int]:
    """Bytes in which a request line, and the fields behind it, must have come to their end."""
    # The longest method and the version need less than 80 bytes beside the target.
    return limits.url and limits.url + 80, limits.headers and limits.headers + 4


def _bad_line(data: bytes, limits: Limits) -> Malformed:
    line = data.partition(b"\r\n")[0]
    if limits.url and len(line) > limits.url + 80:
        return Malformed(414, "url-too-long", "The request target is too long.")
    version = line.rpartition(b" ")[2]
    if version.startswith(b"HTTP/") and version not in (b"HTTP/1.1", b"HTTP/1.0"):
        return Malformed(400, "bad-version", "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    return Malformed(400, "bad-request-line", "The request line is not valid HTTP/1.1.")


def _after_empty_line(data: bytes, limits: Limits, peer: Peer) -> Request | None:
    if data.startswith(b"\r\n", 2):
        raise Malformed(400, "bad-request-line", "There is more than one empty line.")
    request = parse_request(data[2:], 0, limits, peer, None)
    if request is None:
        return None
    end = request.end + 2
    return replace(request, raw=data[:end], end=end, shape=SHAPELESS)


def _other_form(
    method: bytes, target: bytes, minor: int, block: bytes, limits: Limits, peer: Peer
) -> tuple[bytes, bytes, bytes]:
    """Absolute-form, asterisk-form and authority-form (RFC 9112 §3.2.2 to §3.2.4): what stands
    for them in origin-form. Raises Malformed."""
    request_fields(_found(block, limits), minor, peer)
    if method == b"CONNECT":
        raise Malformed(405, "method-not-allowed", "CONNECT is not served here.")
    absolute = grammar.ABSOLUTE_FORM.fullmatch(target)
    if absolute is None:
        if target != b"*" or method != b"OPTIONS":
            raise Malformed(400, "bad-target", "The target is not valid for this method.")
        return method, target, block
    authority, path = absolute[1], absolute[2]
    if not grammar.AUTHORITY.fullmatch(authority):
        raise Malformed(400, "bad-target", "The authority of the request target is invalid.")
    if not path.startswith(b"/"):
        path = b"*" if method == b"OPTIONS" and not path else b"/" + path
    # RFC 9112 §3.2.2: the target's authority replaces Host.
    return method, path, _with_host(block, authority)


def _with_host(block: bytes, authority: bytes) -> bytes:
    """The block with its Host field, if any, replaced."""
    lines = [line for line in block.split(b"\r\n") if not line.lower().startswith(b"host:")]
    return b"\r\n".join([lines[0], b"Host: " + authority, *lines[1:]])
