"""Clients whose heads have no end: each sends 1 KiB of fields ten times a second, and comes again
when it is refused. `python -m loadtests.peers.endless PORT CLIENTS`, on the core of the load.
"""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from loadtests.peers.machine import LOAD_CORE, on_core

BEGIN = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
PIECE = b"X-Endless: " + b"a" * 1011 + b"\r\n"
EVERY = 0.1
_STANDING = b"all are there\n"


@contextlib.contextmanager
def endless(port: int, clients: int) -> Iterator[None]:
    """So many of them for the length of a block. Raises ChildProcessError."""
    command = [sys.executable, "-m", __name__, str(port), str(clients)]
    crowd = subprocess.Popen(on_core(LOAD_CORE, command), stdout=subprocess.PIPE)
    with crowd:
        assert crowd.stdout is not None
        try:
            if crowd.stdout.readline() != _STANDING:
                raise ChildProcessError("the clients with endless heads did not get in")
            yield
        finally:
            crowd.terminate()


def _came(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.setblocking(False)
    client.send(BEGIN)
    return client


def _again(client: socket.socket, port: int) -> socket.socket:
    """One more piece; whoever was refused comes anew."""
    try:
        client.send(PIECE)
    except BlockingIOError:
        return client
    except OSError:
        client.close()
        return _came(port)
    return client


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    clients = [_came(port) for _ in range(count)]
    print(_STANDING.decode(), end="", flush=True)
    while True:
        began = time.perf_counter()
        clients = [_again(client, port) for client in clients]
        time.sleep(max(0.0, EVERY - (time.perf_counter() - began)))


if __name__ == "__main__":
    main()
