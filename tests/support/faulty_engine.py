"""A real Docker engine behind a socket that fails on request.

Each answer is the real engine's own, unless a fault says otherwise, so that what a driver learns
to live with is what an engine does.

    async with faulty_engine(tmp_path / "docker.sock") as faulty:   # in front of the usual engine
        runtime = DockerRuntime(owner, url=faulty.url)
        with faulty.on("create", Lost(), times=1): ...      # it is made, and nobody hears of it
        with faulty.on("*", Slow(5.0)): ...                 # while the block lasts
        faulty.cut_streams()                                # events and followed logs end
        with faulty.away(): ...                             # nobody listens at the socket
        faulty.seen("create")                               # the calls so far

Calls: version ping list inspect create start stop remove pause unpause exec stats events logs
network pull image, other; "*" is each of them.

Faults: `Slow(seconds)` before the engine is asked; `Refused(status, message)` and `Garbage()`
without asking it; `Dropped()` closes before it is asked; `Lost()` asks it and closes instead of
answering; `Silent()` asks it and never answers; `Hung()` never asks it; `Frozen()` gives the
answer that the same request had last (a stale list); `Deaf()` keeps what a stream says from the
client (events lost, with the stream alive). Several faults on one call happen in the order in
which they were set; the first one that answers, or closes, ends it. A client may try a GET whose
connection was closed (Dropped, Lost) once more by itself: that is one more call of `times`.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

ENGINE = Path("/var/run/docker.sock")
_LIMIT = 2**20

_CALLS = (
    ("version", r"GET .*/version"),
    ("ping", r"\w+ .*/_ping"),
    ("events", r"GET .*/events"),
    ("list", r"GET .*/containers/json"),
    ("create", r"POST .*/containers/create"),
    ("start", r"POST .*/containers/[^/]+/start"),
    ("stop", r"POST .*/containers/[^/]+/(stop|kill)"),
    ("pause", r"POST .*/containers/[^/]+/pause"),
    ("unpause", r"POST .*/containers/[^/]+/unpause"),
    ("remove", r"DELETE .*/containers/[^/]+"),
    ("inspect", r"GET .*/containers/[^/]+/json"),
    ("stats", r"GET .*/containers/[^/]+/stats"),
    ("logs", r"GET .*/containers/[^/]+/logs"),
    ("exec", r"\w+ .*/(containers/[^/]+/exec|exec/.*)"),
    ("pull", r"POST .*/images/create"),
    ("image", r"\w+ .*/images/.*"),
    ("network", r"\w+ .*/networks.*"),
)


class Fault:
    """What goes wrong with one call."""


@dataclass(frozen=True, slots=True)
class Slow(Fault):
    seconds: float


@dataclass(frozen=True, slots=True)
class Refused(Fault):
    status: int = 500
    message: str = "something is wrong with the engine"


@dataclass(frozen=True, slots=True)
class Garbage(Fault):
    pass


@dataclass(frozen=True, slots=True)
class Dropped(Fault):
    pass


@dataclass(frozen=True, slots=True)
class Lost(Fault):
    pass


@dataclass(frozen=True, slots=True)
class Silent(Fault):
    pass


@dataclass(frozen=True, slots=True)
class Hung(Fault):
    pass


@dataclass(frozen=True, slots=True)
class Frozen(Fault):
    pass


@dataclass(frozen=True, slots=True)
class Deaf(Fault):
    pass


@dataclass(frozen=True, slots=True)
class Seen:
    """A call that came. `at` is loop time, seconds."""

    call: str
    request: str
    at: float


@dataclass(slots=True, eq=False)
class _Set:
    call: str
    fault: Fault
    left: int | None

    def take(self, call: str) -> bool:
        if self.call not in ("*", call) or self.left == 0:
            return False
        if self.left is not None:
            self.left -= 1
        return True


@dataclass(slots=True)
class FaultyEngine:
    path: Path
    upstream: Path
    calls: list[Seen] = field(default_factory=list)
    _sets: list[_Set] = field(default_factory=list)
    _former: dict[str, bytes] = field(default_factory=dict)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _streams: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    @contextlib.contextmanager
    def on(self, call: str, fault: Fault, times: int | None = None) -> Iterator[None]:
        """While the block lasts, or for so many calls."""
        one = self.set(call, fault, times)
        try:
            yield
        finally:
            self._sets.remove(one)

    def set(self, call: str, fault: Fault, times: int | None = None) -> _Set:
        """The same for good."""
        self._sets.append(one := _Set(call, fault, times))
        return one

    def seen(self, call: str) -> list[Seen]:
        return [one for one in self.calls if one.call == call]

    def cut_streams(self) -> None:
        for writer in list(self._streams):
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Every connection is cut and new ones are refused."""
        await self.close()
        try:
            yield
        finally:
            await self.listen()

    async def listen(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path, limit=_LIMIT)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the client, with one of its own to the engine."""
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                engine = await asyncio.open_unix_connection(self.upstream, limit=_LIMIT)
                self._open.add(engine[1])
                try:
                    await _Conversation(self, reader, writer, *engine).run()
                finally:
                    self._open.discard(engine[1])
                    engine[1].transport.abort()
        finally:
            self._open.discard(writer)
            self._streams.discard(writer)
            writer.close()

    def faults(self, call: str) -> list[Fault]:
        """Those of a call that is made now."""
        return [one.fault for one in self._sets if one.take(call)]

    def is_deaf(self, call: str) -> bool:
        """Also a stream that began before the fault was set."""
        return any(isinstance(one.fault, Deaf) and one.call in ("*", call) for one in self._sets)


@contextlib.asynccontextmanager
async def faulty_engine(path: Path, upstream: Path | str = ENGINE) -> AsyncIterator[FaultyEngine]:
    """`upstream` is the real engine's socket: a path, or a URL as `OwnEngine.url` is one."""
    real = Path(str(upstream).removeprefix("unix://"))
    engine = FaultyEngine(path, real)
    await engine.listen()
    try:
        yield engine
    finally:
        await engine.close()


