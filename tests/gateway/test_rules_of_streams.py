"""What goes on for long: events, uploads, tunnels, both ways at once; and clients that leave."""

import asyncio
from typing import Any

import pytest

from cluster.messages import Outcome
from gateway.downstream import Downstream
from tests.gateway import websocket
from tests.gateway.websocket import Frame, read_frame
from tests.support.raw_http import (
    HELLO,
    PATIENCE,
    Call,
    get,
    post,
    say_hello,
    settled,
    stage,
    until,
)

LONG = 60.0  # seconds
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


# Server-Sent Events


@pytest.mark.rule("HTML §9.2: Server-Sent Events", side="both")
@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n", b""])
async def test_events_pass_one_by_one_without_being_held(framing: bytes) -> None:
    """RFC 9112 §7.1, HTML §9.2: an event is passed on before there is another."""
    seen = asyncio.Semaphore(0)

    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing)
        await call.send(b"\r\n")
        for number in range(20):
            event = b"data: %d\n\n" % number
            await call.send(b"%x\r\n%b\r\n" % (len(event), event) if framing else event)
            await seen.acquire()
        await call.send(b"0\r\n\r\n" if framing else b"")

    async with stage(script) as s:
        client = await s.client()
        await client.send(get("/", "Accept: text/event-stream"))
        assert (await client.head()).value("Content-Type") == "text/event-stream"
        for number in range(20):
            event = b"data: %d\n\n" % number
            async with asyncio.timeout(30):
                got = await client.reader.readuntil(b"\n\n\r\n")
            assert got == b"%x\r\n%b\r\n" % (len(event), event)
            seen.release()
        assert await client.reader.readexactly(5) == b"0\r\n\r\n"


# Both directions at once


@pytest.mark.rule("RFC 9112 §9: full duplex", side="both")
@pytest.mark.parametrize("chunked", [True, False])
async def test_both_directions_flow_at_once_over_one_request_rfc9112_9(chunked: bool) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(CHUNKED)
        for _ in range(30):
            size = b"4\r\n" if chunked else b""
            part = await call.reader.readexactly(len(size) + 4 + len(size[1:]))
            await call.send(b"4\r\n%b\r\n" % part[len(size) :][:4].upper())
        if chunked:
            assert await call.reader.readexactly(5) == b"0\r\n\r\n"
        await call.send(b"0\r\nX-Sum: 1\r\n\r\n")

    async with stage(script) as s:
        client = await s.client()
        framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 120"
        await client.send(get("/", framing, method="POST"))
        assert (await client.head()).status == 200
        for _ in range(30):
            await client.send(b"4\r\nping\r\n" if chunked else b"ping")
            async with asyncio.timeout(30):
                assert await client.reader.readexactly(9) == b"4\r\nPING\r\n"
        await client.send(b"0\r\n\r\n" if chunked else b"")
        assert await client.rest() == b"0\r\nX-Sum: 1\r\n\r\n"
        assert s.stats().requests == {200: 1}


@pytest.mark.rule("RFC 9112 §7.1: chunk size", side="client")
async def test_a_bad_chunk_in_one_direction_cuts_the_other_rfc9112_7_1() -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(CHUNKED + b"4\r\npart\r\n")
        call.replica.bodies.append(await call.reader.read())

    async with stage(script) as s:
        client = await s.client()
        await client.send(get("/", "Transfer-Encoding: chunked", method="POST") + b"4\r\nping\r\n")
        await client.head()
        await client.reader.readexactly(9)
        await client.send(b"4\nevil\r\n0\r\n\r\n")
        assert await client.rest() == b""
        await until(lambda: s.replicas[0].bodies)
        assert s.replicas[0].bodies == [b"4\r\nping\r\n"]
        assert s.events.of(Outcome) == []


@pytest.mark.rule("RFC 9112 §9.3.2: pipelining", side="client")
@pytest.mark.rule("RFC 9112 §7.1: chunked bodies", side="client")
async def test_pipelined_requests_with_bodies_are_answered_in_order_rfc9112_9_3_2() -> None:
    async def echo(call: Call) -> None:
        while True:
            body = await call.body(await call.request())
            await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with stage(echo) as s:
        client = await s.client()
        # What may be retried uses a connection again, however long it was idle.
        head = get("/", "Transfer-Encoding: chunked", method="PUT")
        sent = [b"%05d" % number for number in range(40)]
        for body in sent:
            plain = post(body, method="PUT")
            await client.send(plain if int(body) % 2 else head + chunks(body))
        assert [(await client.answer()).body for _ in sent] == sent
        assert s.replicas[0].connections == 1


