"""One request through a real gateway to a real replica (contract of what a client sees)."""

import re
from typing import Any

import pytest

from cluster.messages import Outcome, OutcomeKind
from tests.support.raw_http import (
    HELLO,
    Call,
    always,
    get,
    once,
    post,
    say_hello,
    stage,
    until,
)


@pytest.mark.rule("RFC 9112 §9.3: persistence", side="both")
async def test_a_request_is_served_and_the_connections_stay() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        for _ in range(3):
            answer = await client.ask(get())
            assert (answer.status, answer.body) == (200, b"hello")
        assert s.replicas[0].connections == 1
        assert s.stats().requests == {200: 3}
        assert s.stats().in_flight == 0


@pytest.mark.rule("RFC 9110 §5.3: order of fields", side="client")
@pytest.mark.rule("RFC 3986 §6: raw path", side="client")
async def test_client_fields_pass_byte_for_byte() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        odd = "x-ODD:   two  spaces\t and \xe9 "
        await client.ask(get("/a?b=%20%zz", odd, "Accept-Encoding: br"))
        head = s.replicas[0].heads[0]
        assert head.startswith(b"GET /a?b=%20%zz HTTP/1.1\r\nHost: web.test\r\n")
        assert b"\r\n" + odd.encode() + b"\r\n" in head


@pytest.mark.rule("RFC 7239 §8.1: a stranger's Forwarded", side="client")
@pytest.mark.rule("RFC 9110 §7.6.3: Via", side="client")
@pytest.mark.rule("Tidegate: X-Request-Id", side="client")
async def test_forwarding_fields_are_rebuilt_for_a_stranger() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        lies = [
            "X-Forwarded-For: 1.2.3.4",
            "x_forwarded_for: 1.2.3.4",
            "X-Forwarded-Proto: https",
            "Forwarded: for=1.2.3.4",
            "X-Real-IP: 1.2.3.4",
            "X-Request-Id: mine",
        ]
        await client.ask(get("/", *lies))
        head = s.replicas[0].heads[0]
        assert b"1.2.3.4" not in head
        assert b"mine" not in head
        assert head.count(b"\r\nX-Forwarded-For: 127.0.0.1\r\n") == 1
        assert b"\r\nX-Forwarded-Proto: http\r\n" in head
        assert b"\r\nX-Forwarded-Host: web.test\r\n" in head
        assert b"\r\nVia: 1.1 tidegate\r\n" in head
        assert re.search(rb"\r\nX-Request-Id: [0-9a-f]{16}-[0-9a-f]+\r\n", head)


@pytest.mark.rule("Tidegate: X-Request-Id", side="client")
async def test_request_ids_differ() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.ask(get())
        await client.ask(get())
        ids = [re.findall(rb"X-Request-Id: (\S+)", head)[0] for head in s.replicas[0].heads]
        assert len(set(ids)) == 2


@pytest.mark.rule("RFC 7239 §4: a trusted proxy's Forwarded", side="client")
@pytest.mark.rule("Tidegate: X-Request-Id", side="client")
async def test_a_trusted_proxy_is_believed_and_appended_to() -> None:
    async with stage(say_hello, trusted_proxies=("127.0.0.0/8",)) as s:
        client = await s.client()
        told = [
            "X-Forwarded-For: 1.2.3.4",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: shop.test",
            "X-Request-Id: theirs",
        ]
        await client.ask(get("/", *told))
        head = s.replicas[0].heads[0]
        assert head.startswith(b"GET / HTTP/1.1\r\nHost: web.test\r\n")
        assert b"\r\nX-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n" in head
        assert head.count(b"\r\nX-Forwarded-Proto: https\r\n") == 1
        assert head.count(b"\r\nX-Forwarded-Host: shop.test\r\n") == 1
        assert head.count(b"X-Request-Id: ") == 1
        assert b"\r\nX-Request-Id: theirs\r\n" in head


@pytest.mark.rule("RFC 9110 §7.6.1: hop-by-hop fields", side="both")
@pytest.mark.rule("RFC 9110 §7.6.1: nominated fields", side="both")
@pytest.mark.rule("RFC 9110 §10.1.4: TE", side="client")
async def test_hop_by_hop_fields_pass_neither_way_rfc9110_7_6_1() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, x-secret\r\nX-Secret: 1\r\n"
        b"Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nSet-Cookie: a=1\r\n"
        b"Set-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    )
    async with stage(always(answer)) as s:
        client = await s.client()
        sent = [
            "Connection: close-not, X-Hop, host, te, x-forwarded-for",
            "X-Hop: 1",
            "Keep-Alive: 5",
            "TE: gzip, trailers",
            "Proxy-Authorization: secret",
            "Proxy-Connection: keep-alive",
            "Upgrade: h2c",
        ]
        got = await client.ask(get("/", *sent))
        head = s.replicas[0].heads[0]
        for gone in (b"X-Hop", b"Keep-Alive", b"Proxy-", b"Upgrade", b"gzip"):
            assert gone not in head
        assert b"\r\nHost: web.test\r\n" in head
        assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in head
        assert b"\r\nConnection: TE\r\nTE: trailers\r\n" in head
        assert got.value("X-Secret") is None
        assert got.value("Keep-Alive") is None
        assert got.value("Proxy-Authenticate") is None
        assert got.values("Set-Cookie") == ["a=1", "b=2"]


