"""Replicas that break the rules of HTTP/1.1: nothing of it reaches a client as an answer."""

import asyncio
import pathlib
import socket

import pytest

from cluster.messages import Outcome, OutcomeKind
from tests.gateway.replica_corpus import BAD_BODY_CASES, BAD_HEAD_CASES, CL, TE, ok
from tests.support.raw_http import (
    HELLO,
    Call,
    Client,
    Stage,
    always,
    get,
    once,
    post,
    say_hello,
    stage,
    until,
)


@pytest.mark.rule("RFC 9112 §9.2: garbage", side="replica")
@pytest.mark.parametrize("bad", BAD_HEAD_CASES)
async def test_a_bad_head_is_a_502_and_its_connection_is_not_used_again_rfc9112_6_3(
    bad: bytes,
) -> None:
    async with stage(always(bad)) as s:
        for _ in range(2):
            client = await s.client()
            await client.send(get())
            while (answer := await client.answer()).status == 103:
                assert answer.value("Content-Length") is None
            assert (answer.status, b'"bad-response"' in answer.body) == (502, True)
            assert answer.value("Content-Type") == "application/problem+json"
            await until(lambda: s.replicas[0].open == 0)
        assert s.replicas[0].connections == len(s.replicas[0].heads) == 2
        assert {outcome.kind for outcome in s.events.of(Outcome)} == {OutcomeKind.RESET}


async def is_cut(client: Client) -> bool:
    try:
        await client.answer()
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        return True
    return False


@pytest.mark.rule("RFC 9112 §8: replica gone", side="replica")
@pytest.mark.rule("RFC 9112 §9.2: garbage", side="replica")
@pytest.mark.parametrize("bad", BAD_BODY_CASES)
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_bad_chunk_is_a_cut_never_a_clean_end_rfc9112_7_1(
    bad: bytes, in_pieces: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def script(call: Call) -> None:
        await call.request()
        await call.send(head)
        step = 7 if in_pieces else 100_000
        for at in range(0, len(bad), step):
            await call.send(bad[at : at + step])
        await call.reader.read()

    async with stage(script) as s:
        client = await s.client()
        await client.send(get())
        assert await is_cut(client)
        await until(lambda: s.replicas[0].open == 0)
        assert s.events.of(Outcome) == [Outcome("web", "web-0", OutcomeKind.RESET)]
        assert s.stats().in_flight == 0


@pytest.mark.rule("RFC 9112 §9.2: too much", side="replica")
@pytest.mark.rule("RFC 9112 §9.2: two answers", side="replica")
@pytest.mark.rule("RFC 9112 §9.2: trailing data", side="replica")
@pytest.mark.rule("RFC 9110 §9.3.2: HEAD", side="replica")
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


@pytest.mark.rule("RFC 9112 §9.2: two answers", side="replica")
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


@pytest.mark.rule("RFC 9110 §7.8: unasked protocols", side="replica")
@pytest.mark.parametrize("protocol", ["h2c", "other", ""])
async def test_a_replica_may_only_switch_to_what_was_asked_rfc9110_7_8(protocol: str) -> None:
    head = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: " + protocol.encode()
    async with stage(always(head + b"\r\n\r\nevil")) as s:
        client = await s.client()
        answer = await client.ask(get("/", "Connection: upgrade", "Upgrade: websocket"))
        assert answer.status == 502
        assert b"evil" not in answer.body
        await until(lambda: s.replicas[0].open == 0)


@pytest.mark.rule("RFC 9110 §8.6: framing of interim answers", side="replica")
@pytest.mark.rule("RFC 9110 §15.2: interim answers", side="replica")
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


PIECES = {
    "counted": ok(b"Content-Length: 5"),
    "chunked": ok(TE, body=b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n"),
    "interim": b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n" + ok(CL),
    "close-delimited": ok(b"A: b"),
    "HTTP/1.0": ok(CL, first=b"HTTP/1.0 200 OK"),
    "bad": ok(CL, b"A : b"),
    "bad later": b"HTTP/1.1 103 Early\r\n\r\n" + ok(CL, b"A: b", b" c"),
}  # fmt: skip


@pytest.mark.rule("RFC 9112 §11.2: any split", side="replica")
@pytest.mark.parametrize("name", PIECES)
async def test_an_answer_in_single_bytes_is_the_same_answer_rfc9112_11_2(name: str) -> None:
    async def in_pieces(call: Call) -> None:
        await call.request()
        sock = call.writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in PIECES[name]:
            call.writer.write(bytes([byte]))
            await asyncio.sleep(0)

    async def statuses(s: Stage) -> tuple[list[int], bytes]:
        client = await s.client()
        await client.send(get("/", "Connection: close"))
        answers = [await client.answer()]
        while answers[-1].status < 200:
            answers.append(await client.answer())
        return [one.status for one in answers], answers[-1].body

    async with stage(in_pieces) as pieces, stage(once(PIECES[name])) as whole:
        assert await statuses(pieces) == await statuses(whole)


# Replicas of HTTP/1.0


@pytest.mark.rule("RFC 9112 §9.3: HTTP/1.0", side="replica")
@pytest.mark.rule("RFC 9112 §9.3: persistence", side="replica")
async def test_an_answer_of_1_0_ends_with_its_connection_rfc9112_9_3() -> None:
    async with stage(always(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")) as s:
        client = await s.client()
        for _ in range(2):
            answer = await client.ask(get())
            assert answer.head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert (answer.body, answer.value("Connection")) == (b"hello", None)
        assert s.replicas[0].connections == 2


@pytest.mark.rule("RFC 9112 §9.3: HTTP/1.0", side="replica")
async def test_an_answer_of_1_0_may_keep_its_connection_rfc9112_9_3() -> None:
    head = b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nKeep-Alive: 5\r\n"
    async with stage(always(head + b"Content-Length: 5\r\n\r\nhello")) as s:
        client = await s.client()
        for _ in range(2):
            answer = await client.ask(get())
            assert (answer.body, answer.value("Keep-Alive")) == (b"hello", None)
        assert s.replicas[0].connections == 1


@pytest.mark.rule("RFC 9112 §9.3: HTTP/1.0", side="replica")
@pytest.mark.rule("RFC 9112 §6.3: close-delimited answers", side="replica")
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


@pytest.mark.rule("RFC 9112 §8: cuts for HTTP/1.0", side="client")
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


@pytest.mark.rule("RFC 9112 §9.5: early answers", side="replica")
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


@pytest.mark.rule("RFC 9110 §9.2.2: a body is sent once", side="replica")
@pytest.mark.rule("RFC 9110 §10.1.1: 100-continue", side="replica")
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


@pytest.mark.rule("RFC 9110 §9.2.2: a body is sent once", side="replica")
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


@pytest.mark.rule("RFC 9112 §9.2: half an answer", side="replica")
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
