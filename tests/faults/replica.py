"""What stands behind the gateway while faults happen: it keeps a ledger of what reached it.

Standard library only, and only what loads fast: it runs in containers and must start quickly. One
thread for each connection.

A request has `X-Probe: <id>`; `?ms=N` is how long it takes, `?parts=N` in how many pieces its
answer comes, `&size=N` of so many bytes. The answer is `<id> <replica> <bytes of the body>
<checksum of the body>`. In the ledger (LEDGER/<replica>.txt, one line for each fact, written before
anybody can know of it):

    got <id> <method> <bytes> <seconds>      the whole request is here
    did <id> <method> <bytes> <seconds>      its side effect has happened; POST, PUT, DELETE
    ans <id> <method> <bytes> <seconds>      the first byte of an answer leaves now

Seconds are the machine's monotonic clock. `/fault/<how>`, asked of a replica's own address, makes
it sick from the next request on: error (answers 500), silent (reads and never answers), reset
(resets after the request), cut (resets after its answer's head), memory (takes it until it is
killed), exit. `/fault/none` heals it. `/live` is always answered; `/facts` is its process id.

From the environment: PORT; TIDEGATE_REPLICA; LEDGER; START=exit (ends with 3 at once), deaf (never
listens) or ill (ends with 4 after EXIT_AFTER seconds); TALK: it writes to its output each time.
"""

import os
import select
import signal
import socket
import struct
import sys
import threading
import time
import zlib

_EFFECTS = (b"POST", b"PUT", b"DELETE")


class Ledger:
    """Lines that are on their way to the disk before the fact is known to others: a killed
    process loses none that it has written."""

    def __init__(self) -> None:
        self.replica = os.environ.get("TIDEGATE_REPLICA", "alone")
        folder = os.environ.get("LEDGER", "/tmp")
        mode = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self.file = os.open(f"{folder}/{self.replica}.txt", mode, 0o666)

    def note(self, fact: str, probe: str, method: bytes, size: int) -> None:
        line = f"{fact} {probe} {method.decode()} {size} {time.perf_counter():.6f}\n"
        os.write(self.file, line.encode())


class Shared:
    def __init__(self) -> None:
        self.ledger = Ledger()
        self.sickness = "none"
        self.in_flight = 0
        self.lock = threading.Lock()

    def enter(self, step: int) -> None:
        with self.lock:
            self.in_flight += step


class Connection:
    """One client connection, request after request."""

    def __init__(self, shared: Shared, peer: socket.socket) -> None:
        self.shared, self.peer, self.reader = shared, peer, peer.makefile("rb")
        self.open = True

    def serve(self) -> None:
        try:
            while self.open and (line := self.reader.readline()):
                self.shared.enter(1)
                try:
                    self.exchange(line)
                finally:
                    self.shared.enter(-1)
        except (OSError, ValueError):
            pass
        finally:
            self.reader.close()
            self.peer.close()

    def exchange(self, line: bytes) -> None:
        method, target, _ = line.split(b" ", 2)
        path, _, query = target.decode("latin-1").partition("?")
        fields = self.fields()
        body = self.reader.read(int(fields.get("content-length", "0")))
        self.open = fields.get("connection", "").lower() != "close"
        if path == "/live":
            self.answer(b"200 OK", b"live")
        elif path == "/facts":
            self.answer(b"200 OK", b"%d" % os.getpid())
        elif path.startswith("/fault/"):
            self.fall_ill(path.removeprefix("/fault/"))
        elif fields.get("upgrade"):
            self.tunnel()
        else:
            asked = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
            self.work(method, fields.get("x-probe", "-"), body, asked)

    def fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while (line := self.reader.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        return fields

    def work(self, method: bytes, probe: str, body: bytes, asked: dict[str, str]) -> None:
        ledger, sickness = self.shared.ledger, self.shared.sickness
        ledger.note("got", probe, method, len(body))
        if "TALK" in os.environ:
            print(probe * 100, flush=True)  # as careless as programs are
        if sickness == "silent":
            threading.Event().wait()
        elif sickness == "reset":
            self.reset()
            return
        time.sleep(int(asked.get("ms", "0")) / 1000)
        if method in _EFFECTS and sickness != "error":
            ledger.note("did", probe, method, len(body))
        ledger.note("ans", probe, method, len(body))
        if sickness == "error":
            self.answer(b"500 Internal Server Error", b"ill")
            return
        text = f"{probe} {ledger.replica} {len(body)} {zlib.crc32(body)}".encode()
        parts = int(asked.get("parts", "1"))
        if sickness == "cut":
            self.head(b"200 OK", len(text) + 1)
            self.reset()
        elif parts == 1:
            self.answer(b"200 OK", text if method != b"HEAD" else b"")
        else:
            size, pause = int(asked.get("size", "64")), float(asked.get("pause", "10"))
            self.stream(text, parts, b"x" * size, pause / 1000)

    def head(self, status: bytes, length: int, extra: bytes = b"") -> None:
        self.peer.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n" % (status, length, extra))

    def answer(self, status: bytes, body: bytes) -> None:
        self.peer.sendall(
            b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
        )

    def stream(self, text: bytes, parts: int, filling: bytes, pause: float) -> None:
        """The text, then filling, in chunks."""
        self.peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(parts):
            piece = text if number == 0 else filling
            self.peer.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            time.sleep(pause)
        self.peer.sendall(b"0\r\n\r\n")

    def tunnel(self) -> None:
        self.peer.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        while data := self.peer.recv(4096):
            self.peer.sendall(data)
        self.open = False

    def reset(self) -> None:
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.open = False

    def fall_ill(self, how: str) -> None:
        self.answer(b"200 OK", how.encode())
        if how == "exit":
            os._exit(7)
        self.shared.sickness = how
        if how == "memory":
            threading.Thread(target=_take_memory, daemon=True).start()


def _take_memory() -> None:
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1024)) * 4096)
        time.sleep(0.002)


def _accept(shared: Shared, listener: socket.socket) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Connection(shared, peer).serve, daemon=True).start()


def main() -> None:
    start = os.environ.get("START", "")
    if start == "exit":
        sys.exit(3)
    # An event could be locked by the wait that the signal interrupts; a pipe is not.
    ending, told = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(told, b"."))
    if start == "deaf":
        os.read(ending, 1)
        return
    shared = Shared()
    listener = socket.create_server(("", int(os.environ.get("PORT", "8080"))), backlog=1024)
    threading.Thread(target=_accept, args=(shared, listener), daemon=True).start()
    patience = float(os.environ.get("EXIT_AFTER", "5"))
    if start == "ill" and not select.select([ending], [], [], patience)[0]:
        os._exit(4)
    os.read(ending, 1)
    listener.shutdown(socket.SHUT_RDWR)
    while shared.in_flight:
        time.sleep(0.005)


if __name__ == "__main__":
    main()
