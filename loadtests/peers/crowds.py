"""Clients that make work and never come to an end: `python -m loadtests.peers.crowds NAME PORT`,
on the core of the load. Each sends a piece ten times a second, and comes again when refused.
"""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from loadtests.peers.machine import LOAD_CORE, on_core

EVERY = 0.1
_STANDING = b"all are there\n"


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many clients, what each begins with, and what it goes on with."""

    clients: int
    begin: bytes
    piece: bytes

    def came(self, port: int) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", port))
        client.setblocking(False)
        client.send(self.begin)
        return client

    def again(self, client: socket.socket, port: int) -> socket.socket:
        try:
            client.send(self.piece)
        except BlockingIOError:
            return client
        except OSError:
            client.close()
            return self.came(port)
        return client


CROWDS = {
    "heads": Crowd(
        1000,
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"X-Endless: " + b"a" * 1011 + b"\r\n",
    ),
    "chunks": Crowd(
        50,
        b"POST /chunked HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\nx\r\n" * 1000,
    ),
}


@contextlib.contextmanager
def crowd(name: str, port: int) -> Iterator[None]:
    """One of them for the length of a block. Raises ChildProcessError."""
    command = [sys.executable, "-m", __name__, name, str(port)]
    program = subprocess.Popen(on_core(LOAD_CORE, command), stdout=subprocess.PIPE)
    with program:
        assert program.stdout is not None
        try:
            if program.stdout.readline() != _STANDING:
                raise ChildProcessError(f"the crowd ({name}) did not get in")
            yield
            if program.poll() is not None:
                raise ChildProcessError(f"the crowd ({name}) left before the load had ended")
        finally:
            program.terminate()


def main() -> None:
    one, port = CROWDS[sys.argv[1]], int(sys.argv[2])
    clients = [one.came(port) for _ in range(one.clients)]
    print(_STANDING.decode(), end="", flush=True)
    while True:
        began = time.perf_counter()
        clients = [one.again(client, port) for client in clients]
        time.sleep(max(0.0, EVERY - (time.perf_counter() - began)))


if __name__ == "__main__":
    main()
