"""Clients that know which gateway process has their connection, and keep book of what they got.

The process is stopped before anybody looks, so that it cannot accept another one meanwhile: what
it had when it was killed is known exactly.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.running import Running

PATIENCE = 30.0
_THINKING = 0.005


@dataclass(eq=False)
class Book:
    """Connections by serial number, and what came of the requests on them."""

    running: Running
    served: Counter[str] = field(default_factory=Counter)  # by service
    wrong: list[str] = field(default_factory=list)  # answers other than 200
    lost: dict[int, str] = field(default_factory=dict)  # what was under way on which connection
    open: dict[int, int] = field(default_factory=dict)  # the client's port -> serial
    doomed: set[int] = field(default_factory=set)  # those of processes that were killed
    serials: "itertools.count[int]" = field(default_factory=itertools.count)

    def note_doomed(self, pid: int) -> None:
        ports = ports_of(pid, self.running)
        self.doomed |= {serial for port, serial in self.open.items() if port in ports}


class Caller:
    """One connection, kept."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.serial = next(book.serials)
        self.is_over = False  # the last answer said that it is

    async def __aenter__(self) -> "Caller":
        # The port is known before anybody can accept the connection; a reset leaves it at once.
        own = socket.socket()
        own.setblocking(False)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        own.bind(("127.0.0.1", 0))
        self.port = own.getsockname()[1]
        self.book.open[self.port] = self.serial
        host, _, port = self.book.running.gateway.rpartition(":")
        await asyncio.get_running_loop().sock_connect(own, (host, int(port)))
        self.reader, self.writer = await asyncio.open_connection(sock=own)
        return self

    async def __aexit__(self, *_: object) -> None:
        del self.book.open[self.port]
        self.writer.transport.abort()

    async def ask(self, method: str, service: str, path: str, body: bytes = b"") -> bool:
        """Whether it was answered; if not, the connection is gone."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {service}.localhost\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n" if body else "\r\n"
        try:
            async with asyncio.timeout(PATIENCE):
                self.writer.write(head.encode() + body)
                status, answer = await self._answer()
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.book.lost[self.serial] = f"{method} {service} {path}: {error!r}"
            return False
        if status != 200 or (body and answer != body):
            self.book.wrong.append(f"{method} {service} {path}: {status} {answer[:200]!r}")
        else:
            self.book.served[service] += 1
        return True

    async def _answer(self) -> tuple[int, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.is_over = b"\r\nconnection: close\r\n" in head.lower()
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        return int(head.split()[1]), await self.reader.readexactly(length)


@contextlib.asynccontextmanager
async def calling(book: Book, *plans: tuple[str, str, str, bytes, bool]) -> AsyncIterator[None]:
    """One client for each (method, service, path, body, keeps its connection), in closed loops."""
    done = asyncio.Event()

    async def call(method: str, service: str, path: str, body: bytes, kept: bool) -> None:
        while not done.is_set():
            async with Caller(book) as caller:
                going = True
                while going and not done.is_set():
                    going = await caller.ask(method, service, path, body) and kept
                    going = going and not caller.is_over
                    await asyncio.sleep(_THINKING)

    async with asyncio.TaskGroup() as group:
        for number, plan in enumerate(plans):
            group.create_task(call(*plan), name=f"caller {number}")
        try:
            yield
        finally:
            done.set()


def ports_of(pid: int, running: Running) -> set[int]:
    """The clients' ports of the connections that a process has accepted."""
    ours = int(running.gateway.rpartition(":")[2])
    sockets = set()
    for descriptor in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            sockets.add(os.readlink(descriptor.path))
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        facts = line.split()
        near, far = (int(end.partition(":")[2], 16) for end in facts[1:3])
        if near == ours and far and f"socket:[{facts[9]}]" in sockets:
            found.add(far)
    return found


async def stop(pid: int) -> None:
    """SIGSTOP, and until it has come to a stop."""
    os.kill(pid, signal.SIGSTOP)
    async with asyncio.timeout(PATIENCE):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.001)


async def kill(pid: int, book: Book) -> None:
    """SIGKILL, with a note of whose connections it takes with it."""
    await stop(pid)
    book.note_doomed(pid)
    os.kill(pid, signal.SIGKILL)
