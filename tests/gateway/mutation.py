"""Makes odd messages out of valid and nasty ones: byte and line mutations, from a seeded generator.

Line mutations keep most of a message valid, so that many results are accepted and what is then
passed on can be judged; byte mutations reach what nobody thought of.
"""

import random
import re
from collections.abc import Callable, Sequence

from tests.gateway.corpus import HEADS, VALID

_ENDS = [b"\n", b"\r", b"\r\r\n", b"\r\n\r\n", b"\r\n ", b"\n\r\n", b"\r\n\t", b"\x0b", b"\x85"]
_NUMBERS = [
    b"0", b"00", b"1", b"2", b"5", b"05", b"9", b"+5", b"-1", b"5,5", b"0x5", b"1_0", b"5 5", b"a",
    b"18446744073709551616", b"999999999999999999", b"ffffffffffffffff", b"1e1", b"", b"5.0",
]  # fmt: skip
_BITS = [
    b"\r", b"\n", b"\r\n", b"\x00", b" ", b"\t", b":", b";", b",", b'"', b"\x0b", b"\x0c", b"\x7f",
    b"\x80", b"\xff", b"\xc2\x85", b"chunked", b"identity", b"/..", b"%00", b"//", b"\\", b"#",
    b"0\r\n\r\n", b"GET / HTTP/1.1\r\n", b"HTTP/1.0", b"\r\n\r\n", b";a=b", b"=",
]  # fmt: skip
_LINES = [
    b"Content-Length: 3", b"Content-Length: 0", b"content-length:3", b"Transfer-Encoding: chunked",
    b"transfer-encoding:\tchunked", b"Transfer-Encoding: chunked, identity", b"Host: web.test",
    b"Host: other.test", b"Connection: close", b"Connection: keep-alive, x-hop",
    b"Connection: Host, Content-Length, Transfer-Encoding, X-Forwarded-For, Cookie",
    b"Connection: upgrade", b"Upgrade: websocket", b"Upgrade: h2c, websocket", b"X-Hop: 1",
    b"TE: trailers", b"TE: gzip;q=1, trailers", b"Trailer: X-Sum", b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic eDp5", b"Expect: 100-continue",
    b"X-Forwarded-For: 1.2.3.4", b"X_Forwarded_For: 1.2.3.4", b"Forwarded: for=1.2.3.4",
    b"X-Forwarded-Host: evil.test", b"X-Real-IP: 1.2.3.4", b"X-Request-Id: mine", b"Via: 1.1 a",
    b"Content_Length: 3", b"Transfer_Encoding: chunked", b"Transfer-Encoding : chunked",
    b"Cookie: a=b", b"Authorization: Basic eDp5", b"X: \xe9", b"X:", b"Date: never", b" folded",
]  # fmt: skip
REQUESTS = [*VALID.values(), *(data for data, _ in HEADS.values())]
REQUESTS += [
    b"\r\n".join([b"POST /a HTTP/1.1", b"Host: web.test", line, b"Content-Length: 3", b"", b"abc"])
    for line in _LINES
]
REQUESTS += [
    b"\r\n".join(
        [b"PUT /b HTTP/1.1", b"Host: a.test", b"Transfer-Encoding: chunked", line, b"", body]
    )
    for line in _LINES
    for body in (b"3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n", b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")
]
ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 204 No Content\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: a\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200\r\nConnection: close\r\n\r\nuntil the end",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
]
ANSWERS += [
    b"\r\n".join([b"HTTP/1.1 200 OK", line, b"Content-Length: 3", b"", b"abc"]) for line in _LINES
]

_Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutated(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One message of the corpus after one to four mutations."""
    data = rng.choice(corpus)
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_MUTATIONS)(rng, data, corpus)
    return data


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 1, 2, 4, 16)))


def _insert(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(_BITS) + data[at:]


def _delete(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _duplicate(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:end] + data[start:]


def _swap(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    middle = (start + end) // 2
    return data[:start] + data[middle:end] + data[start:middle] + data[end:]


def _replace(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + rng.randbytes(end - start) + data[end:]


def _line_end(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    ends = [found.start() for found in re.finditer(rb"\r\n", data)]
    if not ends:
        return data
    at = rng.choice(ends)
    return data[:at] + rng.choice(_ENDS) + data[at + 2 :]


def _case(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[start:end].swapcase() + data[end:]


def _number(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    numbers = list(re.finditer(rb"[0-9]+", data))
    if not numbers:
        return data
    found = rng.choice(numbers)
    return data[: found.start()] + rng.choice(_NUMBERS) + data[found.end() :]


def _add_line(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lines.insert(rng.randint(1, len(lines)), rng.choice(_LINES))
    return b"\r\n".join(lines) + end + body


def _repeat_line(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return b"\r\n".join(lines)


def _drop_line(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\r\n")
    del lines[rng.randrange(len(lines))]
    return b"\r\n".join(lines)


def _splice(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    other = rng.choice(corpus)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _append(rng: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    return (data + rng.choice(corpus))[:4000]


_MUTATIONS: list[_Mutation] = [
    _insert, _delete, _duplicate, _swap, _replace, _line_end, _case, _number, _number, _add_line,
    _add_line, _add_line, _repeat_line, _drop_line, _splice, _append,
]  # fmt: skip
