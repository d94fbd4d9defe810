"""Streams and tunnels in which nothing moves are told as silent, and ended when sleep comes.

sablierapp/sablier#576: nothing is ended in which bytes move, not even slowly.
"""

import asyncio
import dataclasses
from collections.abc import Callable

import pytest

from cluster.messages import Drained, EndpointSnapshot, LoadReport
from config.service import Timeouts
from tests.gateway.websocket import ASK, KEY, switching
from tests.support.raw_http import PATIENCE, Call, Client, Stage, get, stage, until

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
FAST = 0.4  # seconds of silence: more than a sweep


async def events(call: Call) -> None:
    """An answer that begins, and goes on only when the test says so."""
    await call.request()
    await call.send(HEAD)
    await call.reader.read()


async def websocket(call: Call) -> None:
    await call.request()
    await call.send(switching(KEY))
    while await call.reader.read(100):
        pass


async def never(call: Call) -> None:
    await call.request()
    await call.reader.read()


def last(s: Stage) -> LoadReport:
    return s.events.of(LoadReport)[-1]


async def reported(s: Stage, what: Callable[[LoadReport], bool]) -> LoadReport:
    """A report to come, so that it says what is so now."""
    seen = len(s.events.of(LoadReport))
    await until(lambda: any(what(one) for one in s.events.of(LoadReport)[seen:]), "a report")
    return next(one for one in s.events.of(LoadReport)[seen:] if what(one))


def fall_asleep(s: Stage, after: float, *, leave: bool = True) -> None:
    """As the registry tells it when the ladder's step is taken: its replicas leave."""
    s._version += 1
    endpoints = () if leave else tuple(one.endpoint for one in s.replicas)
    snapshot = EndpointSnapshot("web", s._version, endpoints)
    s.gateway.apply(dataclasses.replace(snapshot, ends_silent=after))


async def opened(s: Stage, *lines: str, status: int = 200) -> Client:
    client = await s.client()
    await client.send(get("/", *lines))
    assert (await client.head()).status == status
    return client


@pytest.mark.rule("Tidegate: silence is no activity", side="both")
@pytest.mark.parametrize(("script", "lines", "status"), [(events, (), 200), (websocket, ASK, 101)])
async def test_a_stream_in_which_nothing_moves_is_told_as_silent(
    script: Callable[[Call], object], lines: tuple[str, ...], status: int
) -> None:
    async with stage(script) as s:  # type: ignore[arg-type]
        await opened(s, *lines, status=status)
        report = await reported(s, lambda one: one.silent == 1)
        assert report.in_flight == 1
        assert report.active_at is not None
        assert report.active_at < report.at
        again = await reported(s, lambda one: one.silent == 1)
        assert again.active_at == report.active_at


@pytest.mark.rule("Tidegate: silence is no activity", side="both")
@pytest.mark.parametrize("side", ["client", "replica"])
async def test_a_byte_of_either_side_is_activity(side: str) -> None:
    async with stage(websocket) as s:
        client = await opened(s, *ASK, status=101)
        before = await reported(s, lambda one: one.silent == 1)
        await (client if side == "client" else s.replicas[0].calls[0]).send(b"x")
        moved = await reported(s, lambda one: one.silent == 0)
        assert moved.active_at == moved.at
        after = await reported(s, lambda one: one.silent == 1)
        assert before.active_at is not None
        assert after.active_at is not None
        assert before.active_at < after.active_at <= moved.at


async def test_a_request_that_waits_for_its_first_byte_is_never_silent() -> None:
    async with stage(never) as s:
        client = await s.client()
        await client.send(get())
        for _ in range(2):
            report = await reported(s, lambda one: one.in_flight == 1)
            assert (report.silent, report.active_at) == (0, report.at)
        fall_asleep(s, 0.0)
        await asyncio.sleep(0.3)  # nothing must happen
        assert s.stats().in_flight == 1


@pytest.mark.rule("Tidegate: sleep ends what is silent", side="both")
async def test_a_silent_tunnel_is_closed_on_both_sides_when_sleep_comes() -> None:
    """A clean end of the connections: neither side sees a reset or a byte that nobody sent."""
    async with stage(websocket) as s:
        client = await opened(s, *ASK, status=101)
        report = await reported(s, lambda one: one.silent == 1)
        await reported(s, lambda one: one.at - (report.active_at or 0.0) >= FAST)
        fall_asleep(s, FAST)
        async with asyncio.timeout(PATIENCE):
            assert await client.reader.read() == b""
        await until(lambda: s.replicas[0].open == 0)
        assert s.stats().requests == {101: 1}
        assert s.events.of(Drained) == [Drained("web", "web-0")]


