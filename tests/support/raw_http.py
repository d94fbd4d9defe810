"""Raw clients and scripted replicas around a real gateway on loopback sockets.

Nothing here parses more HTTP than a test needs, so that a test sees the very bytes.
"""

import asyncio
import contextlib
import random
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from cluster.messages import (
    Drained,
    Endpoint,
    EndpointSnapshot,
    LoadReport,
    Outcome,
    Wake,
)
from cluster.model import Address, Trouble
from config.service import Service
from config.settings import Gateway as GatewaySettings
from config.settings import Limits
from gateway.gateway import Gateway
from gateway.routed import routed
from gateway.stats import Counters, ServiceStats

T = TypeVar("T")

# Seconds, generous: they only cost time when something is broken. But less than any timeout of the
# gateway's own that a test has not set, or one that ends things late would look like one that does.
PATIENCE = 20.0
_LATER = 60.0
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until it holds; fails after some seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while not condition():
        assert loop.time() < deadline, f"{what} did not come true"
        await asyncio.sleep(0.002)


async def settled(count: Callable[[], int]) -> int:
    """What it has come to when it has moved and does so no more, in a hundred looks."""
    last, since, looks = 0, 0, 0
    await until(lambda: count() > 0, "a first move")
    while since < 100:
        looks += 1
        assert looks < 10_000, "it moves on and on"
        await asyncio.sleep(0.002)
        last, since = count(), since + 1 if count() == last else 0
    return last


@dataclass
class Answer:
    """One response as it came."""

    status: int
    head: bytes
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        found = re.findall(rb"(?im)^" + re.escape(name.encode()) + rb":[ \t]*(.*?)\r?$", self.head)
        return [value.decode("latin-1") for value in found]

    def value(self, name: str) -> str | None:
        values = self.values(name)
        return values[0] if values else None


class Client:
    """A client that sends exactly the bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> Answer:
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
        return Answer(int(head.split(b" ")[1]), head)

    async def answer(self, *, to_head: bool = False) -> Answer:
        """One response with its body; raises IncompleteReadError when it is cut."""
        answer = await self.head()
        if to_head or answer.status in (204, 304) or answer.status < 200:
            return answer
        async with asyncio.timeout(PATIENCE):
            if (length := answer.value("Content-Length")) is not None:
                answer.body = await self.reader.readexactly(int(length))
            elif answer.value("Transfer-Encoding") == "chunked":
                answer.body = await read_chunked(self.reader)
            else:
                answer.body = await self.reader.read()
        return answer

    async def ask(self, data: bytes, *, to_head: bool = False) -> Answer:
        await self.send(data)
        return await self.answer(to_head=to_head)

    async def rest(self) -> bytes:
        """All that comes until the connection is closed, cleanly or not."""
        data = b""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while part := await self.reader.read(65536):
                    data += part
        return data

    async def is_closed(self) -> bool:
        return await self.rest() == b""

    def reset(self) -> None:
        """Leave with a RST."""
        linger(self.writer)
        self.writer.transport.abort()


def abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def linger(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def read_chunked(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        assert await reader.readexactly(2) == b"\r\n"
    while await reader.readline() != b"\r\n":
        pass
    return b"".join(parts)


@dataclass
class Call:
    """One connection to a replica, for its script."""

    replica: "Replica"
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """The next head; its body is left unread. Raises IncompleteReadError at the end."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.replica.heads.append(head)
        return head

    async def body(self, head: bytes) -> bytes:
        body = b""
        if length := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
            body = await self.reader.readexactly(int(length[1]))
        elif re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
            body = await read_chunked(self.reader)
        self.replica.bodies.append(body)
        return body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        linger(self.writer)
        self.writer.transport.abort()


Script = Callable[[Call], Awaitable[None]]


@dataclass
class Replica:
    """A server that follows a script once per connection."""

    name: str
    address: Address
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    calls: list[Call] = field(default_factory=list)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.name, self.address)


async def say_hello(call: Call) -> None:
    """Answers every request on the connection."""
    while True:
        await call.body(await call.request())
        await call.send(HELLO)


def always(answer: bytes) -> Script:
    """Sends these bytes for every request, and stays."""

    async def script(call: Call) -> None:
        while True:
            await call.body(await call.request())
            await call.send(answer)

    return script


def once(answer: bytes) -> Script:
    """Sends these bytes for the first request, then closes."""

    async def script(call: Call) -> None:
        await call.body(await call.request())
        await call.send(answer)

    return script


