"""One request through a real gateway to a real replica (contract of what a client sees)."""

import asyncio
import re
import socket
from collections.abc import Callable

import pytest

from cluster.messages import Endpoint, LoadReport, Outcome, OutcomeKind, Wake
from cluster.model import Address, Trouble
from config.service import Queue, Retries, Timeouts
from tests.support.raw_http import (
    HELLO,
    Call,
    Stage,
    always,
    free_port,
    get,
    once,
    post,
    say_hello,
    stage,
    until,
)


async def test_a_request_is_served_and_the_connections_stay() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        for _ in range(3):
            answer = await client.ask(get())
            assert (answer.status, answer.body) == (200, b"hello")
        assert s.replicas[0].connections == 1
        assert s.stats().requests == {200: 3}
        assert s.stats().in_flight == 0


async def test_client_fields_pass_byte_for_byte() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        odd = "x-ODD:   two  spaces\t and \xe9 "
        await client.ask(get("/a?b=%20%zz", odd, "Accept-Encoding: br"))
        head = s.replicas[0].heads[0]
        assert head.startswith(b"GET /a?b=%20%zz HTTP/1.1\r\nHost: web.test\r\n")
        assert b"\r\n" + odd.encode() + b"\r\n" in head


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


async def test_request_ids_differ() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.ask(get())
        await client.ask(get())
        ids = [re.findall(rb"X-Request-Id: (\S+)", head)[0] for head in s.replicas[0].heads]
        assert len(set(ids)) == 2


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
        assert b"\r\nX-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n" in head
        assert head.count(b"\r\nX-Forwarded-Proto: https\r\n") == 1
        assert head.count(b"\r\nX-Forwarded-Host: shop.test\r\n") == 1
        assert head.count(b"X-Request-Id: ") == 1
        assert b"\r\nX-Request-Id: theirs\r\n" in head


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


async def test_a_date_is_added_when_the_replica_sent_none_rfc9110_6_6_1() -> None:
    async with stage(say_hello) as s:
        answer = await (await s.client()).ask(get())
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", answer.value("Date") or "")


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
            client.writer.write(post(body))
            answer = await client.answer()
            assert answer.body == body
        assert s.replicas[0].connections == 1


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


