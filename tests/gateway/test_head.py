"""Heads: what is accepted, what is refused, and that no split of the bytes changes it."""

import contextlib
import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Limits
from gateway.fields import Malformed, Peer
from gateway.framing import BadFraming, Follower, follower
from gateway.head import Request, parse_request, parse_response, wants_html
from gateway.shape import SHAPELESS
from tests.gateway.corpus import HEADS, VALID

LIMITS = Limits()
PEER = Peer(b"10.0.0.9")


def parse(data: bytes, limits: Limits = LIMITS, former: Request | None = None) -> Request | None:
    return parse_request(data, 0, limits, PEER, former)


def verdict(parts: list[bytes], limits: Limits = LIMITS) -> object:
    """What a connection would make of these reads: facts of the request, or the refusal."""
    held = b""
    scanned = 0
    for part in parts:
        held += part
        try:
            request = parse_request(held, scanned, limits, PEER, None)
        except Malformed as malformed:
            return malformed.status
        if request is not None:
            return dataclasses.replace(request, raw=b"", shape=SHAPELESS)
        scanned = len(held)
    return None


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


ALL = [data for data, _ in HEADS.values()] + list(VALID.values())


@pytest.mark.rule("RFC 9112 §11.2: any split", side="client")
@given(st.sampled_from(ALL), st.lists(st.integers(0, 10**6), max_size=6))
def test_any_split_gives_the_same_result(data: bytes, cuts: list[int]) -> None:
    whole = verdict([data])
    pieces = verdict(split(data, cuts))
    # A refusal may come with another reason when the first bytes alone are already wrong.
    if isinstance(whole, int):
        assert isinstance(pieces, int)
    else:
        assert pieces == whole


def feed_bytes(body: Follower, data: bytes) -> None:
    for byte in data:
        body.feed(bytes([byte]))


@pytest.mark.rule("RFC 9112 §11.2: any split", side="client")
@pytest.mark.parametrize("name", HEADS)
def test_byte_by_byte_the_corpus_is_refused_too(name: str) -> None:
    data, status = HEADS[name]
    got = verdict([bytes([byte]) for byte in data])
    if isinstance(got, Request):
        body = follower(got.length)
        with pytest.raises(BadFraming):
            feed_bytes(body, data.partition(b"\r\n\r\n")[2])
    else:
        assert got in (status, 400)


@pytest.mark.rule("RFC 9112 §11.2: no input raises", side="client")
@given(st.binary(max_size=300))
def test_the_parser_raises_only_its_own_error(data: bytes) -> None:
    for prefix in (b"", b"GET ", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n"):
        for suffix in (b"", b"\r\n\r\n"):
            with contextlib.suppress(Malformed):
                request = parse(prefix + data + suffix)
                assert request is None or b"\n" not in request.line


@pytest.mark.rule("RFC 9112 §11.2: no input raises", side="replica")
@given(st.binary(max_size=300))
def test_the_response_parser_raises_only_its_own_error(data: bytes) -> None:
    for prefix in (b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n"):
        for suffix in (b"", b"\r\n\r\n"):
            with contextlib.suppress(Malformed):
                response = parse_response(prefix + data + suffix, None)
                assert response is None or 100 <= response.status < 600


@given(
    st.lists(st.sampled_from([b"Host: a", b"X: 1", b"Connection: x", b"Host: b", b"TE: trailers"]))
)
def test_a_repeated_block_means_what_it_meant(lines: list[bytes]) -> None:
    data = b"\r\n".join([b"GET / HTTP/1.1", *lines, b"", b""])
    try:
        first = parse(data)
    except Malformed:
        return
    again = parse(data, former=first)
    assert first is not None
    assert again is not None
    assert again.fields is first.fields
    assert parse(data, former=None) == again


def test_a_repeated_block_of_another_version_is_read_anew() -> None:
    first = parse(b"GET / HTTP/1.0\r\n\r\n")
    with pytest.raises(Malformed, match="Host"):
        parse(b"GET / HTTP/1.1\r\n\r\n", former=first)


@pytest.mark.rule("RFC 9112 §3.2.2: absolute-form", side="client")
def test_the_authority_of_an_absolute_form_replaces_host_rfc9112_3_2_2() -> None:
    request = parse(b"GET http://One.test:81?x HTTP/1.1\r\nHost: two.test\r\nA: b\r\n\r\n")
    assert request is not None
    assert request.fields.host == b"one.test"
    assert request.line == b"GET /?x HTTP/1.1"
    assert request.forward.count(b"\r\nHost: One.test:81\r\n") == 1
    assert b"two.test" not in request.forward
    # What it remembers must not give its host to the next request on the connection.
    following = parse(b"GET / HTTP/1.1\r\nHost: two.test\r\nA: b\r\n\r\n", former=request)
    assert following is not None
    assert following.fields.host == b"two.test"


@pytest.mark.parametrize(
    ("data", "limits", "status"),
    [
        (b"GET /" + b"a" * 100, Limits(url=10), 414),
        (b"GET /" + b"a" * 10 + b" HTTP/1.1\r\nHost: a\r\n\r\n", Limits(url=10), 414),
        (b"GET /" + b"a" * 200 + b" HTTP/1.1\r\n", Limits(url=10), 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"b" * 100, Limits(headers=50), 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"b" * 100 + b"\r\n\r\n", Limits(headers=50), 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n", Limits(header_count=2), 431),
    ],
)
def test_limits(data: bytes, limits: Limits, status: int) -> None:
    with pytest.raises(Malformed) as refused:
        parse(data, limits)
    assert refused.value.status == status


def test_zero_is_no_limit() -> None:
    none = Limits(url=0, headers=0, header_count=0)
    data = b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"
    assert parse(data, none) is not None


@pytest.mark.rule("RFC 9110 §12.5.1: pages for browsers", side="client")
def test_browsers_get_html_rfc9110_12_5_1() -> None:
    assert wants_html(b"\r\nHost: a\r\naccept: application/xml, TEXT/HTML;q=0.9")
    assert not wants_html(b"\r\nHost: a\r\nAccept: application/json")
    assert not wants_html(b"")


LINES = [
    b"Host: a", b"Connection: close", b"connection:close, x", b"TE: trailers",
    b"X-Forwarded-For: b", b"Keep-Alive: 5", b"Date: now", b"Content-Length: 3",
    b"content-length: 4",
    b"Cookie: c", b"Transfer-Encoding: chunked", b"Upgrade: u", b"Via: 1.1 v", b"X_Real_IP: 1",
]  # fmt: skip


@pytest.mark.rule("RFC 9112 §11.2: any split", side="client")
@given(st.lists(st.sampled_from(LINES), max_size=5))
def test_a_head_in_one_piece_means_what_it_means_step_by_step(lines: list[bytes]) -> None:
    data = b"\r\n".join([b"GET /a HTTP/1.1", *lines, b"", b""])
    assert verdict([data]) == verdict([data[:-1], data[-1:]])


@pytest.mark.rule("RFC 9110 §7.6.1: hop-by-hop fields", side="replica")
@pytest.mark.rule("RFC 9110 §5.3: order of fields", side="replica")
@given(st.lists(st.sampled_from(LINES), max_size=5))
def test_an_answer_passes_without_its_hop_by_hop_lines(lines: list[bytes]) -> None:
    try:
        response = parse_response(b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""]), None)
    except Malformed:
        return
    assert response is not None
    dropped = {b"connection", b"keep-alive", b"te", b"upgrade"}
    kept = [line for line in lines if line.partition(b":")[0].lower() not in dropped]
    assert response.forward == b"".join(b"\r\n" + line for line in kept)
