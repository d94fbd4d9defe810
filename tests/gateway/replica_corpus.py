"""Answers that two parties might read in different ways: each is a 502, or a cut.

By the rule that each of them breaks (tests/rules/law.py): a name and the bytes of the answer.
Nothing of them may reach a client, and their connection may not be used again.
"""

import pytest

from tests.gateway.corpus import REFUSED
from tests.support.raw_http import get


def ok(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK", body: bytes = b"hello") -> bytes:
    return b"\r\n".join([first, *lines, b"", body])


CL = b"Content-Length: 5"
TE = b"Transfer-Encoding: chunked"

BAD_HEADS = {
    "RFC 9112 §6.1: both framings": {
        "TE and CL": ok(TE, CL),
        "CL and TE": ok(CL, TE, body=b""),
    },
    "RFC 9112 §6.3: several Content-Length": {
        "two CL, equal": ok(CL, CL),
        "two CL, different": ok(CL, b"Content-Length: 6"),
        "CL as a list": ok(b"Content-Length: 5, 5"),
    },
    "RFC 9110 §8.6: odd Content-Length": {
        "CL with plus": ok(b"Content-Length: +5"),
        "CL negative": ok(b"Content-Length: -5"),
        "CL hexadecimal": ok(b"Content-Length: 0x5"),
        "CL with underscore": ok(b"Content-Length: 1_0"),
        "CL empty": ok(b"Content-Length:"),
        "CL too large": ok(b"Content-Length: 99999999999999999999"),
        "CL in other digits": ok("Content-Length: \u0665".encode()),
        "CL with a tab behind": ok(b"Content-Length: 5\t"),
    },
    "RFC 9112 §6.1: unknown coding": {
        "TE unknown": ok(b"Transfer-Encoding: gzip", body=b""),
        "TE identity": ok(b"Transfer-Encoding: identity"),
        "TE list": ok(b"Transfer-Encoding: gzip, chunked"),
    },
    "RFC 9112 §6.1: repeated coding": {
        "TE twice": ok(TE, TE),
        "TE chunked twice": ok(b"Transfer-Encoding: chunked, chunked"),
    },
    "RFC 9112 §6.3: chunked not last": {
        "TE chunked before another": ok(b"Transfer-Encoding: chunked, gzip"),
    },
    "RFC 9112 §11.2: obfuscated coding": {
        "TE with a tab behind": ok(b"Transfer-Encoding: chunked\t"),
        "TE empty": ok(b"Transfer-Encoding:"),
        "TE quoted": ok(b'Transfer-Encoding: "chunked"'),
        "TE with a comma": ok(b"Transfer-Encoding: ,chunked"),
        "TE with a parameter": ok(b"Transfer-Encoding: chunked;a=b"),
    },
    "RFC 9112 §6.1: coding in HTTP/1.0": {
        "TE in HTTP/1.0": ok(TE, first=b"HTTP/1.0 200 OK", body=b""),
    },
    "RFC 9112 §2.2: bare LF": {
        "bare LF in the head": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        "bare LF in one line": ok(CL, b"A: b\nC: d"),
    },
    "RFC 9112 §2.2: bare CR": {
        "bare CR in a value": ok(CL, b"A: b\rC: d"),
        "bare CR before a line": ok(CL, b"\rA: b"),
    },
    "RFC 9110 §5.5: NUL and control bytes": {
        "NUL in a value": ok(CL, b"A: \x00"),
        "control in a value": ok(CL, b"A: \x1b[31m"),
        "DEL in a value": ok(CL, b"A: \x7f"),
        "control in the reason": ok(CL, first=b"HTTP/1.1 200 O\x08K"),
    },
    "RFC 9112 §5.2: folded lines": {
        "obs-fold": ok(CL, b"A: b", b" c"),
        "obs-fold with a tab": ok(CL, b"A: b", b"\tc"),
    },
    "RFC 9112 §5.1: space before the colon": {
        "space before the colon": ok(CL, b"A : b"),
        "space before the colon of CL": ok(b"Content-Length : 5"),
    },
    "RFC 9112 §2.2: space before the first field": {"leading space": ok(b" A: b", CL)},
    "RFC 9110 §5.1: field names": {
        "no colon": ok(CL, b"A"),
        "empty name": ok(CL, b": a"),
        "non-token name": ok(CL, b"A(b): c"),
    },
    "RFC 9112 §4: status line": {
        "no status": ok(CL, first=b"HTTP/1.1"),
        "two spaces": ok(CL, first=b"HTTP/1.1  200 OK"),
        "short status": ok(CL, first=b"HTTP/1.1 20 OK"),
        "status of four digits": ok(CL, first=b"HTTP/1.1 2000 OK"),
    },
    "RFC 9110 §15: status code": {
        "status below 100": ok(CL, first=b"HTTP/1.1 099 No"),
        "status above 599": ok(CL, first=b"HTTP/1.1 999 No"),
    },
    "RFC 9112 §2.3: version": {
        "HTTP/0.9": b"hello\r\n\r\n",
        "HTTP/2.0": ok(CL, first=b"HTTP/2.0 200 OK"),
        "HTTP/1.2": ok(CL, first=b"HTTP/1.2 200 OK"),
        "lower-case version": ok(CL, first=b"http/1.1 200 OK"),
    },
    "RFC 9112 §2.2: empty lines first": {"an empty line first": b"\r\n" + ok(CL)},
    "RFC 9112 §11.2: other protocols": {
        "a request": get(),
        "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
        "other protocol": b"ICY 200 OK\r\n\r\n",
    },
    "RFC 9110 §15.2: a garbled interim answer": {
        "two lengths": b"HTTP/1.1 103 Early\r\nContent-Length: 1, 1\r\n\r\n" + ok(CL),
        "odd end": b"HTTP/1.1 103 Early\r\n\r\nxx\r\n\r\n",
    },
    "RFC 9110 §5.4: size of a replica's head": {
        "endless head": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000,
        "long head": ok(b"A: " + b"x" * 70_000, CL),
    },
}  # fmt: skip

BAD_HEAD_CASES = [
    pytest.param(data, id=name, marks=pytest.mark.rule(rule, side="replica"))
    for rule, answers in BAD_HEADS.items()
    for name, data in answers.items()
]

# The chunks and trailers that are refused from a client are refused from a replica, too.
BAD_BODY_CASES = [
    pytest.param(
        data.partition(b"\r\n\r\n")[2],
        id=name,
        marks=pytest.mark.rule(rule, side="replica"),
    )
    for rule, cases in REFUSED.items()
    for name, (data, _) in cases.items()
    if name.startswith(("chunk", "trailer"))
]