@pytest.mark.rule("RFC 9110 §6.6.1: Date", side="replica")
async def test_a_date_is_added_when_the_replica_sent_none_rfc9110_6_6_1() -> None:
    async with stage(say_hello) as s:
        answer = await (await s.client()).ask(get())
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", answer.value("Date") or "")


@pytest.mark.rule("RFC 9112 §6.2: counted bodies", side="both")
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
async def test_bodies_pass_both_ways(size: int) -> None:
    async def echo(call: Call) -> None:
        while True:
            body = await call.body(await call.request())
            await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with stage(echo) as s:
        client = await s.client()
        body = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
        for _ in range(2):
            # What may be retried uses a connection again, however long it was idle.
            client.writer.write(post(body, method="PUT"))
            answer = await client.answer()
            assert answer.body == body
        assert s.replicas[0].connections == 1


@pytest.mark.rule("RFC 9112 §7.1: chunked bodies", side="both")
@pytest.mark.rule("RFC 9112 §7.1.1: chunk extensions", side="both")
@pytest.mark.rule("RFC 9110 §6.5: trailers passed on", side="both")
async def test_chunked_bodies_pass_both_ways_with_extensions_and_trailers() -> None:
    sent = b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 9\r\n\r\n"

    async def echo(call: Call) -> None:
        while True:
            head = await call.request()
            assert b"\r\nTransfer-Encoding: chunked\r\n" in head
            got = await call.reader.readexactly(len(sent))
            await call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + got)

    async with stage(echo) as s:
        client = await s.client()
        for _ in range(2):
            await client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
            for byte in sent:
                await client.send(bytes([byte]))
            await client.head()
            assert await client.reader.readexactly(len(sent)) == sent


@pytest.mark.rule("RFC 9112 §9.3.2: pipelining", side="both")
async def test_pipelined_requests_are_answered_in_order_rfc9112_9_3_2() -> None:
    async def count(call: Call) -> None:
        while True:
            head = await call.request()
            number = head.split(b" ")[1][1:]
            assert call.reader._buffer == b""  # type: ignore[attr-defined]
            await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(number) + number)

    async with stage(count) as s:
        client = await s.client()
        await client.send(b"".join(get(f"/{number}") for number in range(50)))
        got = [(await client.answer()).body for _ in range(50)]
        assert got == [str(number).encode() for number in range(50)]


async def test_thousands_of_pipelined_local_answers_do_not_recurse() -> None:
    async with stage(say_hello, hosts=("only.test",)) as s:
        client = await s.client()
        await client.send(get(host="x") * 5000 + get(host="only.test", path="/"))
        for _ in range(5000):
            assert (await client.answer()).status == 404
        assert (await client.answer()).status == 200


HEAD, NOT_MODIFIED = "RFC 9110 §9.3.2: HEAD", "RFC 9110 §15.4.5: 304"
NO_CONTENT = "RFC 9110 §15.3.5: 204"


def of(rule: str, *values: object) -> Any:
    """A case that proves a rule at the replica's side."""
    return pytest.param(*values, marks=pytest.mark.rule(rule, side="replica"))


