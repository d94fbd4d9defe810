"""A small HTTP/1.1 server to stand behind a gateway: it does on request what replicas do.

Standard library only, and only what loads fast (no asyncio, no http.server): it starts in about
the time that Python itself needs. One thread for each connection; keep-alive.

    /                the host's name                /echo         the request's body
    /sleep?ms=N      answers after N ms             /status/NNN   answers with that status
    /stream?chunks=N&ms=M&size=S   N chunks of S bytes, M ms apart
    /tunnel          switches protocols, and gives back every byte
    /websocket       a WebSocket that gives back every frame, a Close included, and then ends
    /cut?size=S      promises more than it sends    /drop         closes without an answer
    /ready /live     200 or 503                     /toggle/ready /toggle/live
    /exit?code=N     ends at once                   /memory?mib=N takes N MiB and keeps it
    /env?name=X      an environment variable
    /stats           JSON: in_flight, most_in_flight, served; and of /sleep alone, before its
                     answer is sent (so that the next may come): asleep, most_asleep

From the environment: PORT; START_DELAY seconds before it listens; FAIL_READY_FILE: not ready while
this file exists; RESPONSE_MS before each answer; INSTEAD: a folder, and while it has a file with
PORT as its name, / does what the path in it does; SLOTS: so many of /sleep at once, others wait;
IGNORE_TERM=1: only SIGKILL ends it; TERM_AT_ONCE=1: SIGTERM ends it whatever it is doing.
On SIGTERM it stops listening, finishes what is in flight, and ends with code 0.
"""

import os
import select
import signal
import socket
import threading
import time


class Replica:
    """State that requests share."""

    def __init__(self) -> None:
        self.switches = {"ready": True, "live": True}
        self.lock = threading.Lock()
        self.in_flight = 0
        self.most_in_flight = 0
        self.asleep = 0
        self.most_asleep = 0
        self.served = 0
        self.stopping = False
        self.kept: list[bytearray] = []
        self.slots = threading.Semaphore(int(os.environ.get("SLOTS", "100000")))

    def enter(self) -> None:
        with self.lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def sleep(self, seconds: float) -> None:
        with self.slots:
            with self.lock:
                self.asleep += 1
                self.most_asleep = max(self.most_asleep, self.asleep)
            time.sleep(seconds)
            with self.lock:
                self.asleep -= 1

    def leave(self) -> None:
        with self.lock:
            self.in_flight -= 1
            self.served += 1

    def stats(self) -> str:
        return (
            f'{{"in_flight": {self.in_flight}, "most_in_flight": {self.most_in_flight}, '
            f'"served": {self.served}, '
            f'"asleep": {self.asleep}, "most_asleep": {self.most_asleep}}}'
        )


