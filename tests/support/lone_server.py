"""A single-threaded TCP server in the test's own loop, and a way to run a test on each loop.

It takes one connection at a time, as the simplest replica does.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

from cluster.model import Address

Handle = Callable[[socket.socket], Awaitable[None]]


def on_each_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs a test without arguments on the loop of the standard library and on uvloop."""

    @pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
    def run(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@contextlib.asynccontextmanager
async def serving(handle: Handle) -> AsyncIterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_accept(listener, handle))
            try:
                yield Address("127.0.0.1", listener.getsockname()[1])
            finally:
                task.cancel()


async def _accept(listener: socket.socket, handle: Handle) -> None:
    loop = asyncio.get_running_loop()
    while True:
        sock, _ = await loop.sock_accept(listener)
        sock.setblocking(False)
        with sock, contextlib.suppress(ConnectionError):
            await handle(sock)


async def read_head(sock: socket.socket) -> bytes:
    loop, head = asyncio.get_running_loop(), b""
    while b"\r\n\r\n" not in head:
        data = await loop.sock_recv(sock, 4096)
        if not data:
            break
        head += data
    return head


def answering(*parts: bytes) -> Handle:
    """Reads one request, sends the parts, closes."""

    async def handle(sock: socket.socket) -> None:
        await read_head(sock)
        for part in parts:
            await asyncio.get_running_loop().sock_sendall(sock, part)
            await asyncio.sleep(0)

    return handle


async def silence(sock: socket.socket) -> None:
    """Accepts and reads, but never answers."""
    await read_head(sock)
    await asyncio.get_running_loop().sock_recv(sock, 1)


def then_open(*parts: bytes) -> Handle:
    """Answers, and leaves the connection open whatever the client asked for."""

    async def handle(sock: socket.socket) -> None:
        await answering(*parts)(sock)
        await asyncio.get_running_loop().sock_recv(sock, 1)

    return handle


async def reset(sock: socket.socket) -> None:
    """Reads the request and answers with a reset."""
    await read_head(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def endless(start: bytes, piece: bytes) -> Handle:
    async def handle(sock: socket.socket) -> None:
        await read_head(sock)
        await asyncio.get_running_loop().sock_sendall(sock, start)
        while True:
            await asyncio.get_running_loop().sock_sendall(sock, piece)

    return handle


def bound_but_closed() -> tuple[socket.socket, Address]:
    """A port that nobody else can take and that refuses until `listen` is called."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, Address("127.0.0.1", sock.getsockname()[1])


@contextlib.contextmanager
def dead_port() -> Iterator[Address]:
    """A port that refuses. One that is merely free may be taken by anybody, at any time."""
    sock, address = bound_but_closed()
    with sock:
        yield address


@contextlib.contextmanager
def deaf_port() -> Iterator[Address]:
    """A port whose accept queue is full: it drops each handshake, as a dead host does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        host, port = listener.getsockname()
        with socket.create_connection((host, port)):
            yield Address(host, port)