@pytest.mark.parametrize(
    ("answer", "method"),
    [
        of(HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "HEAD"),
        of(HEAD, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD"),
        of(NOT_MODIFIED, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", "GET"),
        of(NO_CONTENT, b"HTTP/1.1 204 No Content\r\n\r\n", "GET"),
    ],
)
async def test_answers_without_body_rfc9112_6_3(answer: bytes, method: str) -> None:
    async with stage(always(answer)) as s:
        client = await s.client()
        for _ in range(2):
            got = await client.ask(get(method=method), to_head=True)
            assert got.status == int(answer.split(b" ")[1])
            assert (got.value("Content-Length") == "99") is (b"99" in answer)
        assert s.replicas[0].connections == 1


@pytest.mark.rule("RFC 9110 §15.3.5: 204", side="replica")
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 0", b"Content-Length: 5", b"Transfer-Encoding: chunked"]
)
async def test_a_204_is_not_framed_rfc9110_8_6(framing: bytes) -> None:
    """RFC 9112 §6.1: nor may Transfer-Encoding be sent; the next answer follows at once."""
    async with stage(always(b"HTTP/1.1 204 No Content\r\n" + framing + b"\r\n\r\n")) as s:
        client = await s.client()
        for _ in range(2):
            got = await client.ask(get())
            assert got.status == 204
            assert got.values("Content-Length") == got.values("Transfer-Encoding") == []
        assert s.replicas[0].connections == 1


@pytest.mark.rule("RFC 9112 §9.2: two answers", side="replica")
@pytest.mark.rule("RFC 9112 §9.2: trailing data", side="replica")
async def test_extra_bytes_after_an_answer_spoil_its_connection_rfc9112_9_2() -> None:
    async with stage(always(HELLO + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) as s:
        client = await s.client()
        for _ in range(3):
            assert (await client.ask(get())).body == b"hello"
        assert s.replicas[0].connections == 3


@pytest.mark.rule("RFC 9112 §9.2: two answers", side="replica")
async def test_unasked_bytes_on_an_idle_connection_close_it_rfc9112_9_2() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.ask(get())
        await s.replicas[0].calls[0].send(HELLO)
        await until(lambda: s.replicas[0].open == 0)
        assert (await client.ask(get())).body == b"hello"
        assert s.replicas[0].connections == 2


@pytest.mark.rule("RFC 9112 §6.3: close-delimited answers", side="replica")
async def test_a_close_delimited_answer_becomes_chunked_rfc9112_6_3_rule_8() -> None:
    async with stage(once(b"HTTP/1.1 200 OK\r\n\r\npart")) as s:
        client = await s.client()
        for _ in range(2):
            answer = await client.ask(get())
            assert answer.value("Transfer-Encoding") == "chunked"
            assert answer.body == b"part"


@pytest.mark.rule("RFC 9112 §6.3: close-delimited answers", side="client")
async def test_a_close_delimited_answer_stays_one_for_1_0_rfc9112_6_3() -> None:
    async with stage(once(b"HTTP/1.0 200 OK\r\n\r\npart")) as s:
        client = await s.client()
        await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head = await client.head()
        assert head.values("Transfer-Encoding") == head.values("Content-Length") == []
        assert head.value("Connection") == "close"
        assert await client.reader.read() == b"part"


@pytest.mark.rule("RFC 9112 §9.3: persistence", side="replica")
async def test_a_replica_that_says_close_is_not_used_again_rfc9112_9_6() -> None:
    """Although it leaves its connection open; the client's own stays."""
    answer = b"HTTP/1.1 200 OK\r\nConnection: CLOSE, x\r\nContent-Length: 5\r\n\r\nhello"
    async with stage(always(answer)) as s:
        client = await s.client()
        for _ in range(2):
            got = await client.ask(get())
            assert (got.body, got.value("Connection")) == (b"hello", None)
            await until(lambda: s.replicas[0].open == 0)
        assert s.replicas[0].connections == 2


@pytest.mark.rule("RFC 9112 §8: replica gone", side="both")
async def test_a_reset_of_a_close_delimited_answer_is_a_cut_rfc9112_8() -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\n\r\npart")
        await until(lambda: gone)
        call.reset()

    gone: list[bool] = []
    async with stage(script) as s:
        client = await s.client()
        await client.send(get())
        await client.head()
        await client.reader.readexactly(len(b"4\r\npart\r\n"))
        gone.append(True)
        assert await client.rest() == b""
        assert s.events.of(Outcome)[0].kind is OutcomeKind.RESET


@pytest.mark.rule("RFC 9112 §9.3: HTTP/1.0", side="client")
@pytest.mark.rule("RFC 9110 §7.6.3: Via", side="client")
async def test_http_1_0_clients_are_served() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbare\r\n0\r\n\r\n"
    async with stage(always(chunked)) as s:
        client = await s.client()
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        got = await client.rest()
        assert got.endswith(b"\r\n\r\nbare")
        assert b"chunked" not in got
        assert b"\r\nConnection: close\r\n" in got
        head = s.replicas[0].heads[0]
        assert head.startswith(b"GET / HTTP/1.1\r\nHost: ")
        assert b"\r\nVia: 1.0 tidegate\r\n" in head


@pytest.mark.rule("RFC 9112 §9.3: HTTP/1.0", side="client")
async def test_http_1_0_keep_alive_when_asked() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        for _ in range(2):
            answer = await client.ask(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert answer.value("Connection") == "keep-alive"


@pytest.mark.rule("RFC 9112 §9.3: persistence", side="client")
async def test_connection_close_is_honoured() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        answer = await client.ask(get("/", "Connection: close"))
        assert answer.value("Connection") == "close"
        assert await client.is_closed()
