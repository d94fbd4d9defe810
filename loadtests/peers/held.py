"""Connections that are held while the memory of a freshly started proxy is watched."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loadtests.footprint import memory
from loadtests.peers.ground import MEBIBYTE

GET = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
POST = b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"
WARM_UP = 200
TRICKLE = 1024
TRICKLE_EVERY = 0.1

Connections = list[socket.socket]


@dataclass(frozen=True, slots=True)
class Grown:
    """What held connections cost, in KiB of PSS: before them, the most while they were held."""

    connections: int
    before: int
    most: int

    @property
    def each(self) -> float:
        return (self.most - self.before) / self.connections


@dataclass(frozen=True, slots=True)
class Holding:
    """So many connections, what each one does first, and what all of them do again and again."""

    name: str
    about: str
    connections: int
    begin: Callable[[socket.socket], None]
    again: Callable[[Connections], None]
    seconds: float


def _ask_once(connection: socket.socket) -> None:
    connection.sendall(GET % b"/")
    if not connection.recv(65_536).startswith(b"HTTP/1.1 200 "):
        raise ConnectionError("an idle connection's only request failed")


def _ask_for_much(connection: socket.socket) -> None:
    connection.sendall(GET % b"/files/100m")


def _announce_much(connection: socket.socket) -> None:
    connection.sendall(POST % (10 * MEBIBYTE))


def _nothing(connections: Connections) -> None:
    time.sleep(TRICKLE_EVERY)


def _trickle(connections: Connections) -> None:
    for connection in connections:
        connection.sendall(bytes(TRICKLE))
    time.sleep(TRICKLE_EVERY)


HOLDINGS = {
    holding.name: holding
    for holding in (
        Holding("idle-10k", "10,000 idle kept connections", 10_000, _ask_once, _nothing, 2.0),
        Holding("readers", "500 stop reading 100 MB answers", 500, _ask_for_much, _nothing, 4.0),
        Holding("senders", "500 send 1 KiB each 0.1 s", 500, _announce_much, _trickle, 4.0),
    )
}


def grown(holding: Holding, port: int, pid: int) -> Grown:
    """Raises OSError when the proxy refuses or closes one of the connections."""
    for _ in range(WARM_UP):
        with socket.create_connection(("127.0.0.1", port)) as one:
            _ask_once(one)
    before = most = memory(pid).pss
    with opened(port, holding.connections, holding.begin) as connections:
        until = time.perf_counter() + holding.seconds
        while time.perf_counter() < until:
            holding.again(connections)
            most = max(most, memory(pid).pss)
    return Grown(holding.connections, before, most)


@contextlib.contextmanager
def opened(port: int, count: int, begin: Callable[[socket.socket], None]) -> Iterator[Connections]:
    """Open them one after the other, and close them all at the end."""
    connections: Connections = []
    try:
        for _ in range(count):
            connections.append(socket.create_connection(("127.0.0.1", port), timeout=30))
            begin(connections[-1])
        yield connections
    finally:
        for one in connections:
            one.close()


def idle(port: int, count: int) -> contextlib.AbstractContextManager[Connections]:
    """Connections that asked once and then keep still."""
    return opened(port, count, _ask_once)
