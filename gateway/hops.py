"""Requests that count the stops on their way: OPTIONS and TRACE (RFC 9110 §7.6.2).

Pure. Max-Forwards is one less with each stop; where it is 0 the request goes no further and is
answered. OPTIONS learns the methods (§9.3.7). TRACE gets back what arrived (§9.3.8): replicas are
sent TRACE, so it is on offer here, too, and a client that asks for this very stop wants to see what
reached it. What might be a secret is left out of that, by name.
"""

import re
from dataclasses import replace

from gateway import grammar, problems
from gateway.fields import Malformed
from gateway.head import Request

COUNTED = frozenset((b"OPTIONS", b"TRACE"))

_MAX_FORWARDS = grammar.named_field(b"max-forwards")
_SECRET = re.compile(
    rb"\r\n[^:\r]*(?:auth|cookie|credential|csrf|jwt|key|passw|secret|session|signature|token|xsrf)"
    rb"[^:\r]*:[^\r]*+",
    re.IGNORECASE,
)


def left(request: Request) -> int:
    """How many stops may follow; -1 when they are not counted. Raises Malformed."""
    given = _MAX_FORWARDS.findall(request.raw)
    if not given:
        return -1
    value = given[0].strip(b" \t")
    if len(given) > 1 or not value.isdigit() or len(value) > 18:
        raise Malformed(400, "bad-field", "Max-Forwards must be given once, as a number.")
    return int(value)


def one_less(request: Request, stops: int) -> Request:
    """What is sent on: a copy, for the connection remembers what it read."""
    line = b"\r\nMax-Forwards: %d" % (stops - 1)
    return replace(request, forward=_MAX_FORWARDS.sub(line, request.forward))


def answer(request: Request, *, date: bytes, close: bool) -> bytes:
    """The whole answer of the last stop."""
    content = b""
    lines = [b"HTTP/1.1 200 OK", b"Date: " + date, b"Allow: " + problems.ALLOWED.encode()]
    if request.method == b"TRACE":
        content = _SECRET.sub(b"", request.raw.lstrip(b"\r\n"))
        lines += [b"Content-Type: message/http", b"Cache-Control: no-store"]
        lines += [b"X-Content-Type-Options: nosniff"]
    lines.append(b"Content-Length: %d" % len(content))
    if close:
        lines.append(b"Connection: close")
    elif not request.minor:
        lines.append(b"Connection: keep-alive")
    return b"\r\n".join([*lines, b"", content])
