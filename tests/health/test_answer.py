"""What a probe understands of an answer, fed in any pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.health import Probe
from health.answer import BODY_LIMIT, HEAD_LIMIT, Answer, NotHttp, shortfall

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WHOLE = [
    pytest.param(OK, 200, "ok", id="content-length"),
    pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, "", id="no body by status"),
    pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "", id="304"),
    pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", 200, "", id="bare line feeds"),
    pytest.param(b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", 503, "", id="no reason phrase"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        200,
        "ok",
        id="chunked",
    ),
    pytest.param(
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
        200,
        "ok",
        id="after interim answers (RFC 9110 §15.2)",
    ),
]


@pytest.mark.parametrize(("data", "status", "excerpt"), WHOLE)
@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_an_answer_is_complete_where_it_ends_however_it_was_cut(
    data: bytes, status: int, excerpt: str, size: int
) -> None:
    answer = Answer()
    for at in range(0, len(data), size):
        assert not answer.complete
        answer.feed(data[at : at + size])
    assert (answer.complete, answer.status, answer.excerpt()) == (True, status, excerpt)


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.0 500 Oops\r\n\r\ndatabase ")
    answer.feed(b"is down")
    assert not answer.complete
    answer.end()
    assert (answer.complete, answer.status, answer.excerpt()) == (True, 500, "database is down")


@pytest.mark.parametrize(
    ("status", "passed"),
    [(101, False), (200, True), (204, True), (301, True), (399, True), (400, False), (503, False)],
)
def test_2xx_and_3xx_pass_as_in_kubernetes(status: int, passed: bool) -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status)
    assert (answer.status, not shortfall(answer, Probe(http="/"))) == (status, passed)


def test_no_more_than_4_kib_of_a_body_are_waited_for() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * (BODY_LIMIT - 1))
    assert not answer.complete
    answer.feed(b"x")
    assert answer.complete


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * HEAD_LIMIT,
    ],
)
def test_what_is_not_http_is_refused(data: bytes) -> None:
    with pytest.raises(NotHttp):
        Answer().feed(data)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nA: b\r\n"])
def test_an_end_before_the_head_is_no_answer(data: bytes) -> None:
    answer = Answer()
    answer.feed(data)
    with pytest.raises(NotHttp, match="closed the connection before it answered"):
        answer.end()


def test_an_excerpt_is_one_short_printable_line() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 500 x\r\nContent-Length: 200\r\n\r\na\x1b[31m\r\n\tb \xff" + b"y" * 200)
    excerpt = answer.excerpt()
    assert excerpt.startswith("a [31m b \ufffdyyy")
    assert len(excerpt) == 80
    assert excerpt.isprintable()


@given(st.lists(st.binary(max_size=40), max_size=20), st.booleans())
def test_no_bytes_raise_anything_but_not_http(pieces: list[bytes], as_http: bool) -> None:
    answer = Answer()
    try:
        if as_http:
            answer.feed(b"HTTP/1.1 200 OK\r\n")
        for piece in pieces:
            answer.feed(piece)
        answer.end()
    except NotHttp:
        return
    assert answer.complete
    assert 200 <= answer.status <= 999
