"""A small HTTP/1.1 server on plain sockets and threads, shared by the quickstart's applications.

Not a part of Tidegate: it stands for your own application. It starts in a few hundredths of a
second, keeps connections alive, frames bodies by Content-Length or by chunks, and ends honestly:
on SIGTERM it takes no new connection, finishes what it is answering, and exits with 0.
"""

import contextlib
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Final
from urllib.parse import parse_qs, urlsplit

PIECE: Final = 64 * 1024
REASONS: Final = {200: "OK", 400: "Bad Request", 404: "Not Found"}


@dataclass(slots=True)
class Request:
    """`body` yields the pieces as they arrive; field names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    fields: dict[str, str]
    body: Iterator[bytes]


@dataclass(slots=True)
class Response:
    """Bytes are sent with their Content-Length, anything else piece by piece in chunks."""

    body: bytes | Iterable[bytes]
    status: int = 200
    fields: dict[str, str] = field(default_factory=dict)


Application = Callable[[Request], Response]


def serve(application: Application, port: int) -> None:
    """Answer on all of 127.0.0.1 until SIGTERM or SIGINT."""
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    # A signal that comes just before the wait begins would be heard only after it: so each is
    # also written to a socket, and the wait is for that one as well (signal.set_wakeup_fd).
    told, telling = socket.socketpair()
    telling.setblocking(False)
    signal.set_wakeup_fd(telling.fileno())
    for name in (signal.SIGTERM, signal.SIGINT):
        # A second one ends the process at once.
        signal.signal(name, lambda number, _: signal.signal(number, signal.SIG_DFL))
    server = _Server(application)
    server.accept_until_told(listener, told)
    server.finish()


class _Server:
    """The open connections, and which of them are between two requests."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._idle: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self.ending = False

    def accept_until_told(self, listener: socket.socket, told: socket.socket) -> None:
        listener.setblocking(False)
        with listener:
            while told not in select.select([listener, told], [], [])[0]:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    continue  # whoever came has left already
                connection.setblocking(True)
                thread = threading.Thread(target=self._converse, args=(connection,))
                self._threads = {old for old in self._threads if old.is_alive()} | {thread}
                thread.start()

    def finish(self) -> None:
        """Let idle connections go at once and wait for the busy ones."""
        with self._lock:
            self.ending = True
            for connection in self._idle:
                # Its reader sees the end of the stream, as if the peer had left.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        for thread in self._threads:
            thread.join()

    def _converse(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as stream:
            try:
                while self._exchange(connection, stream):
                    pass
            except (OSError, EOFError, ValueError):
                pass  # the peer left or sent a broken body: closing is all the answer there is

    def _exchange(self, connection: socket.socket, stream: BufferedReader) -> bool:
        """One request and its answer; False when the connection has ended."""
        line = self._wait_for_request(connection, stream)
        if not line:
            return False
        try:
            request = _read_head(line, connection, stream)
        except ValueError as error:
            _send(connection, Response(f"{error}\n".encode(), 400), close=True, head=False)
            return False
        response = self._application(request)
        close = self.ending or request.fields.get("connection", "").lower() == "close"
        _send(connection, response, close=close, head=request.method == "HEAD")
        for _ in request.body:
            pass  # what the application left unread stands before the next request
        return not close

    def _wait_for_request(self, connection: socket.socket, stream: BufferedReader) -> bytes:
        with self._lock:
            if self.ending:
                return b""
            self._idle.add(connection)
        try:
            return stream.readline(PIECE)
        finally:
            with self._lock:
                self._idle.discard(connection)


def _read_head(line: bytes, connection: socket.socket, stream: BufferedReader) -> Request:
    """The request up to its body. Raises ValueError."""
    method, target, version = line.decode("latin-1").split()
    if version != "HTTP/1.1":
        raise ValueError("this server speaks HTTP/1.1")
    fields = {}
    while (line := stream.readline(PIECE)) not in (b"\r\n", b"\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise ValueError("malformed field line")
        fields[name.lower()] = value.strip()
    url = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    return Request(method, url.path, query, fields, _body(fields, connection, stream))


def _body(
    fields: dict[str, str], connection: socket.socket, stream: BufferedReader
) -> Iterator[bytes]:
    if fields.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(stream)
    return _counted(stream, int(fields.get("content-length", "0")))


def _counted(stream: BufferedReader, length: int) -> Iterator[bytes]:
    while length:
        piece = stream.read1(min(length, PIECE))
        if not piece:
            raise EOFError
        length -= len(piece)
        yield piece


def _chunks(stream: BufferedReader) -> Iterator[bytes]:
    while size := int(stream.readline(PIECE).split(b";")[0], 16):
        yield from _counted(stream, size)
        stream.readline(PIECE)
    while stream.readline(PIECE) not in (b"\r\n", b"\n", b""):
        pass  # trailer fields


def _send(connection: socket.socket, response: Response, *, close: bool, head: bool) -> None:
    fields = {"Content-Type": "text/plain; charset=utf-8"} | response.fields
    if close:
        fields["Connection"] = "close"
    if isinstance(response.body, bytes):
        fields["Content-Length"] = str(len(response.body))
        connection.sendall(_head(response.status, fields) + (b"" if head else response.body))
        return
    fields["Transfer-Encoding"] = "chunked"
    connection.sendall(_head(response.status, fields))
    if not head:
        for piece in filter(None, response.body):
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")


def _head(status: int, fields: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS[status]}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
