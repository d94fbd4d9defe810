"""Interim answers, uploads that are answered early, and connections that switch protocols."""

import asyncio

import pytest

from cluster.messages import Wake
from gateway import downstream
from tests.support.raw_http import (
    HELLO,
    Call,
    always,
    get,
    say_hello,
    stage,
    until,
)


@pytest.mark.rule("RFC 9110 §10.1.1: 100-continue", side="both")
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


@pytest.mark.rule("RFC 9110 §10.1.1: refused expectation", side="both")
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
        await until(lambda: s.replicas[0].open == 0)


@pytest.mark.rule("RFC 9110 §15.2: interim answers", side="both")
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


@pytest.mark.rule("RFC 9110 §15.2: a flood of interim answers", side="replica")
async def test_a_flood_of_interim_answers_is_bounded() -> None:
    async with stage(always(b"HTTP/1.1 103 Early\r\n\r\n" * 1000)) as s:
        client = await s.client()
        await client.send(get())
        statuses: list[int] = []
        while not statuses or statuses[-1] == 103:
            statuses.append((await client.head()).status)
        assert statuses[-1] == 502
        assert len(statuses) < 30


@pytest.mark.rule("RFC 9112 §9.5: early answers", side="both")
async def test_an_early_answer_passes_while_the_upload_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(downstream, "_LINGER", 60.0)

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


@pytest.mark.rule("RFC 9110 §7.8: upgrades", side="both")
@pytest.mark.rule("Tidegate: tunnels in flight", side="client")
@pytest.mark.rule("RFC 9112 §9.6: half-closed tunnels", side="client")
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


@pytest.mark.rule("RFC 9110 §7.8: upgrades", side="both")
async def test_an_upgrade_that_is_refused_is_an_ordinary_answer() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        answer = await client.ask(get("/", "Connection: Upgrade", "Upgrade: websocket"))
        assert answer.body == b"hello"
        assert (await client.ask(get())).body == b"hello"


@pytest.mark.rule("RFC 9110 §7.8: unasked protocols", side="replica")
async def test_an_unasked_101_is_a_502() -> None:
    async with stage(always(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")) as s:
        assert (await (await s.client()).ask(get())).status == 502