@dataclass(slots=True)
class _Conversation:
    faulty: FaultyEngine
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    engine_reader: asyncio.StreamReader
    engine_writer: asyncio.StreamWriter

    async def run(self) -> None:
        while await self._exchange():
            pass

    async def _exchange(self) -> bool:
        """One request and its answer; False when the connection is done."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        body = b"".join([piece async for piece in _body(head, self.reader)])
        request = head.split(b"\r\n", 1)[0].decode().rpartition(" ")[0]
        call = _call_of(request.partition("?")[0])
        self.faulty.calls.append(Seen(call, request, asyncio.get_running_loop().time()))
        faults = self.faulty.faults(call)
        for fault in faults:
            match fault:
                case Slow(seconds):
                    await asyncio.sleep(seconds)
                case Refused(status, message):
                    return await self._say(status, orjson.dumps({"message": message}))
                case Garbage():
                    return await self._say(200, b'[{"Id": "tru')
                case Dropped():
                    return False
                case Hung():
                    return await self._never()
                case Frozen() if request in self.faulty._former:
                    return await self._say(200, self.faulty._former[request])
        self.engine_writer.write(head + body)
        return await self._answer(request, call, head, faults)

    async def _answer(self, request: str, call: str, asked: bytes, faults: list[Fault]) -> bool:
        head = await self.engine_reader.readuntil(b"\r\n\r\n")
        if head.split(None, 2)[1] == b"101":
            self.writer.write(head)
            return await self._tunnel()
        if asked.startswith(b"HEAD "):
            self.writer.write(head)
            return True
        kinds = {type(fault) for fault in faults}
        if kinds & {Lost, Silent}:
            async for _ in _body(head, self.engine_reader, is_answer=True):
                pass
            return False if Lost in kinds else await self._never()
        if call in ("events", "logs"):
            self.faulty._streams.add(self.writer)
        self.writer.write(head)
        kept = bytearray()
        async for piece in _body(head, self.engine_reader, is_answer=True, framed=True):
            if not self.faulty.is_deaf(call):
                self.writer.write(piece)
                await self.writer.drain()
            if call == "list":
                kept += piece
        if call == "list":
            self.faulty._former[request] = _unframed(head, bytes(kept))
        self.faulty._streams.discard(self.writer)
        return _header(head, b"connection") != b"close"

    async def _say(self, status: int, body: bytes) -> bool:
        self.writer.write(
            b"HTTP/1.1 %d Fault\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )
        await self.writer.drain()
        return True

    async def _never(self) -> bool:
        """Until the client has had enough."""
        await self.reader.read(1)
        return False

    async def _tunnel(self) -> bool:
        async with asyncio.TaskGroup() as group:
            up = group.create_task(_copy(self.reader, self.engine_writer), name="to the engine")
            await _copy(self.engine_reader, self.writer)
            up.cancel()
        return False


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()


async def _body(
    head: bytes, reader: asyncio.StreamReader, *, is_answer: bool = False, framed: bool = False
) -> AsyncIterator[bytes]:
    """The body after a head; chunks keep their framing, for who passes them on."""
    if _header(head, b"transfer-encoding") == b"chunked":
        async for piece in _chunks(reader):
            yield piece
        return
    length = _header(head, b"content-length")
    if length is not None:
        yield await reader.readexactly(int(length))
    elif is_answer and head.split(None, 2)[1] not in (b"204", b"304"):
        while data := await reader.read(65536):
            yield data


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line, 16)
        yield line + await reader.readexactly(size + 2)
        if size == 0:
            return


def _unframed(head: bytes, body: bytes) -> bytes:
    if _header(head, b"transfer-encoding") != b"chunked":
        return body
    whole = b""
    while body:
        line, _, body = body.partition(b"\r\n")
        whole, body = whole + body[: int(line, 16)], body[int(line, 16) + 2 :]
    return whole


def _header(head: bytes, name: bytes) -> bytes | None:
    found = re.search(rb"\r\n%b: *([^\r]*)" % name, head, re.IGNORECASE)
    return found[1].strip().lower() if found else None


def _call_of(request: str) -> str:
    return next((name for name, words in _CALLS if re.fullmatch(words, request)), "other")