class Connection:
    """One client connection, request after request."""

    def __init__(self, replica: Replica, peer: socket.socket) -> None:
        self.replica = replica
        self.peer = peer
        self.reader = peer.makefile("rb")
        self.open = True

    def serve(self) -> None:
        try:
            while self.open and (line := self.reader.readline()):
                self.replica.enter()
                try:
                    self.exchange(line)
                finally:
                    self.replica.leave()
        except (ConnectionError, ValueError):
            pass
        finally:
            self.reader.close()
            self.peer.close()

    def exchange(self, line: bytes) -> None:
        target = instead_of(line.split()[1].decode("latin-1"))
        fields = self.fields()
        body = self.body(fields)
        if fields.get("connection", "").lower() == "close" or b"HTTP/1.0" in line:
            self.open = False
        path, _, query = target.partition("?")
        asked = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
        time.sleep(float(os.environ.get("RESPONSE_MS", "0")) / 1000)
        self.route(path, asked, body)

    def fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while (line := self.reader.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        return fields

    def body(self, fields: dict[str, str]) -> bytes:
        if fields.get("expect", "").lower() == "100-continue":
            self.peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if fields.get("transfer-encoding", "").lower() != "chunked":
            return self.reader.read(int(fields.get("content-length", "0")))
        body = b""
        while size := int(self.reader.readline().split(b";")[0], 16):
            body += self.reader.read(size)
            self.reader.readline()
        self.fields()
        return body

    def route(self, path: str, asked: dict[str, str], body: bytes) -> None:
        first, _, rest = path.strip("/").partition("/")
        match first:
            case "":
                self.answer(200, socket.gethostname())
            case "echo":
                self.answer(200, body)
            case "sleep":
                self.replica.sleep(float(asked.get("ms", "0")) / 1000)
                self.answer(200, "slept")
            case "status":
                self.answer(int(rest), f"status {rest}")
            case "stream":
                self.stream(**{name: int(value) for name, value in asked.items()})
            case "ready" | "live":
                self.probe(first)
            case "toggle":
                self.replica.switches[rest] = not self.replica.switches[rest]
                self.answer(200, str(self.replica.switches[rest]))
            case "env":
                self.answer(200, os.environ.get(asked["name"], ""))
            case "stats":
                self.answer(200, self.replica.stats())
            case _:
                self.misbehave(first, asked)

    def misbehave(self, how: str, asked: dict[str, str]) -> None:
        match how:
            case "exit":
                os._exit(int(asked.get("code", "0")))
            case "memory":
                self.replica.kept.append(bytearray(os.urandom(1024)) * (int(asked["mib"]) << 10))
                self.answer(200, "kept")
            case "drop":
                self.open = False
            case "tunnel":
                self.tunnel()
            case "websocket":
                self.websocket(asked["key"])
            case "cut":
                size = int(asked.get("size", "10"))
                self.peer.sendall(_head(200, f"Content-Length: {size + 1}") + b"x" * size)
                self.open = False
            case _:
                self.answer(404, "no such path")

    def probe(self, kind: str) -> None:
        file = os.environ.get("FAIL_READY_FILE")
        failing = kind == "ready" and file is not None and os.path.exists(file)
        fine = self.replica.switches[kind] and not failing
        self.answer(200 if fine else 503, kind if fine else f"not {kind}")

    def tunnel(self) -> None:
        self.peer.sendall(_head(101, "Connection: Upgrade", "Upgrade: echo"))
        while data := self.peer.recv(4096):
            self.peer.sendall(data)
        self.open = False

    def websocket(self, key: str) -> None:
        """RFC 6455 §5, for short frames; the accepted key comes from whoever asks for it."""
        accepted = f"Sec-WebSocket-Accept: {key}"
        self.peer.sendall(_head(101, "Connection: Upgrade", "Upgrade: websocket", accepted))
        self.open = False
        while head := self.reader.read(2):
            mask, size = self.reader.read(4), head[1] & 0x7F
            masked = self.reader.read(size)
            plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))
            self.peer.sendall(bytes((head[0], size)) + plain)
            if head[0] & 0x0F == 8:
                return

    def stream(self, chunks: int = 3, ms: int = 10, size: int = 10) -> None:
        self.peer.sendall(_head(200, "Transfer-Encoding: chunked"))
        for _ in range(chunks):
            self.peer.sendall(b"%x\r\n%b\r\n" % (size, b"x" * size))
            time.sleep(ms / 1000)
        self.peer.sendall(b"0\r\n\r\n")

    def answer(self, status: int, body: bytes | str) -> None:
        data = body.encode() if isinstance(body, str) else body
        if self.replica.stopping:
            self.open = False
        length = f"Content-Length: {len(data)}"
        self.peer.sendall(_head(status, length if self.open else f"{length}\r\nConnection: close"))
        if status >= 200 and status not in (204, 304):
            self.peer.sendall(data)


def instead_of(target: str) -> str:
    """One of several replicas of a service is told apart by its port."""
    folder = os.environ.get("INSTEAD")
    if folder is None or target != "/":
        return target
    try:
        with open(os.path.join(folder, os.environ["PORT"])) as file:
            return file.read().strip()
    except FileNotFoundError:
        return target


def _head(status: int, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} -", *lines, "", ""]).encode("latin-1")


def main() -> None:
    replica = Replica()
    delay = float(os.environ.get("START_DELAY", "0"))
    ending = _end_on_sigterm()
    if select.select([ending], [], [], delay)[0]:
        return
    listener = socket.create_server(("", int(os.environ.get("PORT", "8080"))), backlog=512)
    threading.Thread(target=_accept, args=(replica, listener), daemon=True).start()
    select.select([ending], [], [])
    replica.stopping = True
    listener.shutdown(socket.SHUT_RDWR)
    while replica.in_flight:
        time.sleep(0.005)


def _end_on_sigterm() -> int:
    """Can be read from then on. A threading.Event could be locked just then by the very wait that
    the signal interrupts, and its setting would wait for ever."""
    ending, told = os.pipe()
    if os.environ.get("IGNORE_TERM") == "1":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif os.environ.get("TERM_AT_ONCE") == "1":
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    else:
        signal.signal(signal.SIGTERM, lambda *_: os.write(told, b"."))
    return ending


def _accept(replica: Replica, listener: socket.socket) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Connection(replica, peer).serve, daemon=True).start()


if __name__ == "__main__":
    main()
