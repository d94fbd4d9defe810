"""OPTIONS and TRACE stop where their client asked them to (RFC 9110 §7.6.2)."""

import pytest

from tests.support.raw_http import get, post, say_hello, stage

pytestmark = pytest.mark.rule("RFC 9110 §7.6.2: Max-Forwards", side="client")


def values(head: bytes) -> list[bytes]:
    lines = (line.partition(b":") for line in head.split(b"\r\n"))
    return [value.strip() for name, _, value in lines if name.lower() == b"max-forwards"]


@pytest.mark.parametrize("target", ["*", "/a", "http://web.test"])
@pytest.mark.parametrize("zero", ["Max-Forwards: 0", "max-forwards:000 "])
async def test_options_stop_here_at_0_rfc9110_9_3_7(target: str, zero: str) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        answer = await client.ask(get(target, zero, method="OPTIONS"))
        assert (answer.status, answer.body, answer.value("Content-Length")) == (200, b"", "0")
        assert "TRACE" in (answer.value("Allow") or "")
        assert answer.value("Date") is not None
        assert s.replicas[0].connections == 0
        assert s.gateway.stats(0.0).unrouted == {200: 1}
        assert (await client.ask(get())).body == b"hello"


async def test_trace_shows_here_at_0_what_came_but_no_secret_rfc9110_9_3_8() -> None:
    secrets = [
        *("Authorization: Basic c2VjcmV0", "Cookie: a=secret", "cookie: b=secret"),
        *("Proxy-Authorization: secret", "X-Api-KEY: secret", "X-Auth-Token:secret"),
        *("X-CSRF: secret", "X-Amz-Signature: secret", "My-Session-Id: secret"),
    ]
    shown = ["X-Odd:  a\tb ", "Via: 1.1 other", "MAX-forwards: 0", "Accept: text/html"]
    async with stage(say_hello) as s:
        client = await s.client()
        for _ in range(2):
            answer = await client.ask(get("/a?b", *secrets, *shown, method="TRACE"))
            assert answer.status == 200
            assert answer.value("Content-Type") == "message/http"
            assert answer.value("X-Content-Type-Options") == "nosniff"
            assert answer.body == get("/a?b", *shown, method="TRACE")
        assert s.replicas[0].connections == 0


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    ("given", "sent"), [("1", b"0"), ("10", b"9"), (" 0070 ", b"69"), ("9" * 18, b"9" * 17 + b"8")]
)
async def test_more_is_one_less_at_the_replica(method: str, given: str, sent: bytes) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        for _ in range(3):  # and not one less each time on one connection
            lines = ("A: b", f"Max-Forwards:{given}", "C: d")
            assert (await client.ask(get("/a", *lines, method=method))).body == b"hello"
        for head in s.replicas[0].heads:
            assert values(head) == [sent]
            assert head.startswith(f"{method} /a HTTP/1.1\r\nHost: web.test\r\nA: b\r\n".encode())
            assert b"\r\nC: d\r\n" in head
        # The same fields mean something else to the next request.
        await client.ask(get("/a", *lines))
        assert values(s.replicas[0].heads[-1]) == [given.strip().encode()]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    "lines", [["-1"], ["x"], [""], ["1, 2"], ["+1"], ["1", "1"], ["9" * 19], ["\u0661"]]
)
async def test_what_is_no_number_is_refused(method: str, lines: list[str]) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        fields = [f"Max-Forwards: {value}" for value in lines]
        answer = await client.ask(get("/", *fields, method=method))
        assert (answer.status, answer.value("Connection")) == (400, "close")
        assert await client.is_closed()
        assert s.replicas[0].connections == 0


@pytest.mark.parametrize("method", ["GET", "POST", "options", "PUT"])
async def test_it_means_nothing_to_other_methods(method: str) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        for value in (b"0", b"x"):
            line = f"Max-Forwards: {value.decode()}"
            assert (await client.ask(get("/", line, method=method))).body == b"hello"
            assert values(s.replicas[0].heads[-1]) == [value]


async def test_a_body_before_the_last_stop_is_no_request() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.send(post(get("/evil"), "Max-Forwards: 0", method="OPTIONS") + get("/next"))
        assert (await client.answer()).body == b""
        assert (await client.answer()).body == b"hello"
        assert [head.split(b" ")[1] for head in s.replicas[0].heads] == [b"/next"]


@pytest.mark.parametrize("late", [b"", b"x" * 100])
async def test_a_body_that_has_not_come_ends_the_connection(late: bytes) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.send(get("/", "Max-Forwards: 0", "Content-Length: 200", method="TRACE") + late)
        answer = await client.answer()
        assert (answer.status, answer.value("Connection")) == (200, "close")
        await client.send(get("/evil"))
        assert await client.is_closed()
        assert s.replicas[0].connections == 0


async def test_http_1_0_is_told_that_its_connection_stays() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        for option in ("keep-alive", "close"):
            lines = f"Max-Forwards: 0\r\nConnection: {option}"
            answer = await client.ask(f"OPTIONS * HTTP/1.0\r\n{lines}\r\n\r\n".encode())
            assert answer.value("Connection") == option
        assert await client.is_closed()
