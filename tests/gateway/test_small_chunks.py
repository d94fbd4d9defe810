"""A body of many small chunks is read in turns: nothing of it is lost, and others are served too.

A read of 256 KiB can have 40,000 chunks. To look at all of them at once, for some hundred clients,
kept a gateway so busy that it was taken for hung.
"""

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import framing
from gateway.downstream import Downstream
from gateway.framing import BadFraming, Chunked
from tests.gateway.test_framing import CUTS, chunked
from tests.gateway.test_head import split
from tests.support.raw_http import HELLO, Call, get, say_hello, stage, until

TURNS = "Tidegate: small chunks"
MANY = 40_000
SMALL = b"1\r\nx\r\n" * MANY
DENSE = SMALL + b"0\r\n\r\n"
POST = get("/", "Transfer-Encoding: chunked", method="POST")


def read(one: Chunked, data: bytes) -> None:
    while not one.done:
        one.feed(data)
        data = one.rest


@pytest.mark.rule(TURNS, side="both")
@given(chunked(), st.binary(max_size=20), CUTS, st.booleans(), st.integers(1, 3))
def test_whatever_the_turns_all_passes_as_it_came(
    body: tuple[bytes, bytes], following: bytes, cuts: list[int], bare: bool, most: int
) -> None:
    raw, content = body
    one = Chunked(bare=bare)
    passed, rest = b"", b""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "_MOST_LINES", most)
        for part in split(raw + following, cuts):
            rest += part
            while rest and not one.done:
                passed += one.feed(rest)
                rest = one.rest
    assert one.done
    assert passed == (content if bare else raw)
    assert rest == following
    assert one.size == len(content)


@pytest.mark.rule(TURNS, side="both")
def test_a_turn_looks_at_some_of_them_only() -> None:
    one = Chunked()
    data, turns = DENSE, 0
    while not one.done:
        passed = one.feed(data)
        assert len(passed) <= 6 * framing._MOST_LINES
        data = one.rest
        turns += 1
    assert turns >= MANY // framing._MOST_LINES
    assert one.size == MANY


@pytest.mark.rule(TURNS, side="both")
def test_what_is_wrong_behind_them_is_refused_in_its_turn() -> None:
    one = Chunked()
    with pytest.raises(BadFraming):
        read(one, SMALL + b"nonsense\r\n")
    assert one.size == MANY


@pytest.mark.rule(TURNS, side="client")
@pytest.mark.parametrize("with_the_head", [True, False])
async def test_an_upload_arrives_whole_and_the_next_request_is_served(with_the_head: bool) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        if with_the_head:
            await client.send(POST + DENSE + get("/next"))
        else:
            await client.send(POST)
            await until(lambda: s.replicas[0].heads)
            await client.send(DENSE + get("/next"))
        assert (await client.answer()).body == b"hello"
        assert (await client.answer()).body == b"hello"
        assert s.replicas[0].bodies == [b"x" * MANY, b""]
        assert s.replicas[0].heads[1].startswith(b"GET /next ")


@pytest.mark.rule(TURNS, side="client")
async def test_an_upload_that_waits_for_a_replica_arrives_whole() -> None:
    async with stage(say_hello) as s:
        s.publish()
        client = await s.client()
        await client.send(POST + SMALL[:100_000])
        await until(lambda: s.stats().queued)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.send(SMALL[100_000:] + b"0\r\n\r\n"))
            s.publish(s.replicas[0])
            assert (await client.answer()).body == b"hello"
        assert s.replicas[0].bodies == [b"x" * MANY]


@pytest.mark.rule(TURNS, side="client")
async def test_others_are_served_while_it_is_read() -> None:
    async with stage(say_hello) as s:
        busy, calm = await s.client(), await s.client()
        assert (await calm.ask(get())).status == 200
        await busy.send(POST)
        await until(lambda: len(s.replicas[0].heads) == 2)
        for _ in range(3):
            busy.writer.write(SMALL)
        await busy.send(DENSE)
        for _ in range(5):
            assert (await calm.ask(get())).status == 200
        assert s.replicas[0].bodies == [b""] * 6, "its turn came again and again before the end"
        assert (await busy.answer()).status == 200
        assert s.replicas[0].bodies[-1] == b"x" * 4 * MANY


@pytest.mark.rule(TURNS, side="client")
async def test_one_that_is_too_large_is_refused() -> None:
    async with stage(say_hello, body=MANY // 2) as s:
        client = await s.client()
        answer = await client.ask(POST + DENSE)
        assert answer.status == 413
        assert s.replicas[0].bodies == []


@pytest.mark.rule(TURNS, side="client")
async def test_who_leaves_amidst_it_leaves_nothing_behind() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.send(POST + SMALL)
        await until(lambda: s.replicas[0].heads)
        client.reset()
        await until(lambda: not s.replicas[0].open)
        await until(lambda: s.stats().in_flight == 0)
        assert (await (await s.client()).ask(get())).status == 200


@pytest.mark.rule(TURNS, side="replica")
@pytest.mark.parametrize("stays", [True, False])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_an_answer_arrives_whole_also_when_its_replica_leaves(
    stays: bool, version: bytes
) -> None:
    async def answer(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + DENSE)
        if stays:
            await call.request()
            await call.send(HELLO)

    async with stage(answer) as s:
        client = await s.client()
        await client.send(get().replace(b"HTTP/1.1", b"HTTP/" + version))
        assert (await client.answer()).body == b"x" * MANY
        if stays:
            again = client if version == b"1.1" else await s.client()
            assert (await again.ask(get())).body == b"hello"
            assert s.replicas[0].connections == 1


BOUND = (64 + 256) * 1024  # what is held, and one read more


@pytest.mark.rule(TURNS, side="client")
async def test_what_is_not_looked_at_yet_of_an_upload_is_bounded() -> None:
    """Each time that the replica takes something is no reason to read as much again."""

    async def slow(call: Call) -> None:
        await call.request()
        for _ in range(100):
            await call.reader.read(4096)
            await asyncio.sleep(0.001)
        await call.body(b"\r\nTransfer-Encoding: chunked\r\n")
        await call.send(HELLO)

    async with stage(slow) as s:
        client = await s.client()
        await client.send(POST)
        await until(lambda: s.replicas[0].heads)
        [connection] = s.gateway._context.connections
        assert isinstance(connection, Downstream)
        most = 0
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(client.send(SMALL * 20))
            while not sending.done() and not s.replicas[0].bodies:
                most = max(most, len(connection.later))
                await asyncio.sleep(0)
            sending.cancel()
        assert 0 < most <= BOUND


@pytest.mark.rule(TURNS, side="replica")
async def test_what_is_not_looked_at_yet_of_an_answer_is_bounded() -> None:
    async def answer(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await call.send(SMALL)

    async with stage(answer) as s:
        client = await s.client(receive_buffer=4096)
        await until(lambda: s.gateway._context.connections)
        [connection] = s.gateway._context.connections
        assert isinstance(connection, Downstream)
        # So that it holds the answer back often.
        server_side = connection.transport.get_extra_info("socket")
        server_side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        await client.send(get())
        await client.head()
        assert connection.exchange is not None
        upstream = connection.exchange.upstream
        assert upstream is not None
        most = 0
        for _ in range(20):
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: not connection.writable)
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            while not connection.writable:
                await client.reader.read(65536)
            await asyncio.sleep(0.002)
            most = max(most, len(upstream._behind))
        assert 0 < most <= BOUND
