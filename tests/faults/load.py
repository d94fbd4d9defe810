"""Load in an open loop: requests leave at their rate, whatever becomes of the former ones.

A client never tries again: what it sees is what happened. Connections are kept and used again, but
for a share of requests that come on their own.
"""

import asyncio
import contextlib
import itertools
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import orjson

from tests.faults.record import Asked, Outcome, Record

PATIENCE = 60.0  # seconds until silence is an outcome
KEPT_FOR = 5.0  # seconds; far below what the gateway keeps an idle connection for
RATE = 120.0  # requests a second

# (method, path, bytes of the body, on a connection of its own): half are GET, and of every method
# some come with a connection of their own. What takes long is under way when a fault comes.
MIX = [
    ("GET", "/?ms=5", 0, False),
    ("POST", "/?ms=10", 2000, False),
    ("GET", "/?ms=0", 0, True),
    ("PUT", "/?ms=5", 500, False),
    ("GET", "/?ms=30", 0, False),
    ("DELETE", "/?ms=5", 0, False),
    ("GET", "/?ms=5&parts=3&pause=15", 0, False),
    ("POST", "/?ms=30", 20_000, True),
    ("HEAD", "/?ms=2", 0, False),
    ("GET", "/?ms=100", 0, False),
    ("PUT", "/?ms=10", 0, True),
    ("GET", "/?ms=10", 0, True),
    ("POST", "/?ms=0", 10, False),
    ("DELETE", "/?ms=20", 0, True),
]


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.port: int = writer.get_extra_info("sockname")[1]
        self.idle_since = 0.0

    def close(self) -> None:
        self.writer.transport.abort()

    @property
    def is_over(self) -> bool:
        return self.reader.at_eof() or self.writer.is_closing()


class Load:
    """Clients of one gateway. `records` has all that has ended; no answer is read before
    `may_read`."""

    def __init__(self, gateway: str, host: str, name: str = "p") -> None:
        where, _, port = gateway.rpartition(":")
        self.where, self.port = where, int(port)
        self.host = host
        self.records: list[Record] = []
        self.sent = 0
        self.may_read = asyncio.Event()
        self.may_read.set()
        self._name = name
        self._numbers = itertools.count()
        self._idle: list[Connection] = []
        self._loop = asyncio.get_running_loop()
        self._mix: Iterator[tuple[str, str, int, bool]] = itertools.cycle(MIX)

    def next(self) -> Asked:
        method, path, size, fresh = next(self._mix)
        return self.asked(method, path, size, fresh)

    def asked(self, method: str, path: str = "/", size: int = 0, fresh: bool = False) -> Asked:
        probe = f"{self._name}-{next(self._numbers)}"
        return Asked(probe, method, path, self.host, size, fresh)

    async def send_at(self, rate: float, done: asyncio.Event) -> None:
        """Until `done`, and then until the last one has its outcome."""
        begun = self._loop.time()
        try:
            await self._send_at(begun, rate, done)
        finally:
            for connection in self._idle:
                connection.close()
            self._idle.clear()
            await asyncio.sleep(0)  # until their sockets are closed

    async def _send_at(self, begun: float, rate: float, done: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for number in itertools.count(1):
                group.create_task(self.one(self.next()), name="a request")
                pause = max(0.0, begun + number / rate - self._loop.time())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await done.wait()
                if done.is_set():
                    break

    async def burst(self, count: int, ask: Callable[[], Asked] | None = None) -> None:
        """All at once, each on a connection of its own."""
        make = ask or (lambda: self.asked("GET", "/?ms=5", fresh=True))
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self.one(make()), name="a request")

    async def one(self, asked: Asked) -> Record:
        self.sent += 1
        begun = self._loop.time()
        record = Record(asked, begun, begun, Outcome.LOST)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._exchange(asked, record)
        except TimeoutError:
            record.outcome = Outcome.CUT if record.status else Outcome.SILENT
        except (OSError, EOFError) as error:
            record.outcome = Outcome.CUT if record.status else Outcome.LOST
            record.detail = repr(error)
        record.ended_at = self._loop.time()
        self.records.append(record)
        return record

    async def _exchange(self, asked: Asked, record: Record) -> None:
        connection = await self._connection(asked)
        record.port = connection.port
        kept = False
        try:
            connection.writer.write(request_of(asked))
            await self.may_read.wait()
            kept = await _answer(connection.reader, asked, record)
        finally:
            if kept and not asked.fresh:
                connection.idle_since = self._loop.time()
                self._idle.append(connection)
            else:
                connection.close()

    async def _connection(self, asked: Asked) -> Connection:
        while self._idle and not asked.fresh:
            connection = self._idle.pop()
            if not connection.is_over and self._loop.time() - connection.idle_since < KEPT_FOR:
                return connection
            connection.close()
        # A head may be large, a body is not.
        reader, writer = await asyncio.open_connection(self.where, self.port, limit=2**18)
        return Connection(reader, writer)


def request_of(asked: Asked) -> bytes:
    head = (
        f"{asked.method} {asked.path} HTTP/1.1\r\nHost: {asked.host}\r\nX-Probe: {asked.probe}\r\n"
    )
    if asked.fresh:
        head += "Connection: close\r\n"
    if asked.size:
        head += f"Content-Length: {asked.size}\r\n"
    return head.encode() + b"\r\n" + body_of(asked)


def body_of(asked: Asked) -> bytes:
    """One that no other request has."""
    return (asked.probe.encode() * (asked.size // len(asked.probe) + 1))[: asked.size]


async def _answer(reader: asyncio.StreamReader, asked: Asked, record: Record) -> bool:
    """Reads it into the record; whether the connection can be used again."""
    head = await reader.readuntil(b"\r\n\r\n")
    record.status = int(head.split(None, 2)[1])
    fields = head.lower()
    body = await _body(reader, asked, fields)
    if b"application/problem+json" in fields:
        problem = orjson.loads(body) if body else {}
        record.code, record.detail = problem.get("code", "none"), problem.get("detail", "")
        record.outcome = Outcome.REFUSED if record.status == 503 else Outcome.ERROR
    elif record.status != 200:
        record.outcome = Outcome.ERROR
        record.detail = body[:100].decode("latin-1")
    else:
        _compare(asked, body, record)
    return b"\r\nconnection: close" not in fields


async def _body(reader: asyncio.StreamReader, asked: Asked, fields: bytes) -> bytes:
    if asked.method == "HEAD":
        return b""
    if b"\r\ntransfer-encoding: chunked" not in fields:
        length = int(fields.partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0])
        return await reader.readexactly(length)
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


def _compare(asked: Asked, body: bytes, record: Record) -> None:
    record.outcome = Outcome.OK
    if asked.method == "HEAD":
        return
    said = body.rstrip(b"x").decode("latin-1").split()
    wanted = [asked.probe, str(asked.size), str(zlib.crc32(body_of(asked)))]
    if len(said) == 4 and [said[0], *said[2:]] == wanted:
        record.replica = said[1]
    else:
        record.outcome, record.detail = Outcome.WRONG, repr(body[:200])


@contextlib.asynccontextmanager
async def running(load: Load, rate: float = RATE) -> AsyncIterator[Load]:
    """The load for the length of a block; afterwards each request has its outcome."""
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.send_at(rate, done), name="load")
        try:
            yield load
        finally:
            done.set()


async def answered(
    load: Load, more: int, until: Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
) -> None:
    """Until so many more requests were served."""
    wanted = served(load) + more

    async def are_served() -> bool:
        return served(load) >= wanted

    await until(are_served)


def served(load: Load) -> int:
    return sum(record.outcome is Outcome.OK for record in load.records)
