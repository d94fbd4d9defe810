"""Clients that leave, in whatever state their request is: its place is free at once."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from cluster.messages import Endpoint, Outcome, Wake
from config.service import Timeouts
from tests.support.certificates import issue
from tests.support.lone_server import deaf_port
from tests.support.raw_http import HELLO, Call, Client, Stage, always, get, stage, until
from tests.support.tls_clients import client_of, secure, trusting

NOT_READ = "Tidegate: client gone while not read"
LEAVE = 15.0  # seconds, with timeouts of a minute and more left
OFTEN: dict[str, Any] = {"timeouts": Timeouts(connect=0.5)}  # the sweep looks more often


def level(s: Stage) -> int:
    return s.stats().in_flight + s.stats().queued


@pytest.mark.rule("Tidegate: client gone while connecting", side="client")
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_leaves_while_its_replica_is_connected_to(how: str) -> None:
    with deaf_port() as address:
        async with stage() as s:
            s.publish(Endpoint("web-deaf", address))
            client = await s.client()
            await client.send(get())
            await until(lambda: level(s) == 1)
            client.reset() if how == "reset" else client.writer.close()
            await until(lambda: level(s) == 0)
            assert s.stats().requests == {499: 1}
            await until(lambda: not s.gateway._context.tasks)  # it is cancelled, and ends in a turn


# While the client is not read


async def deaf(call: Call) -> None:
    """Takes a request and reads no more of it; sees the end all the same."""
    await call.request()
    call.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(3600)


async def until_paused(s: Stage, client: Client) -> None:
    """Send until the gateway reads no more."""
    while not s.gateway._context.paused:
        client.writer.write(b"x" * 65536)
        await asyncio.sleep(0)


def leave(client: Client, how: str) -> None:
    client.reset() if how == "reset" else client.writer.close()


@pytest.mark.rule(NOT_READ, side="both")
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_it_is_noticed_in_an_upload_that_the_replica_holds_back(how: str) -> None:
    async with stage(deaf, concurrency=1) as s:
        client = await s.client()
        await client.send(get("/", f"Content-Length: {2**40}", method="POST"))
        await until_paused(s, client)
        second = await s.client()
        await second.send(get("/second"))
        await until(lambda: s.stats().queued == 1)
        leave(client, how)
        async with asyncio.timeout(LEAVE):
            await until(lambda: s.stats().requests == {499: 1})
            await until(lambda: len(s.replicas[0].heads) == 2)  # the second one has its place
        assert level(s) == 1
        assert s.events.of(Outcome) == []


@pytest.mark.rule(NOT_READ, side="client")
async def test_it_is_noticed_over_tls_too(tmp_path: Path) -> None:
    issued = issue(tmp_path, "a", "a.test")
    async with (
        stage(deaf, tls=secure(issued), **OFTEN) as s,
        client_of(s, trusting(issued)) as client,
    ):
        await client.send(get("/", f"Content-Length: {2**40}", method="POST"))
        # TLS reads some more than it hands on before it reads no more.
        with contextlib.suppress(TimeoutError):
            while True:
                await asyncio.wait_for(client.send(b"x" * 2**20), 0.2)
        assert level(s) == 1
        client.reset()
        async with asyncio.timeout(LEAVE):
            await until(lambda: s.stats().requests == {499: 1})


@pytest.mark.rule(NOT_READ, side="client")
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_it_is_noticed_in_an_upload_that_waits_in_the_queue(how: str) -> None:
    async with stage(**OFTEN) as s:
        client = await s.client()
        await client.send(get("/", f"Content-Length: {2**40}", method="POST"))
        await until(lambda: s.events.of(Wake))
        await until_paused(s, client)
        leave(client, how)
        async with asyncio.timeout(LEAVE):
            await until(lambda: level(s) == 0)
        assert s.stats().requests == {499: 1}


@pytest.mark.rule(NOT_READ, side="both")
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_it_is_noticed_behind_requests_that_came_too_early(how: str) -> None:
    async def silent(call: Call) -> None:
        await call.request()
        assert await call.reader.read() == b""

    async with stage(silent, **OFTEN) as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: s.replicas[0].heads)
        while not s.gateway._context.paused:
            client.writer.write(get("/", "X: " + "y" * 1000))
            await asyncio.sleep(0)
        leave(client, how)
        async with asyncio.timeout(LEAVE):
            await until(lambda: level(s) == 0)
            await until(lambda: s.replicas[0].open == 0)
        assert (s.stats().requests, len(s.replicas[0].heads)) == ({499: 1}, 1)


@pytest.mark.rule("RFC 9112 §9.6: half-closed tunnels", side="client")
async def test_the_half_of_a_tunnel_that_has_ended_is_delivered_however_late() -> None:
    """What lies unread when the client ends its half belongs to the replica."""
    go = asyncio.Event()

    async def late(call: Call) -> None:
        await call.request()
        await call.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
        )
        call.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await go.wait()
        call.writer.transport.resume_reading()  # type: ignore[attr-defined]
        call.replica.bodies.append(await call.reader.read())
        await call.send(b"got it")

    async with stage(late, **OFTEN) as s:
        client = await s.client()
        await client.send(get("/", "Connection: Upgrade", "Upgrade: x"))
        assert (await client.head()).status == 101
        count = 0
        while not s.gateway._context.paused:
            client.writer.write(b"x" * 65536)
            count += 65536
            await asyncio.sleep(0)
        client.writer.write_eof()
        await asyncio.sleep(0.2)  # several sweeps
        assert level(s) == 1
        go.set()
        assert await client.rest() == b"got it"
        assert len(s.replicas[0].bodies[0]) == count


async def test_one_that_is_not_read_and_stays_is_let_be() -> None:
    """Its upload goes on when the replica reads again, after several looks."""
    go = asyncio.Event()

    async def late(call: Call) -> None:
        head = await call.request()
        call.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await go.wait()
        call.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await call.body(head)
        await call.send(HELLO)

    async with stage(late, **OFTEN) as s:
        client = await s.client()
        total = 32 * 2**20
        await client.send(get("/", f"Content-Length: {total}", method="POST"))
        client.writer.write(b"x" * total)
        await until(lambda: s.gateway._context.paused)
        await asyncio.sleep(0.2)
        go.set()
        assert (await client.answer()).body == b"hello"
        assert s.gateway._context.paused == set()


@pytest.mark.rule("RFC 9112 §9.6: half-closed requests", side="client")
@pytest.mark.parametrize("waking", [True, False])
async def test_a_client_that_ends_its_half_has_left(waking: bool) -> None:
    """A close and a half-close are the same FIN (docs/decisions/0006)."""

    async def silent(call: Call) -> None:
        await call.request()
        assert await call.reader.read() == b""

    async with stage(*([] if waking else [silent])) as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: s.events.of(Wake) if waking else s.replicas[0].heads)
        client.writer.write_eof()
        async with asyncio.timeout(LEAVE):
            await until(lambda: level(s) == 0)
            assert await client.is_closed()
        assert s.stats().requests == {499: 1}
        await until(lambda: not any(replica.open for replica in s.replicas))


@pytest.mark.rule("RFC 9112 §9.6: half-closed requests", side="client")
async def test_what_was_answered_before_the_end_is_delivered() -> None:
    """Also behind an answer that the client has not read yet."""
    body = b"x" * 300_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with stage(always(answer)) as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: s.stats().requests == {200: 1})
        client.writer.write_eof()
        assert (await client.answer()).body == body
        assert await client.is_closed()
