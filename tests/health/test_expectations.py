"""What a probe by HTTP asks and expects: statuses, a body, fields of the request."""

import socket

import pytest

from config.health import Probe
from health import probes
from health.answer import Answer, shortfall
from health.verdict import Finding, Result
from tests.support.lone_server import answering, endless, read_head, serving

TIMEOUT = 5.0


def answer_of(status: int, body: bytes, *, chunked: bool = False) -> Answer:
    answer = Answer()
    if chunked:
        frames = b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in body) + b"0\r\n\r\n"
        answer.feed(b"HTTP/1.1 %d x\r\nTransfer-Encoding: chunked\r\n\r\n%b" % (status, frames))
    else:
        answer.feed(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
    assert answer.complete
    return answer


@pytest.mark.parametrize(
    ("written", "passing", "failing"),
    [
        ("200-399", (200, 204, 301, 399), (400, 404, 500, 503)),
        (204, (204,), (200, 205)),
        (["200-299", 401], (200, 299, 401), (300, 302, 400, 402)),
        ("503", (503,), (200,)),
    ],
)
def test_only_the_configured_statuses_pass(
    written: object, passing: tuple[int, ...], failing: tuple[int, ...]
) -> None:
    probe = Probe.model_validate({"http": "/", "status": written})
    assert [shortfall(answer_of(status, b""), probe) for status in passing] == [""] * len(passing)
    assert [shortfall(answer_of(status, b""), probe) for status in failing] == [
        f"answered {status}" for status in failing
    ]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("expected", "body", "passes"),
    [
        ("ok", b"all is ok here", True),
        ("ok", b"OK", False),
        ('{"status":"UP"}', b'{"status":"UP"}', True),
        ("a.c", b"abc", False),
        ("/a.c/", b"abc", True),
        ("/^ok$/", b"ok", True),
        ("/^ok$/", b"not ok", False),
        ("/^(?i:ok)$/", b"OK", True),
        ("/", b"a/b", True),
        ("gr\u00fcn", "alles gr\u00fcn".encode(), True),
        ("ok", b"", False),
    ],
)
def test_a_body_is_looked_for_as_text_or_as_a_regular_expression(
    expected: str, body: bytes, passes: bool, chunked: bool
) -> None:
    probe = Probe(http="/", body=expected)
    missing = shortfall(answer_of(200, body, chunked=chunked), probe)
    assert missing == ("" if passes else f'answered 200 without "{expected}" in its body:')


async def test_only_the_first_4_kib_of_a_body_are_looked_at() -> None:
    """Prober robustness: a huge body is neither read nor waited for."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    for before, passes in ((4092, True), (4093, False)):
        async with serving(endless(head + b"x" * before + b"here", b"x" * 1024)) as address:
            finding = await probes.get(address, Probe(http="/", body="here"), TIMEOUT)
        assert finding.passed is passes


async def test_a_missing_body_is_told_with_what_came_instead() -> None:
    answer = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nDOWN")
    async with serving(answer) as address:
        finding = await probes.get(address, Probe(http="/up", body="UP"), TIMEOUT)
    text = 'GET /up answered 200 without "UP" in its body: "DOWN"'
    assert finding == Finding(Result.FAILED, text)


async def test_the_request_carries_the_operators_fields_in_place_of_ours() -> None:
    seen = b""

    async def note(sock: socket.socket) -> None:
        nonlocal seen
        seen = await read_head(sock)

    fields = {"host": "web.example.com", "X-Probe": "a, b", "accept": "text/plain"}
    async with serving(note) as address:
        await probes.get(address, Probe.model_validate({"http": "/", "headers": fields}), TIMEOUT)
    assert seen.decode().split("\r\n") == [
        "GET / HTTP/1.1",
        "User-Agent: tidegate-probe/1",
        "host: web.example.com",
        "X-Probe: a, b",
        "accept: text/plain",
        "Connection: close",
        "",
        "",
    ]
