"""What a drain does to those who have just come, and to those who were about to ask again."""

import asyncio
import contextlib
import socket

import pytest

from gateway import downstream
from tests.support.raw_http import HELLO, Call, get, say_hello, stage, until


def knock(port: int) -> socket.socket:
    """A client that has connected and asked before anybody could accept it."""
    one = socket.create_connection(("127.0.0.1", port))
    one.sendall(get())
    one.setblocking(False)
    return one


LONG = 60.0  # seconds


async def answer_of(one: socket.socket) -> bytes:
    """All of it, until the connection ends; raises ConnectionError when it was reset."""
    loop, answer = asyncio.get_running_loop(), b""
    async with asyncio.timeout(30):
        while part := await loop.sock_recv(one, 65536):
            answer += part
    return answer


async def test_who_has_connected_already_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Source: reliability F17. The kernel would reset whoever waits in the backlog."""
    monkeypatch.setattr(downstream, "FRESH", LONG)
    async with stage(say_hello) as s, contextlib.AsyncExitStack() as stack:
        # The loop does not run in between: nobody was accepted so far.
        clients = [stack.enter_context(knock(s.port)) for _ in range(200)]
        await s.gateway.drain(LONG)
        for one in clients:
            answer = await answer_of(one)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"Connection: close" in answer
        with pytest.raises(ConnectionError):
            knock(s.port)


async def test_who_has_connected_and_says_nothing_holds_up_nobody_for_long() -> None:
    async with stage(say_hello) as s:
        with socket.create_connection(("127.0.0.1", s.port)):
            begun = asyncio.get_running_loop().time()
            await s.gateway.drain(3600.0)
            assert asyncio.get_running_loop().time() - begun < 60


async def test_with_patience_an_idle_client_may_ask_once_more() -> None:
    async with stage(say_hello) as s:
        client, silent = await s.client(), await s.client()
        for one in (client, silent):
            await one.send(get())
            assert (await one.answer()).status == 200
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(s.gateway.drain(2 * LONG, LONG))
            await until(lambda: not s.gateway.listening())
            await client.send(get())
            answer = await client.answer()
            assert (answer.status, answer.value("Connection")) == (200, "close")
            assert await client.is_closed()
            assert not drain.done()
            await s.passes(LONG)
            assert await silent.is_closed()


async def test_with_patience_who_was_not_told_may_ask_once_more() -> None:
    """The head of its answer, which did not say that the connection ends, had gone already."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        await go.wait()
        await call.send(b"world")
        await call.request()
        await call.send(HELLO)

    async with stage(script) as s:
        client = await s.client()
        await client.send(get())
        head = await client.reader.readuntil(b"hello")
        assert b"close" not in head
        async with asyncio.TaskGroup() as group:
            group.create_task(s.gateway.drain(2 * LONG, LONG))
            await until(lambda: not s.gateway.listening())
            go.set()
            assert await client.reader.readexactly(5) == b"world"
            await client.send(get())
            answer = await client.answer()
            assert (answer.status, answer.value("Connection")) == (200, "close")