class Recorder:
    """Keeps what the gateway tells."""

    def __init__(self) -> None:
        self.log: list[Wake | LoadReport | Outcome | Drained] = []

    def wake(self, message: Wake) -> None:
        self.log.append(message)

    def report(self, message: LoadReport) -> None:
        self.log.append(message)

    def outcome(self, message: Outcome) -> None:
        self.log.append(message)

    def drained(self, message: Drained) -> None:
        self.log.append(message)

    def of(self, kind: type[T]) -> list[T]:
        return [message for message in self.log if isinstance(message, kind)]


class Stage:
    """A gateway, its replicas and its clients; everything is closed at the end."""

    def __init__(self, services: dict[str, Service], settings: GatewaySettings) -> None:
        self.events = Recorder()
        self.settings = settings
        self.services = services
        self.gateway = Gateway(settings, self.events, random.Random(7))
        self.gateway.configure([routed(name, one) for name, one in services.items()], settings)
        self.port = 0
        self.replicas: list[Replica] = []
        self._stack = contextlib.AsyncExitStack()
        self._version = 0
        self._handlers: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        addresses = await self.gateway.start()
        self.port = addresses[0].port
        self._stack.push_async_callback(self._close_handlers)
        self._stack.push_async_callback(self.gateway.drain, 0.05)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _close_handlers(self) -> None:
        for task in self._handlers:
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def client(self, *, receive_buffer: int | None = None) -> Client:
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        reader, writer = await asyncio.open_connection(sock=sock, limit=2**18)
        self._stack.callback(abort, writer)
        return Client(reader, writer)

    async def replica(self, name: str, script: Script = say_hello, *, port: int = 0) -> Replica:
        """A replica that listens; it is not an endpoint yet."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._handlers.add(task)
            replica.connections += 1
            replica.open += 1
            call = Call(replica, reader, writer)
            replica.calls.append(call)
            try:
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                    await script(call)
            except asyncio.CancelledError:
                pass
            finally:
                replica.open -= 1
                self._handlers.discard(task)
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**20)
        self._stack.callback(server.close)
        replica = Replica(name, Address("127.0.0.1", server.sockets[0].getsockname()[1]))
        return replica

    def publish(
        self,
        *replicas: Replica | Endpoint,
        service: str = "web",
        trouble: Trouble | None = None,
        start_seconds: float | None = None,
    ) -> None:
        """Make exactly these the endpoints of a service."""
        self._version += 1
        endpoints = tuple(one.endpoint if isinstance(one, Replica) else one for one in replicas)
        self.gateway.apply(
            EndpointSnapshot(service, self._version, endpoints, trouble, start_seconds)
        )

    async def passes(self, seconds: float) -> None:
        """As if so many seconds went by at once for all that have a deadline, and were noticed.

        How long a test itself takes is then not what decides: its timeouts can be long ones.
        """
        connections = self.gateway.context.connections
        for connection in connections:
            connection.deadline -= seconds
        now = asyncio.get_running_loop().time()
        await until(lambda: all(one.deadline > now for one in connections), "a sweep")

    def stats(self, service: str = "web") -> ServiceStats:
        """The counts of a service; all zero before its first request."""
        return self.gateway.stats(0.0).services.get(service) or Counters(0.0).copy(0, ())


@contextlib.asynccontextmanager
async def stage(
    *scripts: Script, services: dict[str, Service] | None = None, **options: Any
) -> AsyncIterator[Stage]:
    """One service "web" on every host with a replica web-0, web-1, … per script.

    Options are keys of the service, of `limits`, or of the gateway's settings.
    """
    limits = {key: options.pop(key) for key in list(options) if key in Limits.model_fields}
    given = {key: options.pop(key) for key in list(options) if key in GatewaySettings.model_fields}
    limits = {"header_timeout": _LATER, **limits}
    settings = GatewaySettings(**{"listen": ("127.0.0.1:0",), "limits": Limits(**limits), **given})
    if services is None:
        services = {"web": Service(**{"name": "web", "hosts": ("*",), **options})}
    async with Stage(services, settings) as made:
        for index, script in enumerate(scripts):
            made.replicas.append(await made.replica(f"web-{index}", script))
        if scripts:
            made.publish(*made.replicas)
        yield made


def get(path: str = "/", *lines: str, host: str = "web.test", method: str = "GET") -> bytes:
    """A request without body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


def post(body: bytes, *lines: str, method: str = "POST") -> bytes:
    return get("/", f"Content-Length: {len(body)}", *lines, method=method) + body