@pytest.mark.rule("RFC 9112 §9.3.2: pipelining", side="both")
async def test_the_next_request_waits_for_the_answer_however_it_comes_rfc9112_9_3_2() -> None:
    """One comes with the first, the others in parts while the first is served."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        while True:
            number = (await call.request()).split(b" ")[1]
            await go.wait()
            await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + number)

    async with stage(script) as s:
        client = await s.client()
        await client.send(get("/1") + get("/2"))
        await until(lambda: s.replicas[0].heads)
        (connection,) = s.gateway._context.connections
        assert isinstance(connection, Downstream)
        later, sent = get("/3") + get("/4"), 0
        for end in (9, 60, len(later)):
            await client.send(later[sent:end])
            sent = end
            await until(lambda: len(connection.later) == sent)  # noqa: B023
        assert (s.stats().in_flight, s.replicas[0].connections) == (1, 1)
        assert len(s.replicas[0].heads) == 1
        go.set()
        assert [(await client.answer()).body for _ in range(4)] == [b"/1", b"/2", b"/3", b"/4"]


def chunks(body: bytes) -> bytes:
    return b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in body) + b"0\r\nX-Sum: 1\r\n\r\n"


# Clients that leave in the middle


def gone(phase: str, rule: str) -> Any:
    return pytest.param(phase, marks=pytest.mark.rule(f"Tidegate: {rule}", side="both"))


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "phase",
    [
        gone("waiting", "client gone before the answer"),
        gone("upload", "client gone in an upload"),
        gone("chunked upload", "client gone in an upload"),
        gone("answer", "client gone in an answer"),
        gone("tunnel", "client gone from a tunnel"),
    ],
)
async def test_a_client_that_leaves_ends_its_request_at_the_replica_at_once(
    how: str, phase: str
) -> None:
    """RFC 9112 §8: and the replica must not take what it got for a whole request."""
    ended = asyncio.Event()

    async def script(call: Call) -> None:
        await call.request()
        if phase == "answer":
            await call.send(CHUNKED + b"4\r\npart\r\n")
        elif phase == "tunnel":
            await call.send(websocket.switching(websocket.KEY))
        try:
            while part := await call.reader.read(100):
                call.replica.bodies.append(part)
        finally:
            ended.set()

    asked = {
        "waiting": get(),
        "upload": get("/", "Content-Length: 9", method="POST") + b"part",
        "chunked upload": get("/", "Transfer-Encoding: chunked", method="POST") + b"4\r\npart\r\n",
        "answer": get(),
        "tunnel": get("/", *websocket.ASK),
    }
    async with stage(script, concurrency=1) as s:
        client = await s.client()
        await client.send(asked[phase])
        await until(lambda: s.replicas[0].heads)
        if phase in ("answer", "tunnel"):
            await client.head()
        client.reset() if how == "reset" else client.writer.close()
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        await until(lambda: s.stats().in_flight == 0)
        assert b"0\r\n\r\n" not in b"".join(s.replicas[0].bodies)
        assert s.stats().requests == {101 if phase == "tunnel" else 499: 1}
        assert s.events.of(Outcome) == []
        s.publish(await s.replica("next", say_hello))
        assert (await (await s.client()).ask(get())).body == b"hello"


# Tunnels (RFC 6455 §4, §5)


async def serve_frames(call: Call) -> None:
    """A small server: echoes messages, answers pings, closes when asked to."""
    head = await call.request()
    assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in head
    assert f"\r\nSec-WebSocket-Key: {websocket.KEY}\r\n".encode() in head
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in head
    await call.send(websocket.switching(websocket.KEY) + Frame(websocket.TEXT, b"hi").encode())
    while True:
        frame = await read_frame(call.reader)
        assert frame.masked
        opcode = websocket.PONG if frame.opcode == websocket.PING else frame.opcode
        await call.send(Frame(opcode, frame.payload, frame.final).encode())
        if frame.opcode == websocket.CLOSE:
            return


SPOKEN = [
    Frame(websocket.TEXT, "käse".encode()),
    Frame(websocket.TEXT, b""),
    Frame(websocket.BINARY, bytes(range(256)) * 2),
    Frame(websocket.BINARY, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    Frame(websocket.BINARY, b"x" * 200_000),
    Frame(websocket.TEXT, b"first ", final=False),
    Frame(websocket.CONTINUATION, b"second ", final=False),
    Frame(websocket.PING, b"in between"),
    Frame(websocket.CONTINUATION, b"last"),
]


@pytest.mark.rule("RFC 6455 §5: WebSocket", side="both")
@pytest.mark.rule("Tidegate: tunnels in flight", side="client")
async def test_a_websocket_talks_in_frames_rfc6455_5() -> None:
    async with stage(serve_frames) as s:
        client = await s.client()
        # The first frame comes with the head, as an eager client may send it.
        first = Frame(websocket.TEXT, b"eager", masked=True).encode()
        await client.send(get("/chat", *websocket.ASK) + first)
        head = await client.head()
        assert head.status == 101
        assert head.value("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert head.values("Content-Length") == head.values("Transfer-Encoding") == []
        got = [await read_frame(client.reader) for _ in range(2)]
        assert [frame.payload for frame in got] == [b"hi", b"eager"]
        for frame in SPOKEN:
            masked = Frame(frame.opcode, frame.payload, frame.final, masked=True).encode()
            for part in (masked[:1], masked[1:7], masked[7:]):
                await client.send(part)
            async with asyncio.timeout(30):
                got_back = await read_frame(client.reader)
            opcode = websocket.PONG if frame.opcode == websocket.PING else frame.opcode
            assert got_back == Frame(opcode, frame.payload, frame.final)
        assert s.stats().in_flight == 1
        await client.send(Frame(websocket.CLOSE, b"\x03\xe8", masked=True).encode())
        assert (await read_frame(client.reader)).opcode == websocket.CLOSE
        assert await client.is_closed()
        client.writer.close()
        await until(lambda: s.stats().in_flight == 0)


@pytest.mark.rule("RFC 9110 §7.8: nothing before 101", side="client")
async def test_nothing_is_tunnelled_before_101_rfc9110_7_8() -> None:
    """What follows a request to upgrade that is refused is the next request."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.request()
        await go.wait()
        assert call.reader._buffer == b""  # type: ignore[attr-defined]
        await call.send(HELLO)
        await say_hello(call)

    async with stage(script) as s:
        client = await s.client()
        await client.send(get("/", *websocket.ASK) + get("/smuggled") + b"evil\r\n\r\n")
        await until(lambda: s.replicas[0].heads)
        go.set()
        assert [(await client.answer()).status for _ in range(3)] == [200, 200, 400]
        assert s.replicas[0].heads[1].startswith(b"GET /smuggled HTTP/1.1\r\n")
        assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in s.replicas[0].heads[1]