@pytest.mark.parametrize(
    ("answer", "method"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", "GET"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET"),
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


async def test_extra_bytes_after_an_answer_spoil_its_connection_rfc9112_9_2() -> None:
    async with stage(always(HELLO + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) as s:
        client = await s.client()
        for _ in range(3):
            assert (await client.ask(get())).body == b"hello"
        assert s.replicas[0].connections == 3


async def test_unasked_bytes_on_an_idle_connection_close_it_rfc9112_9_2() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.ask(get())
        await s.replicas[0].calls[0].send(HELLO)
        await until(lambda: s.replicas[0].open == 0)
        assert (await client.ask(get())).body == b"hello"
        assert s.replicas[0].connections == 2


async def test_a_close_delimited_answer_becomes_chunked_rfc9112_6_3_rule_8() -> None:
    async with stage(once(b"HTTP/1.1 200 OK\r\n\r\npart")) as s:
        client = await s.client()
        for _ in range(2):
            answer = await client.ask(get())
            assert answer.value("Transfer-Encoding") == "chunked"
            assert answer.body == b"part"


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


async def test_http_1_0_keep_alive_when_asked() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        for _ in range(2):
            answer = await client.ask(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert answer.value("Connection") == "keep-alive"


async def test_connection_close_is_honoured() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        answer = await client.ask(get("/", "Connection: close"))
        assert answer.value("Connection") == "close"
        assert await client.is_closed()


async def test_an_expectation_travels_end_to_end_rfc9110_10_1_1() -> None:
    async def script(call: Call) -> None:
        head = await call.request()
        assert b"\r\nExpect: 100-continue\r\n" in head
        await call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await call.body(head)
        await call.send(HELLO)

    async with stage() as s:
        client = await s.client()
        await client.send(get("/", "Content-Length: 4", "Expect: 100-continue", method="POST"))
        await until(lambda: s.events.of(Wake))
        # Nothing is said while the request waits: a client would upload into a queue.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 0.05)
        s.publish(await s.replica("web-0", script))
        assert (await client.head()).status == 100
        assert (await client.ask(b"body")).status == 200


async def test_a_refused_expectation_closes_rfc9110_10_1_1() -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        await call.reader.read()

    async with stage(script) as s:
        client = await s.client()
        answer = await client.ask(
            get("/", "Content-Length: 4", "Expect: 100-continue", method="POST")
        )
        assert (answer.status, answer.value("Connection")) == (401, "close")
        assert await client.is_closed()


async def test_early_hints_pass_to_1_1_and_not_to_1_0_rfc8297() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with stage(always(hints + HELLO)) as s:
        client = await s.client()
        await client.send(get())
        hint = await client.head()
        assert (hint.status, hint.value("Link")) == (103, "</a>")
        assert (await client.answer()).body == b"hello"
        old = await s.client()
        assert (await old.ask(b"GET / HTTP/1.0\r\n\r\n")).status == 200


async def test_a_flood_of_interim_answers_is_bounded() -> None:
    async with stage(always(b"HTTP/1.1 103 Early\r\n\r\n" * 1000)) as s:
        client = await s.client()
        await client.send(get())
        statuses: list[int] = []
        while not statuses or statuses[-1] == 103:
            statuses.append((await client.head()).status)
        assert statuses[-1] == 502
        assert len(statuses) < 30


async def test_an_early_answer_passes_while_the_upload_goes_on() -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
        await call.reader.read()

    async with stage(script) as s:
        client = await s.client()
        await client.send(get("/", "Content-Length: 100000", method="POST") + b"part")
        answer = await client.answer()
        assert (answer.status, answer.body, answer.value("Connection")) == (403, b"no", "close")
        await client.send(b"more")
        assert await client.is_closed()
        await until(lambda: s.replicas[0].open == 0)


async def test_a_websocket_is_tunnelled_after_101_rfc9110_7_8() -> None:
    async def script(call: Call) -> None:
        head = await call.request()
        assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in head
        assert b"\r\nSec-WebSocket-Key: k\r\n" in head
        await call.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
            b"Upgrade: websocket\r\n\r\nfirst"
        )
        while data := await call.reader.read(100):
            await call.send(data.upper())
        await call.send(b"bye")

    async with stage(script) as s:
        client = await s.client()
        asked = ("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k")
        await client.send(get("/", *asked) + b"early")
        head = await client.head()
        assert head.status == 101
        assert head.value("Upgrade") == "websocket"
        assert sorted(await client.reader.readexactly(10)) == sorted(b"firstEARLY")
        await client.send(b"later")
        assert await client.reader.readexactly(5) == b"LATER"
        assert s.stats().in_flight == 1
        client.writer.write_eof()
        assert await client.rest() == b"bye"
        await until(lambda: s.stats().in_flight == 0)
        assert s.stats().requests == {101: 1}


async def test_an_upgrade_that_is_refused_is_an_ordinary_answer() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        answer = await client.ask(get("/", "Connection: Upgrade", "Upgrade: websocket"))
        assert answer.body == b"hello"
        assert (await client.ask(get())).body == b"hello"


async def test_an_unasked_101_is_a_502() -> None:
    async with stage(always(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")) as s:
        assert (await (await s.client()).ask(get())).status == 502


# What goes wrong with replicas


BROKEN = [
    pytest.param(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        id="cl+te",
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        id="two cl",
    ),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", id="odd cl"),
    pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", id="unknown te"),
    pytest.param(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", id="te in 1.0"),
    pytest.param(b"HTTP/1.1 999 No\r\n\r\n", id="status out of range"),
    pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", id="short status"),
    pytest.param(b"ICY 200 OK\r\n\r\n", id="other protocol"),
    pytest.param(b"hello\r\n\r\n", id="http/0.9"),
    pytest.param(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", id="obs-fold"),
    pytest.param(b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", id="space before colon"),
    pytest.param(b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", id="control"),
    pytest.param(b"HTTP/1.1 200 OK\nA: b\n\n", id="bare lf"),
    pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000, id="endless head"),
]


@pytest.mark.parametrize("answer", BROKEN)
async def test_a_broken_answer_is_a_502_rfc9112_6_3(answer: bytes) -> None:
    async with stage(always(answer)) as s:
        client = await s.client()
        got = await client.ask(get())
        assert (got.status, got.value("Content-Type")) == (502, "application/problem+json")
        assert b'"code": "bad-response"' in got.body
        await until(lambda: s.replicas[0].open == 0)
        assert s.events.of(Outcome)[0].kind is OutcomeKind.RESET
        assert len(s.replicas[0].heads) == 1


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Length: 10", b"short"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\nzz\r\n"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n"),
    ],
)
async def test_a_body_that_breaks_is_cut_never_ended_rfc9112_8(head: bytes, body: bytes) -> None:
    async with stage(once(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body)) as s:
        client = await s.client()
        await client.send(get())
        await client.head()
        got = await client.rest()
        assert b"0\r\n\r\n" not in got
        assert len(got) < 15
        assert s.events.of(Outcome) == [Outcome("web", "web-0", OutcomeKind.RESET)]
        assert s.stats().in_flight == 0


async def test_a_refusing_replica_is_left_for_another() -> None:
    async with stage(say_hello) as s:
        dead = Endpoint("web-dead", Address("127.0.0.1", free_port()))
        s.publish(dead, *s.replicas)
        client = await s.client()
        assert (await client.ask(post(b"body"))).body == b"hello"
        assert s.replicas[0].bodies == [b"body"]
        assert s.events.of(Outcome) == [Outcome("web", "web-dead", OutcomeKind.REFUSED)]
        assert s.stats().retries == {"refused": 1}


async def test_the_only_replica_refuses() -> None:
    async with stage(queue=Queue(timeout=0.3)) as s:
        s.publish(Endpoint("web-dead", Address("127.0.0.1", free_port())))
        answer = await (await s.client()).ask(get())
        assert (answer.status, answer.value("Content-Type")) == (502, "application/problem+json")
        assert b"replica-unreachable" in answer.body


async def test_a_request_outlives_the_moment_between_death_and_replacement() -> None:
    async with stage(queue=Queue(timeout=5.0)) as s:
        s.publish(Endpoint("web-dead", Address("127.0.0.1", free_port())))
        client = await s.client()
        await client.send(post(b"x"))
        await until(lambda: s.events.of(Outcome))
        s.publish(await s.replica("web-new"))
        assert (await client.answer()).body == b"hello"


async def reset_at_once(call: Call) -> None:
    await call.request()
    call.reset()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
async def test_a_safe_request_is_retried_after_a_reset_rfc9110_9_2_2(method: str) -> None:
    async with stage(reset_at_once, say_hello) as s:
        client = await s.client()
        assert (await client.ask(get(method=method), to_head=method == "HEAD")).status == 200
        assert s.stats().retries == {"reset": 1}


@pytest.mark.parametrize("request_bytes", [post(b""), post(b"body"), post(b"body", method="PUT")])
async def test_an_unsafe_request_is_never_sent_twice_rfc9110_9_2_2(request_bytes: bytes) -> None:
    async def script(call: Call) -> None:
        await call.body(await call.request())
        call.reset()

    async with stage(script, script) as s:
        client = await s.client()
        answer = await client.ask(request_bytes)
        assert answer.status == 502
        assert len(s.replicas[0].heads) + len(s.replicas[1].heads) == 1
        assert (await client.ask(request_bytes)).status == 502


async def test_attempts_and_budget_bound_retries() -> None:
    async with stage(*[reset_at_once] * 5, retries=Retries(attempts=2)) as s:
        client = await s.client()
        assert (await client.ask(get())).status == 502
        assert sum(len(replica.heads) for replica in s.replicas) == 3
        for _ in range(60):
            assert (await client.ask(get())).status == 502
        # Ten from the floor, a fifth of the requests, and some that time has earned.
        assert sum(s.stats().retries.values()) <= 10 + 61 * 0.2 + 10


async def test_no_retries_when_told_so() -> None:
    async with stage(reset_at_once, say_hello, retries=Retries(attempts=0)) as s:
        assert (await (await s.client()).ask(get())).status == 502


async def test_a_connection_that_went_stale_costs_the_client_nothing() -> None:
    async def one_each(call: Call) -> None:
        await call.body(await call.request())
        await call.send(HELLO)
        await call.request()  # read the second one, and close without a word

    async with stage(one_each) as s:
        client = await s.client()
        for _ in range(4):
            assert (await client.ask(get())).body == b"hello"
        assert s.events.of(Outcome) == []
        assert s.stats().retries["stale"] == 3


async def test_server_errors_are_told_and_the_recovery_too() -> None:
    answers = iter([b"500 Bad", b"200 OK", b"200 OK"])

    async def script(call: Call) -> None:
        while True:
            await call.request()
            await call.send(b"HTTP/1.1 " + next(answers) + b"\r\nContent-Length: 0\r\n\r\n")

    async with stage(script) as s:
        client = await s.client()
        for _ in range(3):
            await client.ask(get())
        kinds = [outcome.kind for outcome in s.events.of(Outcome)]
        assert kinds == [OutcomeKind.SERVER_ERROR, OutcomeKind.OK]


# Time


async def test_a_silent_replica_is_a_504() -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.reader.read()

    async with stage(script, timeouts=Timeouts(response=0.2)) as s:
        client = await s.client()
        answer = await client.ask(get())
        assert answer.status == 504
        await until(lambda: s.replicas[0].open == 0)
        assert s.events.of(Outcome) == [Outcome("web", "web-0", OutcomeKind.TIMEOUT)]
        assert s.stats().in_flight == 0


async def test_silence_in_the_middle_is_a_cut() -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
        await call.reader.read()

    async with stage(script, timeouts=Timeouts(idle=0.2)) as s:
        client = await s.client()
        await client.send(get())
        await client.head()
        assert await client.rest() == b"part"
        assert s.events.of(Outcome) == [Outcome("web", "web-0", OutcomeKind.TIMEOUT)]


async def test_a_slow_but_steady_answer_outlives_the_idle_timeout() -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        for _ in range(9):
            await asyncio.sleep(0.05)
            await call.send(b".")

    async with stage(script, timeouts=Timeouts(idle=0.2)) as s:
        assert (await (await s.client()).ask(get())).body == b"." * 9


async def test_a_connect_that_hangs_is_given_up() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        async with stage(timeouts=Timeouts(connect=0.2), retries=Retries(attempts=0)) as s:
            s.publish(Endpoint("web-full", Address("127.0.0.1", full.getsockname()[1])))
            assert (await (await s.client()).ask(get())).status == 502
            assert s.events.of(Outcome)[0].kind is OutcomeKind.REFUSED
        for filler in fillers:
            filler.close()


async def test_an_upload_that_stalls_is_a_408() -> None:
    async with stage(say_hello, idle_timeout=0.2) as s:
        client = await s.client()
        await client.send(get("/", "Content-Length: 10", method="POST") + b"part")
        answer = await client.answer()
        assert (answer.status, answer.value("Connection")) == (408, "close")
        assert s.events.of(Outcome) == []


# Clients that leave


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_leaves_frees_its_place(how: str) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.reader.read()

    async with stage(script, concurrency=1) as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: s.replicas[0].heads)
        second = await s.client()
        await second.send(get("/second"))
        await until(lambda: s.stats().queued == 1)
        client.reset() if how == "reset" else client.writer.close()
        await until(lambda: len(s.replicas[0].heads) == 2)
        assert s.stats().requests == {499: 1}
        assert s.events.of(Outcome) == []


async def test_a_queued_client_that_leaves_frees_its_place() -> None:
    async with stage(queue=Queue(size=1)) as s:
        first = await s.client()
        await first.send(get())
        await until(lambda: s.events.of(Wake))
        first.reset()
        await until(lambda: s.stats().queued == 0)
        second = await s.client()
        await second.send(get())
        await until(lambda: s.stats().queued == 1)
        s.publish(await s.replica("web-0"))
        assert (await second.answer()).body == b"hello"
        assert s.stats().requests == {499: 1, 200: 1}


# Waiting


async def test_a_request_wakes_and_is_held() -> None:
    async with stage() as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: s.events.of(Wake))
        assert isinstance(s.events.log[0], LoadReport)
        assert s.events.log[0].queued == 1
        assert s.events.log[1] == Wake("web")
        s.publish(await s.replica("web-0"))
        answer = await client.answer()
        assert answer.status == 200
        assert re.fullmatch(r"wake;dur=\d+", answer.value("Server-Timing") or "")
        assert (await client.ask(get())).value("Server-Timing") is None
        assert s.stats().cold_start_waits == 1


async def test_a_herd_sends_one_wake_and_is_all_served() -> None:
    async with stage(queue=Queue(size=1000)) as s:
        clients = [await s.client() for _ in range(200)]
        for client in clients:
            await client.send(get())
        await until(lambda: s.stats().queued == 200)
        assert len(s.events.of(Wake)) <= 3
        s.publish(await s.replica("web-0"))
        assert {(await client.answer()).status for client in clients} == {200}


async def test_a_full_queue_is_a_503_with_retry_after() -> None:
    async with stage(queue=Queue(size=1)) as s:
        s.publish(start_seconds=2.1)
        first, second = await s.client(), await s.client()
        await first.send(get())
        await until(lambda: s.events.of(Wake))
        answer = await second.ask(get())
        assert (answer.status, answer.value("Retry-After")) == (503, "3")
        assert b"queue-full" in answer.body
        assert s.stats().rejected == {"queue-full": 1}


async def test_waiting_too_long_is_a_503_with_retry_after() -> None:
    async with stage(queue=Queue(timeout=0.2)) as s:
        answer = await (await s.client()).ask(get())
        assert (answer.status, answer.value("Retry-After")) == (503, "1")
        assert b"queue-timeout" in answer.body
        assert s.stats().queued == 0


async def test_trouble_answers_those_who_wait_and_those_who_come() -> None:
    async with stage() as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: s.events.of(Wake))
        s.publish(trouble=Trouble("crash-looping", "It exits with code 1.", 6.2))
        answer = await client.answer()
        assert (answer.status, answer.value("Retry-After")) == (503, "7")
        assert b'"code": "crash-looping"' in answer.body
        assert (await client.ask(get())).status == 503
        await asyncio.sleep(1.0)
        assert (await client.ask(get())).status == 503
        assert len(s.events.of(Wake)) == 2
        s.publish(await s.replica("web-0"))
        assert (await client.ask(get())).status == 200


def level_is(s: Stage, level: int) -> Callable[[], bool]:
    return lambda: s.stats().queued + s.stats().in_flight == level


async def test_requests_wait_in_arrival_order_for_a_free_slot() -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        while True:
            await call.request()
            await go.wait()
            await call.send(HELLO)

    async with stage(script, concurrency=1) as s:
        clients = [await s.client() for _ in range(6)]
        for number, client in enumerate(clients):
            await client.send(get(f"/{number}"))
            await until(level_is(s, number + 1))
        go.set()
        for client in clients:
            assert (await client.answer()).status == 200
        assert [head[5:6] for head in s.replicas[0].heads] == [b"0", b"1", b"2", b"3", b"4", b"5"]
        assert s.replicas[0].connections == 1


# Back-pressure


async def test_a_reader_that_stops_stops_the_replica() -> None:
    total, sent = 64 * 2**20, [0]

    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent[0] < total:
            await call.send(b"x" * 65536)
            sent[0] += 65536

    async with stage(script) as s:
        client = await s.client(receive_buffer=65536)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(get())
        last = -1
        while sent[0] != last:
            last = sent[0]
            await asyncio.sleep(0.2)
        assert 0 < last < 24 * 2**20
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await client.head()
        count = 0
        while count < total:
            count += len(await client.reader.read(2**20))
        assert count == total


async def test_a_replica_that_does_not_read_stops_the_client() -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        call.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await go.wait()
        call.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await call.body(await call.request())
        await call.send(HELLO)

    async with stage(script) as s:
        client = await s.client()
        total = 64 * 2**20
        client.writer.write(get("/", f"Content-Length: {total}", method="POST"))
        client.writer.write(b"x" * total)
        last = -1
        while (left := client.writer.transport.get_write_buffer_size()) != last:
            last = left
            await asyncio.sleep(0.2)
        assert left > 32 * 2**20
        go.set()
        async with asyncio.timeout(20):
            assert (await client.answer()).body == b"hello"
