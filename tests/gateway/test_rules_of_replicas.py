"""Replicas that break the rules of HTTP/1.1: nothing of it reaches a client as an answer."""

import asyncio
import pathlib

import pytest

from cluster.messages import Outcome, OutcomeKind
from tests.gateway.corpus import HEADS
from tests.support.raw_http import HELLO, Call, Client, always, get, post, say_hello, stage, until


def ok(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK", body: bytes = b"hello") -> bytes:
    return b"\r\n".join([first, *lines, b"", body])


CL = b"Content-Length: 5"
BAD_HEADS = {
    # RFC 9112 §6.1, §6.3
    "TE and CL": ok(b"Transfer-Encoding: chunked", CL),
    "two CL, different": ok(CL, b"Content-Length: 6"),
    "CL as a list": ok(b"Content-Length: 5, 5"),
    "CL negative": ok(b"Content-Length: -5"),
    "CL hexadecimal": ok(b"Content-Length: 0x5"),
    "CL with underscore": ok(b"Content-Length: 1_0"),
    "CL empty": ok(b"Content-Length:"),
    "CL too large": ok(b"Content-Length: 99999999999999999999"),
    "CL in other digits": ok("Content-Length: \u0665".encode()),
    "TE identity": ok(b"Transfer-Encoding: identity"),
    "TE list": ok(b"Transfer-Encoding: gzip, chunked"),
    "TE twice": ok(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "TE chunked twice": ok(b"Transfer-Encoding: chunked, chunked"),
    "TE with a tab behind": ok(b"Transfer-Encoding: chunked\t"),
    "TE empty": ok(b"Transfer-Encoding:"),
    "TE quoted": ok(b'Transfer-Encoding: "chunked"'),
    # RFC 9112 §2.2, §5
    "bare LF in one line": ok(CL, b"A: b\nC: d"),
    "bare CR in a value": ok(CL, b"A: b\rC: d"),
    "NUL in a value": ok(CL, b"A: \x00"),
    "control in a value": ok(CL, b"A: \x1b[31m"),
    "DEL in a value": ok(CL, b"A: \x7f"),
    "obs-fold with a tab": ok(CL, b"A: b", b"\tc"),
    "no colon": ok(CL, b"A"),
    "empty name": ok(CL, b": a"),
    "leading space": ok(b" A: b", CL),
    "non-token name": ok(CL, b"A(b): c"),
    # RFC 9112 §4
    "HTTP/2.0": ok(CL, first=b"HTTP/2.0 200 OK"),
    "HTTP/1.2": ok(CL, first=b"HTTP/1.2 200 OK"),
    "lower-case version": ok(CL, first=b"http/1.1 200 OK"),
    "no status": ok(CL, first=b"HTTP/1.1"),
    "status below 100": ok(CL, first=b"HTTP/1.1 099 No"),
    "status of four digits": ok(CL, first=b"HTTP/1.1 2000 OK"),
    "two spaces": ok(CL, first=b"HTTP/1.1  200 OK"),
    "control in the reason": ok(CL, first=b"HTTP/1.1 200 O\x08K"),
    "an empty line first": b"\r\n" + ok(CL),
    "a request": get(),
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    # RFC 9110 §15.2
    "a bad interim answer": b"HTTP/1.1 103 Early\r\nContent-Length: 1, 1\r\n\r\n" + ok(CL),
    "an odd end of an interim answer": b"HTTP/1.1 103 Early\r\n\r\nxx\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_HEADS)
async def test_a_bad_head_is_a_502_and_its_connection_is_not_used_again_rfc9112_6_3(
    name: str,
) -> None:
    async with stage(always(BAD_HEADS[name])) as s:
        for _ in range(2):
            client = await s.client()
            await client.send(get())
            while (answer := await client.answer()).status == 103:
                assert answer.value("Content-Length") is None
            assert (answer.status, b'"bad-response"' in answer.body) == (502, True)
            await until(lambda: s.replicas[0].open == 0)
        assert s.replicas[0].connections == 2
        assert {outcome.kind for outcome in s.events.of(Outcome)} == {OutcomeKind.RESET}


BAD_BODIES = {
    name: data.partition(b"\r\n\r\n")[2]
    for name, (data, _) in HEADS.items()
    if name.startswith(("chunk", "trailer"))
}


async def is_cut(client: Client) -> bool:
    try:
        await client.answer()
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        return True
    return False


@pytest.mark.parametrize("name", BAD_BODIES)
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_bad_chunk_is_a_cut_never_a_clean_end_rfc9112_7_1(
    name: str, in_pieces: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def script(call: Call) -> None:
        await call.request()
        await call.send(head)
        step = 7 if in_pieces else 100_000
        for at in range(0, len(BAD_BODIES[name]), step):
            await call.send(BAD_BODIES[name][at : at + step])
        await call.reader.read()

    async with stage(script) as s:
        client = await s.client()
        await client.send(get())
        assert await is_cut(client)
        await until(lambda: s.replicas[0].open == 0)
        assert s.events.of(Outcome) == [Outcome("web", "web-0", OutcomeKind.RESET)]
        assert s.stats().in_flight == 0


@pytest.mark.parametrize(
    ("answer", "method"),
    [
        (ok(CL, b"X: 1") + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "GET"),
        (ok(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\nevil"), "GET"),
        (ok(CL), "HEAD"),
        (ok(first=b"HTTP/1.1 204 No Content"), "GET"),
        (ok(CL, first=b"HTTP/1.1 304 Not Modified"), "GET"),
        (ok(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"), "HEAD"),
        (ok(CL, body=b"hello, too much"), "GET"),
    ],
)
async def test_too_much_is_dropped_and_no_other_client_sees_it_rfc9112_9_2(
    answer: bytes, method: str
) -> None:
    async with stage(always(answer)) as s:
        for _ in range(3):
            client = await s.client()
            got = await client.ask(get(method=method), to_head=method == "HEAD")
            assert got.status in (200, 204, 304)
            assert got.body in (b"", b"hello")
            client.writer.write_eof()
            assert await client.rest() == b""
        assert s.replicas[0].connections == 3


async def test_a_second_answer_that_comes_later_is_for_nobody_rfc9112_9_2() -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(HELLO)
        await until(lambda: late)
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await call.reader.read()

    late: list[bool] = []
    async with stage(script) as s:
        first, second = await s.client(), await s.client()
        assert (await first.ask(get())).body == b"hello"
        late.append(True)
        await until(lambda: s.replicas[0].open == 0)
        assert (await second.ask(get())).body == b"hello"
        assert s.replicas[0].connections == 2


@pytest.mark.parametrize("protocol", ["h2c", "other", ""])
async def test_a_replica_may_only_switch_to_what_was_asked_rfc9110_7_8(protocol: str) -> None:
    head = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: " + protocol.encode()
    async with stage(always(head + b"\r\n\r\nevil")) as s:
        client = await s.client()
        answer = await client.ask(get("/", "Connection: upgrade", "Upgrade: websocket"))
        assert answer.status == 502
        assert b"evil" not in answer.body
        await until(lambda: s.replicas[0].open == 0)


@pytest.mark.parametrize("status", [b"103 Early Hints", b"102 Processing", b"199 Odd"])
async def test_interim_answers_carry_no_framing_rfc9110_8_6(status: bytes) -> None:
    lines = b"\r\nContent-Length: 7\r\nConnection: x-hop\r\nX-Hop: 1\r\nLink: </a>\r\n\r\n"
    async with stage(always(b"HTTP/1.1 " + status + lines + HELLO)) as s:
        client = await s.client()
        await client.send(get())
        interim = await client.head()
        assert interim.head == b"HTTP/1.1 " + status + b"\r\nLink: </a>\r\n\r\n"
        assert (await client.answer()).body == b"hello"
        assert (await client.ask(get(method="HEAD"), to_head=True)).status in (102, 103, 199)


# Replicas of HTTP/1.0


async def test_an_answer_of_1_0_ends_with_its_connection_rfc9112_9_3() -> None:
    async with stage(always(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")) as s:
        client = await s.client()
        for _ in range(2):
            answer = await client.ask(get())
            assert answer.head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert (answer.body, answer.value("Connection")) == (b"hello", None)
        assert s.replicas[0].connections == 2


async def test_an_answer_of_1_0_may_keep_its_connection_rfc9112_9_3() -> None:
    head = b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nKeep-Alive: 5\r\n"
    async with stage(always(head + b"Content-Length: 5\r\n\r\nhello")) as s:
        client = await s.client()
        for _ in range(2):
            answer = await client.ask(get())
            assert (answer.body, answer.value("Keep-Alive")) == (b"hello", None)
        assert s.replicas[0].connections == 1


async def test_an_answer_of_1_0_without_length_is_chunked_for_1_1_rfc9112_6_3() -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.0 200 OK\r\n\r\npart")

    async with stage(script) as s:
        client = await s.client()
        for _ in range(2):
            answer = await client.ask(get())
            assert (answer.value("Transfer-Encoding"), answer.body) == ("chunked", b"part")


# What a client of HTTP/1.0 can tell


@pytest.mark.parametrize(
    "head", [b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", b"Content-Length: 9\r\n\r\npart"]
)
async def test_a_cut_is_a_reset_for_a_client_of_1_0_rfc9112_8(head: bytes) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\n" + head)
        await until(lambda: read)

    read: list[bytes] = []
    async with stage(script) as s:
        client = await s.client()
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        await client.head()
        read.append(await client.reader.readexactly(4))
        with pytest.raises(ConnectionResetError):
            await client.reader.read()


def established(port: int) -> int:
    """Connections to a port of this machine that our side has not closed."""
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


async def test_a_replica_that_reads_no_more_is_let_go_rfc9112_9_6() -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        call.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await call.send(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
        await go.wait()
        rest = await call.reader.read()
        call.replica.bodies.append(rest)

    async with stage(script) as s:
        client = await s.client()
        client.writer.write(get("/", "Content-Length: 50000000", method="POST"))
        client.writer.write(b"x" * 20_000_000)
        answer = await client.answer()
        assert (answer.status, answer.body, answer.value("Connection")) == (413, b"no", "close")
        await until(lambda: s.stats().in_flight == 0)
        # A close that first writes what is left would wait for ever.
        await until(lambda: established(s.replicas[0].address.port) == 0)
        s.replicas[0].calls[0].writer.transport.resume_reading()  # type: ignore[attr-defined]
        go.set()
        await until(lambda: s.replicas[0].open == 0)
        assert len(s.replicas[0].bodies[0]) < 20_000_000


async def test_a_body_is_sent_once_even_after_a_reset_during_an_expectation() -> None:
    """RFC 9110 §10.1.1: what was only announced may be announced again."""

    async def reset(call: Call) -> None:
        await call.request()
        call.reset()

    async def accept(call: Call) -> None:
        head = await call.request()
        await call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await call.body(head)
        await call.send(HELLO)

    async with stage(reset, accept) as s:
        client = await s.client()
        await client.send(get("/", "Content-Length: 4", "Expect: 100-continue", method="PUT"))
        assert (await client.head()).status == 100
        assert (await client.ask(b"body")).body == b"hello"
        assert (s.replicas[0].bodies, s.replicas[1].bodies) == ([], [b"body"])
        assert s.stats().retries == {"reset": 1}


async def test_a_part_of_a_body_that_was_sent_forbids_a_retry_rfc9110_9_2_2() -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.reader.readexactly(4)
        call.reset()

    async with stage(script, script) as s:
        client = await s.client()
        await client.send(get("/", "Content-Length: 8", method="PUT") + b"body")
        assert (await client.answer()).status == 502
        assert [len(one.heads) for one in s.replicas] in ([1, 0], [0, 1])


async def test_what_a_dead_replica_left_unsaid_is_never_mixed_with_another_answer() -> None:
    """RFC 9112 §9.2: half a head, then the end; the retry must not begin with that half."""

    async def half(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nX-Half: ")

    async with stage(half, say_hello) as s:
        client = await s.client()
        answer = await client.ask(get())
        assert answer.status == 502
        assert b"X-Half" not in answer.head
        assert (await client.ask(post(b"x"))).status in (200, 502)