@pytest.mark.rule("Tidegate: slow readers", side="client")
async def test_a_tunnel_does_not_wait_for_slow_readers_for_ever() -> None:
    """Back-pressure holds in a tunnel, too: what is not read is not taken from the replica."""
    sent = 0

    async def script(call: Call) -> None:
        nonlocal sent
        await call.request()
        await call.send(websocket.switching(websocket.KEY))
        while True:
            await call.send(b"x" * 65536)
            sent += 65536

    async with stage(script, idle_timeout=LONG) as s:
        client = await s.client(receive_buffer=32768)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(get("/", *websocket.ASK))
        await settled(lambda: sent)
        assert s.stats().in_flight == 1
        for _ in range(2):  # what moved until now has the time from then on
            await s.passes(LONG)
        await until(lambda: s.stats().requests == {101: 1})
        await until(lambda: s.replicas[0].open == 0)
        assert sent < 50 * 2**20


@pytest.mark.rule("RFC 9110 §7.8: unasked protocols", side="client")
async def test_an_upgrade_of_1_0_is_none_rfc9110_7_8() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        lines = "\r\n".join(websocket.ASK)
        await client.send(f"GET / HTTP/1.0\r\nHost: a\r\n{lines}\r\n\r\n".encode())
        assert (await client.rest()).endswith(b"hello")
        assert b"Upgrade" not in s.replicas[0].heads[0]
