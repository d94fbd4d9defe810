"""A head of a known shape means exactly what a full reading of it would find."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Limits
from gateway.fields import Malformed, Peer
from gateway.head import Request, Response, parse_request, parse_response

STRANGER = Peer(b"10.0.0.9")
PROXY = Peer(b"10.0.0.9", trusted=True)
LIMITS = Limits(headers=400, header_count=12)

NAMES = (
    "Host", "Cookie", "X-Request-Id", "x-request-id", "X_Request_Id", "X-Forwarded-For",
    "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Content-Length",
    "Connection", "Keep-Alive", "Proxy-Authorization", "TE", "Via", "Expect", "Upgrade",
    "Transfer-Encoding", "Traceparent", "Date", "If-None-Match",
)  # fmt: skip
VALUES = (
    " a.test", " b.test:80", " 1", " 23", "  45 ", "", " ", " 10.0.0.1, 10.0.0.2", " 6\t", " a%b",
    " %b%%s", " x" * 80, " close", " keep-alive", " cookie", " chunked", " trailers", " 1.1 v",
    " 100-continue", " \xff\xfe", " a  b", " websocket", " " + "9" * 19,
)  # fmt: skip

Lines = list[tuple[str, str]]


def head(first: str, lines: Lines) -> bytes:
    text = first + "".join(f"\r\n{name}:{value}" for name, value in lines)
    return (text + "\r\n\r\n").encode("latin-1")


@st.composite
def connections(draw: st.DrawFn) -> list[Lines]:
    """Heads one after the other, of mostly the same names."""
    names = draw(st.lists(st.sampled_from(NAMES), max_size=5))
    heads = []
    for _ in range(draw(st.integers(2, 6))):
        if draw(st.integers(0, 9)) == 0:
            names = draw(st.lists(st.sampled_from(NAMES), max_size=5))
        heads.append(
            [("Host", " a.test"), *((one, draw(st.sampled_from(VALUES))) for one in names)]
        )
    return heads


def read(data: bytes, peer: Peer, former: Request | None) -> Request | int | None:
    try:
        return parse_request(data, 0, LIMITS, peer, former)
    except Malformed as malformed:
        return malformed.status


@given(connections(), st.sampled_from([STRANGER, PROXY]))
def test_a_request_is_read_as_it_would_be_alone(heads: list[Lines], peer: Peer) -> None:
    former = None
    for number, lines in enumerate(heads):
        data = head(f"GET /{number} HTTP/1.1", lines) + b"rest"
        alone = read(data, peer, None)
        assert read(data, peer, former) == alone
        if isinstance(alone, Request):
            former = parse_request(data, 0, LIMITS, peer, former)


@given(connections())
def test_an_answer_is_read_as_it_would_be_alone(heads: list[Lines]) -> None:
    former: Response | None = None
    for number, lines in enumerate(heads):
        data = head(f"HTTP/1.1 20{number} OK", lines[1:]) + b"rest"
        try:
            alone = parse_response(data, None)
        except Malformed:
            with pytest.raises(Malformed):
                parse_response(data, former)
            continue
        assert alone is not None
        again = parse_response(data, former)
        assert again == alone
        former = again


def third(name: str, values: tuple[str, str, str], peer: Peer) -> tuple[Request, bool]:
    """The third of three requests, and whether it was read by the shape of the second."""
    first, second, last = (
        head("POST / HTTP/1.1", [("Host", " a.test"), (name, value)]) for value in values
    )
    former = parse_request(first, 0, LIMITS, peer, None)
    former = parse_request(second, 0, LIMITS, peer, former)
    request = parse_request(last, 0, LIMITS, peer, former)
    assert former is not None
    assert request is not None
    return request, request.shape is former.shape


@pytest.mark.parametrize(
    ("name", "values", "trusts", "fits"),
    [
        ("Cookie", (" a=1", " b=2", " c=%s"), False, True),
        ("Content-Length", (" 1", " 2", " 345"), False, True),
        ("X-Request-Id", (" 1", " 2", " 3"), False, True),
        ("X-Request-Id", (" 1", " 2", " 3"), True, True),
        ("X-Request-Id", (" 1", " 2", " 3 4"), True, False),
        ("X-Forwarded-For", (" 10.0.0.1", " 10.0.0.2", " 10.0.0.3, 10.0.0.4"), True, True),
        ("X-Forwarded-For", (" 10.0.0.1", " 10.0.0.2", " 10.0.0.3 "), True, False),
        ("Via", (" 1.1 a", " 1.1 b", " 1.1 c"), False, False),
        ("Connection", (" a", " b", " close"), False, False),
    ],
)
def test_what_may_vary(name: str, values: tuple[str, str, str], trusts: bool, fits: bool) -> None:
    assert third(name, values, PROXY if trusts else STRANGER)[1] is fits


def test_what_varies_is_taken_from_the_head_itself() -> None:
    assert third("Content-Length", (" 1", " 2", " 345"), STRANGER)[0].length == 345
    request, _ = third("X-Request-Id", (" 1", " 2", " 3"), PROXY)
    assert request.request_id == b"3"
    assert b"\r\nX-Request-Id: 3\r\n" in request.forward
    request, _ = third("X-Forwarded-For", (" 1.1.1.1", " 2.2.2.2", " 3.3.3.3"), PROXY)
    assert b"\r\nX-Forwarded-For: 3.3.3.3, 10.0.0.9\r\n" in request.forward


@pytest.mark.parametrize("value", ["x\x00", "x\ny: z", "x\r", "x" * 400])
def test_a_value_that_is_not_valid_is_refused_in_a_known_shape_too(value: str) -> None:
    with pytest.raises(Malformed) as refused:
        third("Cookie", (" a", " b", value), STRANGER)
    assert refused.value.status in (400, 431)


def test_a_line_that_is_added_is_seen() -> None:
    request, fits = third("Cookie", (" a", " b", " c\r\nConnection: close"), STRANGER)
    assert not fits
    assert not request.fields.keep_alive


def test_lengths_of_answers_vary() -> None:
    former: Response | None = None
    shapes = set()
    for length in range(5):
        data = head("HTTP/1.1 200 OK", [("Content-Length", f" {length}"), ("ETag", f" {length}")])
        former = parse_response(data, former)
        assert former is not None
        assert former.length == length
        shapes.add(former.shape)
    assert len(shapes) == 2
