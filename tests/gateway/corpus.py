"""Requests that two parties might read in different ways, and the one answer to each.

By the rule that each of them breaks (tests/rules/law.py): a name, the bytes, the status. Nothing of
them may reach a replica. And requests that are valid, however odd they look.
"""

import pytest


def _with(
    *lines: bytes, first: bytes = b"POST / HTTP/1.1", host: bytes = b"Host: web.test"
) -> bytes:
    return b"\r\n".join([first, *([host] if host else []), *lines, b"", b""])


def _chunked(body: bytes) -> bytes:
    return _with(b"Transfer-Encoding: chunked") + body


def _line(line: bytes) -> bytes:
    return _with(first=line)


REFUSED = {
    "RFC 9112 §6.1: both framings": {
        "CL and TE": (_with(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
        "TE and CL": (_with(b"Transfer-Encoding: chunked", b"Content-Length: 5"), 400),
    },
    "RFC 9112 §6.3: several Content-Length": {
        "two CL, equal": (_with(b"Content-Length: 5", b"Content-Length: 5"), 400),
        "two CL, different": (_with(b"Content-Length: 5", b"Content-Length: 6"), 400),
        "CL as a list": (_with(b"Content-Length: 5, 5"), 400),
    },
    "RFC 9110 §8.6: odd Content-Length": {
        "CL with plus": (_with(b"Content-Length: +5"), 400),
        "CL negative": (_with(b"Content-Length: -5"), 400),
        "CL hexadecimal": (_with(b"Content-Length: 0x5"), 400),
        "CL with underscore": (_with(b"Content-Length: 1_0"), 400),
        "CL with a space inside": (_with(b"Content-Length: 1 0"), 400),
        "CL empty": (_with(b"Content-Length:"), 400),
        "CL with a fraction": (_with(b"Content-Length: 1.0"), 400),
        "CL with an exponent": (_with(b"Content-Length: 1e1"), 400),
        "CL too large": (_with(b"Content-Length: 99999999999999999999"), 400),
        "CL in other digits": (_with("Content-Length: \u0665".encode()), 400),
        "CL with a tab behind": (_with(b"Content-Length: 5\t"), 400),
    },
    "RFC 9112 §6.1: unknown coding": {
        "TE unknown": (_with(b"Transfer-Encoding: gzip"), 501),
        "TE identity": (_with(b"Transfer-Encoding: identity"), 501),
        "TE list": (_with(b"Transfer-Encoding: gzip, chunked"), 501),
        "TE list in two fields": (
            _with(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"), 501),
    },
    "RFC 9112 §6.1: repeated coding": {
        "TE chunked twice": (_with(b"Transfer-Encoding: chunked, chunked"), 400),
        "TE in two fields": (
            _with(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
        "TE chunked around another": (_with(b"Transfer-Encoding: chunked, gzip, chunked"), 400),
    },
    "RFC 9112 §6.3: chunked not last": {
        "TE second field unknown": (
            _with(b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"), 400),
        "TE chunked before another": (_with(b"Transfer-Encoding: chunked, gzip"), 400),
    },
    "RFC 9112 §11.2: obfuscated coding": {
        "TE with a comma": (_with(b"Transfer-Encoding: ,chunked"), 400),
        "TE quoted": (_with(b'Transfer-Encoding: "chunked"'), 400),
        "TE with a parameter": (_with(b"Transfer-Encoding: chunked;a=b"), 400),
        "TE with a vertical tab": (_with(b"Transfer-Encoding: \x0bchunked"), 400),
        "TE with a tab before": (_with(b"Transfer-Encoding:\tchunked"), 400),
        "TE with a tab behind": (_with(b"Transfer-Encoding: chunked\t"), 400),
        "TE empty": (_with(b"Transfer-Encoding:"), 400),
        "TE with an unknown in a comma": (_with(b"Transfer-Encoding: gzip,, chunked"), 400),
    },
    "RFC 9112 §6.1: coding in HTTP/1.0": {
        "TE in HTTP/1.0": (
            _with(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"), 400),
    },
    "RFC 9112 §2.2: bare LF": {
        "bare LF in the head": (b"GET / HTTP/1.1\nHost: web.test\n\n", 400),
        "bare LF in one line": (b"GET / HTTP/1.1\r\nHost: web.test\nX: y\r\n\r\n", 400),
        "bare LF between other lines": (_with(b"A: b\nX: y"), 400),
        "bare LF before the last line": (_with(b"A: b")[:-2] + b"\n", 400),
    },
    "RFC 9112 §2.2: bare CR": {
        "bare CR in a value": (_with(b"X: a\rContent-Length: 5"), 400),
        "bare CR before a line": (_with(b"\rX: a"), 400),
    },
    "RFC 9110 §5.5: NUL and control bytes": {
        "NUL in a value": (_with(b"X: a\x00b"), 400),
        "control in a value": (_with(b"X: a\x01b"), 400),
        "DEL in a value": (_with(b"X: a\x7fb"), 400),
    },
    "RFC 9112 §5.2: folded lines": {
        "obs-fold": (_with(b"X: a", b" b"), 400),
        "obs-fold with a tab": (_with(b"X: a", b"\tb"), 400),
    },
    "RFC 9112 §5.1: space before the colon": {
        "space before the colon": (_with(b"Content-Length : 5"), 400),
        "tab before the colon": (_with(b"Content-Length\t: 5"), 400),
    },
    "RFC 9112 §2.2: space before the first field": {
        "space before the first field": (b"GET / HTTP/1.1\r\n Host: web.test\r\n\r\n", 400),
        "space before a first field that is not Host": (
            b"GET / HTTP/1.1\r\n X: y\r\nHost: web.test\r\n\r\n", 400),
    },
    "RFC 9110 §5.1: field names": {
        "no colon": (_with(b"Content-Length"), 400),
        "empty name": (_with(b": 5"), 400),
        "non-token name": (_with(b"X(y): 5"), 400),
        "non-ASCII name": (_with(b"X\xe9: 5"), 400),
    },
    "RFC 9112 §3: request line": {
        "two spaces": (_line(b"GET  / HTTP/1.1"), 400),
        "tab as separator": (_line(b"GET\t/\tHTTP/1.1"), 400),
        "leading space": (_line(b" GET / HTTP/1.1"), 400),
        "trailing space": (_line(b"GET / HTTP/1.1 "), 400),
    },
    "RFC 9112 §3.2: bytes in the target": {
        "space in the target": (_line(b"GET /a b HTTP/1.1"), 400),
        "non-ASCII target": (_line(b"GET /\xe9 HTTP/1.1"), 400),
        "control in the target": (_line(b"GET /\x01 HTTP/1.1"), 400),
        "fragment": (_line(b"GET /#a HTTP/1.1"), 400),
    },
    "RFC 9112 §2.3: version": {
        "no version": (_line(b"GET /"), 400),
        "HTTP/0.9": (b"GET /\r\n\r\n", 400),
        "HTTP/2.0": (_line(b"GET / HTTP/2.0"), 400),
        "HTTP/1.2": (_line(b"GET / HTTP/1.2"), 400),
        "HTTP/1.10": (_line(b"GET / HTTP/1.10"), 400),
        "lower-case version": (_line(b"GET / http/1.1"), 400),
    },
    "RFC 9112 §11.2: other protocols": {
        "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        "TLS on a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    },
    "RFC 9112 §3.1: method": {
        "non-token method": (_line(b"GE(T / HTTP/1.1"), 400),
        "endless method": (_line(b"G" * 100 + b" / HTTP/1.1"), 400),
    },
    "RFC 9112 §3.2.1: origin-form": {
        "relative target": (_line(b"GET admin HTTP/1.1"), 400),
        "relative path": (_line(b"GET a/b HTTP/1.1"), 400),
    },
    "RFC 9112 §3.2.2: absolute-form": {
        "other scheme": (_line(b"GET ftp://web.test/ HTTP/1.1"), 400),
        "no authority in the target": (_line(b"GET http:///a HTTP/1.1"), 400),
    },
    "RFC 9110 §4.2.4: userinfo": {
        "userinfo in the target": (_line(b"GET http://a@web.test/ HTTP/1.1"), 400),
        "Host with userinfo": (_with(host=b"Host: a@web.test"), 400),
    },
    "RFC 9112 §3.2.3: authority-form": {
        "CONNECT": (_line(b"CONNECT web.test:443 HTTP/1.1"), 405),
        "authority-form without CONNECT": (_line(b"GET web.test:443 HTTP/1.1"), 400),
    },
    "RFC 9112 §3.2.4: asterisk-form": {
        "asterisk without OPTIONS": (_line(b"GET * HTTP/1.1"), 400),
    },
    "RFC 9112 §2.2: empty lines first": {
        "two empty lines first": (b"\r\n\r\n" + _with(), 400),
    },
    "RFC 9112 §3.2: missing Host": {
        "no Host": (_with(host=b""), 400),
        "empty Host": (_with(host=b"Host:"), 400),
    },
    "RFC 9112 §3.2: several Host": {
        "two Hosts": (_with(b"Host: other.test"), 400),
        "two equal Hosts": (_with(b"Host: web.test"), 400),
        "Host list": (_with(host=b"Host: a, b"), 400),
    },
    "RFC 9112 §3.2: invalid Host": {
        "Host with a path": (_with(host=b"Host: web.test/a"), 400),
        "Host with a space": (_with(host=b"Host: web test"), 400),
        "Host with an odd port": (_with(host=b"Host: web.test:8o"), 400),
    },
    "RFC 9110 §10.1.1: unknown expectation": {
        "unknown expectation": (_with(b"Expect: 200-ok"), 417),
        "obfuscated expectation": (_with(b"Expect: 100-continue, x"), 417),
    },
    "RFC 9112 §7.1: chunk size": {
        "chunk size with 0x": (_chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk size with plus": (_chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk size negative": (_chunked(b"-1\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk size with underscore": (_chunked(b"1_0\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk size with space": (_chunked(b" 5\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk size then space": (_chunked(b"5 \r\nhello\r\n0\r\n\r\n"), 400),
        "chunk size empty": (_chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk size too long": (_chunked(b"00000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk size not hexadecimal": (_chunked(b"g\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk line with bare LF": (_chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
        "chunk line with bare CR": (_chunked(b"5\rhello\r\n0\r\n\r\n"), 400),
    },
    "RFC 9112 §7.1.1: chunk extensions": {
        "chunk extension with bare LF": (_chunked(b"5;a\nhello\r\n0\r\n\r\n"), 400),
        "chunk extension with bare CR": (_chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk extension without name": (_chunked(b"5;\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk extension too long": (
            _chunked(b"5;" + b"a" * 9000 + b"\r\nhello\r\n0\r\n\r\n"), 400),
    },
    "RFC 9112 §7.1: end of a chunk": {
        "chunk too short": (_chunked(b"6\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk too long": (_chunked(b"4\r\nhello\r\n0\r\n\r\n"), 400),
        "chunk ends with bare LF": (_chunked(b"5\r\nhello\n0\r\n\r\n"), 400),
    },
    "RFC 9112 §7.1.2: trailer section": {
        "trailer obs-fold": (_chunked(b"0\r\nA: b\r\n c\r\n\r\n"), 400),
        "trailer without colon": (_chunked(b"0\r\nA\r\n\r\n"), 400),
        "trailer with bare LF": (_chunked(b"0\r\nA: b\n\r\n\r\n"), 400),
    },
    "RFC 9110 §6.5.1: forbidden trailers": {
        "trailer Content-Length": (_chunked(b"0\r\nContent-Length: 5\r\n\r\n"), 400),
        "trailer Transfer-Encoding": (_chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
        "trailer Host": (_chunked(b"0\r\nA: b\r\nHost: other.test\r\n\r\n"), 400),
        "trailer Authorization": (_chunked(b"0\r\nauthorization: Basic x\r\n\r\n"), 400),
        "trailer X_Forwarded_For": (_chunked(b"0\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n"), 400),
    },
}  # fmt: skip

HEADS = {name: case for cases in REFUSED.values() for name, case in cases.items()}
CASES = [
    pytest.param(data, status, id=name, marks=pytest.mark.rule(rule, side="client"))
    for rule, cases in REFUSED.items()
    for name, (data, status) in cases.items()
]

VALID = {
    "origin-form": b"GET /a?b HTTP/1.1\r\nHost: web.test\r\n\r\n",
    "with port": b"GET / HTTP/1.1\r\nHost: web.test:8080\r\n\r\n",
    "IPv6": b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
    "absolute-form": b"GET http://web.test/a HTTP/1.1\r\nHost: other.test\r\n\r\n",
    "absolute-form without path": b"GET http://web.test HTTP/1.1\r\nHost: other.test\r\n\r\n",
    "asterisk-form": b"OPTIONS * HTTP/1.1\r\nHost: web.test\r\n\r\n",
    "one empty line first": b"\r\nGET / HTTP/1.1\r\nHost: web.test\r\n\r\n",
    "unknown method": b"brew /tea HTTP/1.1\r\nHost: web.test\r\n\r\n",
    "HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "empty value": b"GET / HTTP/1.1\r\nHost: web.test\r\nX:\r\n\r\n",
    "obs-text": b"GET / HTTP/1.1\r\nHost: web.test\r\nX: \xe9\r\n\r\n",
    "odd characters": b'GET /{a}|"b"^`<c>[d]\\ HTTP/1.1\r\nHost: web.test\r\n\r\n',
    "chunked": b"POST / HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: CHUNKED\r\n\r\n"
    b'5;a;b=c;d="e;\\"f"\r\nhello\r\n00a\r\n0123456789\r\n0\r\nSum: 1\r\n\r\n',
    "GET with body": b"GET / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 2\r\n\r\nhi",
}
_SHOWN_BY_VALID = {
    "absolute-form": "RFC 9112 §3.2.2: absolute-form",
    "asterisk-form": "RFC 9112 §3.2.4: asterisk-form",
    "one empty line first": "RFC 9112 §2.2: empty lines first",
    "unknown method": "RFC 9112 §3.1: method",
    "HTTP/1.0": "RFC 9112 §9.3: HTTP/1.0",
    "chunked": "RFC 9112 §7.1.1: chunk extensions",
}
VALID_CASES = [
    pytest.param(
        name,
        marks=[pytest.mark.rule(_SHOWN_BY_VALID[name], side="client")]
        if name in _SHOWN_BY_VALID
        else [],
    )
    for name in VALID
]
