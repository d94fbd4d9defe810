"""Timeouts, clients that leave, the queue, and back-pressure in both directions."""

import asyncio
import math
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
    get,
    say_hello,
    settled,
    stage,
    until,
)


@pytest.mark.rule("RFC 9110 §15.6.5: silent replicas", side="replica")
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


@pytest.mark.rule("RFC 9110 §15.6.5: silent replicas", side="replica")
@pytest.mark.rule("RFC 9112 §8: replica gone", side="both")
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
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await call.reader.read()

    async with stage(script, timeouts=Timeouts(idle=60.0)) as s:
        client = await s.client()
        await client.send(get())
        await client.head()
        for _ in range(4):
            await s.replicas[0].calls[0].send(b".")
            assert await client.reader.readexactly(1) == b"."
            await s.passes(60.0)
        assert s.stats().requests == {200: 1}


@pytest.mark.rule("RFC 9110 §15.6.3: replicas that do not accept", side="replica")
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


@pytest.mark.rule("RFC 9110 §15.5.9: slow bodies", side="client")
async def test_an_upload_that_stalls_is_a_408() -> None:
    async with stage(say_hello, idle_timeout=0.2) as s:
        client = await s.client()
        await client.send(get("/", "Content-Length: 10", method="POST") + b"part")
        answer = await client.answer()
        assert (answer.status, answer.value("Connection")) == (408, "close")
        assert s.events.of(Outcome) == []


# Clients that leave


@pytest.mark.rule("Tidegate: client gone before the answer", side="client")
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


@pytest.mark.rule("Tidegate: client gone in the queue", side="client")
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


@pytest.mark.rule("Tidegate: Server-Timing", side="client")
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
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for client in clients:
            await client.send(get())
        await until(lambda: s.stats().queued == 200)
        # One for all, and again each second.
        assert len(s.events.of(Wake)) <= 1 + (loop.time() - begun)
        s.publish(await s.replica("web-0"))
        assert {(await client.answer()).status for client in clients} == {200}


@pytest.mark.rule("Tidegate: queue", side="client")
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


@pytest.mark.rule("Tidegate: Server-Timing", side="client")
@pytest.mark.rule("Tidegate: queue", side="client")
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
        wakes = len(s.events.of(Wake))
        await asyncio.sleep(1.05)  # more than a second also for a clock of milliseconds
        assert (await client.ask(get())).status == 503
        assert len(s.events.of(Wake)) == wakes + 1
        s.publish(await s.replica("web-0"))
        assert (await client.ask(get())).status == 200


async def test_trouble_with_an_end_tells_the_time_that_is_left() -> None:
    """RFC 9110, section 10.2.3: Retry-After in seconds counts from when the answer is made."""
    async with stage() as s:
        client = await s.client()
        loop = asyncio.get_running_loop()
        now = loop.time()
        for end in (now + 7200.5, now + 7200.5, now - 5):
            s.publish(trouble=Trouble("asleep", "The service is asleep.", until=end))
            before = loop.time()
            answer = await client.ask(get())
            assert answer.status == 503
            assert b'"code": "asleep"' in answer.body
            told = int(answer.value("Retry-After") or 0)
            least, most = (max(1, math.ceil(end - at)) for at in (loop.time(), before))
            assert least <= told <= most
            await asyncio.sleep(0.6)


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
        for number, client in enumerate(clients):
            answer = await client.answer()
            assert answer.status == 200
            waited = re.fullmatch(r"queue;dur=\d+", answer.value("Server-Timing") or "")
            assert bool(waited) is (number > 0)
        assert [head[5:6] for head in s.replicas[0].heads] == [b"0", b"1", b"2", b"3", b"4", b"5"]
        assert s.replicas[0].connections == 1


# Back-pressure


@pytest.mark.rule("Tidegate: slow readers", side="client")
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
        assert 0 < await settled(lambda: sent[0]) < 24 * 2**20
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await client.head()
        count = 0
        while count < total:
            count += len(await client.reader.read(2**20))
        assert count == total


@pytest.mark.rule("Tidegate: slow readers", side="replica")
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
        buffered = client.writer.transport.get_write_buffer_size
        assert await settled(lambda: total - buffered()) < 32 * 2**20
        go.set()
        async with asyncio.timeout(20):
            assert (await client.answer()).body == b"hello"