@pytest.mark.rule("Tidegate: sleep ends what is silent", side="both")
async def test_a_silent_answer_is_cut_and_never_ended_cleanly() -> None:
    """RFC 9112 §8: it is not complete. Chunked, its end would be a chunk of size 0."""
    async with stage(events) as s:
        client = await opened(s)
        await reported(s, lambda one: one.silent == 1)
        fall_asleep(s, 0.0)
        assert await client.rest() == b""
        await until(lambda: s.replicas[0].open == 0)
        assert s.stats().in_flight == 0


async def test_a_silent_answer_that_ends_with_its_connection_is_reset() -> None:
    """RFC 1945 §7.2.2: a client of HTTP/1.0 would take a plain end for the answer's."""
    async with stage(events) as s:
        client = await s.client()
        await client.send(b"GET / HTTP/1.0\r\nHost: web.test\r\n\r\n")
        assert (await client.head()).status == 200
        await reported(s, lambda one: one.silent == 1)
        fall_asleep(s, 0.0)
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(PATIENCE):
                await client.reader.read()


async def test_what_sleep_ends_is_no_activity() -> None:
    """Or a service that was just frozen would be thawed by it."""
    async with stage(websocket) as s:
        await opened(s, *ASK, status=101)
        before = await reported(s, lambda one: one.silent == 1)
        fall_asleep(s, 0.0)
        after = await reported(s, lambda one: one.in_flight == 0)
        assert after.active_at == before.active_at


async def test_a_client_that_closes_a_silent_tunnel_was_there_until_then() -> None:
    async with stage(websocket) as s:
        client = await opened(s, *ASK, status=101)
        before = await reported(s, lambda one: one.silent == 1)
        client.writer.close()
        after = await reported(s, lambda one: one.in_flight == 0)
        assert (after.active_at or 0.0) > (before.active_at or 0.0)


@pytest.mark.rule("Tidegate: sleep ends what is silent", side="both")
async def test_a_byte_in_the_last_moment_keeps_a_stream() -> None:
    """It moved after the last look, so sleep does not end it: it is told, and wakes again."""
    async with stage(events) as s:
        client = await opened(s)
        await reported(s, lambda one: one.silent == 1)
        s.gateway.context.sweep.stop()  # or there might be another look before it falls asleep
        await s.replicas[0].calls[0].send(b"data: here\n\n")
        async with asyncio.timeout(PATIENCE):
            await client.reader.readuntil(b"here")
        fall_asleep(s, 0.0)
        s.gateway.context.sweep.start()
        report = await reported(s, lambda one: one.in_flight == 1)
        assert report.keeping_awake == 1
        assert s.stats().in_flight == 1
        assert not s.events.of(Drained)


async def test_a_replica_that_stays_keeps_its_silent_streams() -> None:
    """`min` replicas stay awake, and so does what they have."""
    async with stage(events) as s:
        client = await opened(s)
        await reported(s, lambda one: one.silent == 1)
        fall_asleep(s, 0.0, leave=False)
        await s.replicas[0].calls[0].send(b"data: still here\n\n")
        async with asyncio.timeout(PATIENCE):
            await client.reader.readuntil(b"still here")
        assert s.stats().in_flight == 1


async def test_less_silence_than_the_step_asks_for_ends_nothing() -> None:
    async with stage(events) as s:
        await opened(s)
        await reported(s, lambda one: one.silent == 1)
        fall_asleep(s, 60.0)
        assert s.stats().in_flight == 1


async def test_what_a_slow_client_takes_out_of_buffers_moves() -> None:
    """The replica is held back and sends nothing, the client reads a little at a time."""

    async def flood(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            await call.send(b"x" * 65536)

    async with stage(flood) as s:
        client = await s.client(receive_buffer=4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(get())
        stuck = await reported(s, lambda one: one.silent == 1)
        seen = len(s.events.of(LoadReport))
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await client.head()
        await client.reader.readexactly(20_000)
        await until(lambda: any(one.silent == 0 for one in s.events.of(LoadReport)[seen:]))
        moved = next(one for one in s.events.of(LoadReport)[seen:] if one.silent == 0)
        assert (moved.active_at or 0.0) > (stuck.active_at or 0.0)


async def test_looking_for_silence_does_not_hide_bytes_from_the_idle_timeout() -> None:
    """Between each byte and the end of the timeout comes a report."""
    async with stage(events, timeouts=Timeouts(idle=60.0)) as s:
        client = await opened(s)
        for _ in range(3):
            await s.replicas[0].calls[0].send(b".")
            async with asyncio.timeout(PATIENCE):
                assert await client.reader.readexactly(len(b"1\r\n.\r\n")) == b"1\r\n.\r\n"
            await reported(s, lambda one: one.in_flight == 1)
            await s.passes(60.0)
        assert s.stats().in_flight == 1
