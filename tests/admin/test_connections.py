"""No client of the API can hold up the others: not by being slow, and not by being many."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry

from admin import connections
from admin.app import AdminServer
from admin.connections import Connections
from cluster.model import Address
from tests.support.operated_plane import OperatedPlane

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
SCALE = b"POST /v1/services/web/scale HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"


class Client:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """Up to the end of the head and what came with it."""
        async with asyncio.timeout(30):
            return await self.reader.read(65536)

    async def is_cut(self) -> bool:
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read() == b""
            return True


@contextlib.asynccontextmanager
async def connected(address: Address) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(most: int = 4, idle: float = 30.0) -> AsyncIterator[Address]:
    server = AdminServer(
        "127.0.0.1:0",
        None,
        OperatedPlane(),
        CollectorRegistry(),
        connections=Connections(most, idle),
    )
    try:
        yield await server.start()
    finally:
        await server.stop()


async def test_a_head_that_trickles_in_is_cut_off() -> None:
    async with serving(idle=0.3) as address, connected(address) as slow:
        with contextlib.suppress(ConnectionError):
            for byte in GET[:-4]:
                await slow.send(bytes([byte]))
                await asyncio.sleep(0.02)
        assert await slow.is_cut()


async def test_a_second_head_that_trickles_in_is_cut_off() -> None:
    async with serving(idle=0.3) as address, connected(address) as slow:
        await slow.send(GET)
        assert b" 200 " in await slow.answer()
        await slow.send(GET[:10])
        assert await slow.is_cut()


async def test_a_body_that_does_not_come_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections.read_in_time, "__defaults__", (0.2,))
    async with serving() as address, connected(address) as slow:
        await slow.send(SCALE)
        answer = await slow.answer()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"body-timeout" in answer


async def test_an_idle_connection_makes_room_for_a_new_one() -> None:
    async with serving(most=3) as address, contextlib.AsyncExitStack() as stack:
        first, *others = [await stack.enter_async_context(connected(address)) for _ in range(3)]
        for client in (first, *others):
            await client.send(GET)
            await client.answer()
        await first.send(GET)  # so it is the last that was used
        await first.answer()
        newcomer = await stack.enter_async_context(connected(address))
        await newcomer.send(GET)
        assert b" 200 " in await newcomer.answer()
        assert await others[0].is_cut()
        await first.send(GET)
        assert b" 200 " in await first.answer()


async def test_half_a_head_on_every_place_keeps_nobody_out() -> None:
    """Slowloris."""
    async with serving(most=8) as address, contextlib.AsyncExitStack() as stack:
        for _ in range(40):
            slow = await stack.enter_async_context(connected(address))
            await slow.send(GET[:20])
        async with ClientSession() as client, client.get(f"http://{address}/healthz") as response:
            assert response.status == 200


async def test_one_more_than_can_be_followed_is_told_so() -> None:
    events = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with serving(most=3) as address, contextlib.AsyncExitStack() as stack:
        followers = [await stack.enter_async_context(connected(address)) for _ in range(3)]
        for follower in followers:
            await follower.send(events)
            assert b" 200 " in await follower.answer()
        newcomer = await stack.enter_async_context(connected(address))
        answer = await newcomer.answer()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"too-many-connections" in answer
        followers[0].writer.close()
        await followers[0].writer.wait_closed()
        for _ in range(100):
            again = await stack.enter_async_context(connected(address))
            await again.send(GET)
            with contextlib.suppress(ConnectionError):
                if b" 200 " in await again.answer():
                    return
            await asyncio.sleep(0.05)
        raise AssertionError("the place of one that left was not given to another")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer canary-1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"canary-1" * 1_100 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"canary-1: x\r\n" * 500 + b"\r\n",
        b"GET /" + b"canary-1" * 1_100 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00canary-1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: canary-1\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_problem_and_not_logged(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as address, connected(address) as client:
        await client.send(request_bytes)
        answer = await client.answer()
        assert b" 400 " in answer[:14]
        assert b"application/problem+json" in answer
        assert b"canary-1" not in answer
        assert await client.is_cut()
    assert "canary-1" not in caplog.text
