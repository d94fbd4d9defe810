"""A place is free before its client can know: the next request may reach another process at once.

Real sockets; the tokens of the replica look at what the client could have read when they are given.
"""

import asyncio
import socket

import pytest

from gateway.dispatch import Dispatcher
from gateway.exchange import Exchange
from tests.support.raw_http import Call, Script, Stage, always, get, once, stage

LAST = 5  # bytes that come alone
END = b"the end"
LAST_CHUNK = b"0\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"
WHOLE = HEAD + b"Content-Length: 7\r\n\r\n" + END
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n7\r\nthe end\r\n" + LAST_CHUNK
TO_THE_CLOSE = HEAD + b"Connection: close\r\n\r\n" + END


class Place:
    """Implements gateway.peers.Tokens: one place. Each `give` notes what the client could read."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.is_free = True
        self.seen: list[bytes] = []

    def take(self, since: int) -> bool:
        taken, self.is_free = self.is_free, False
        return taken

    def adopt(self, count: int) -> None:
        raise AssertionError("nothing is in flight yet")

    def give(self) -> None:
        assert not self.is_free, "given twice"
        self.is_free = True
        try:
            self.seen.append(self.client.recv(65536, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            self.seen.append(b"")


class Alone:
    """Implements gateway.peers.Peers: no other process is there, but each place is a token."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def tokens(self, replica: str) -> Place:
        return self.place

    def stamp(self) -> int:
        return 2

    def waiting(self, since: int) -> None:
        pass


def dispatcher_of(s: Stage) -> Dispatcher[Exchange]:
    context = s.gateway._context
    route = context.table.match(b"web.test", b"/")
    assert route is not None
    return (route.destination or context.destination(route)).dispatcher


async def read_until(client: socket.socket, end: bytes) -> bytes:
    data = b""
    async with asyncio.timeout(30):
        while not data.endswith(end):
            part = await asyncio.get_running_loop().sock_recv(client, 65536)
            assert part, data
            data += part
    return data


def in_pieces(answer: bytes, *, close: bool = False) -> Script:
    """The last bytes come alone."""

    async def script(call: Call) -> None:
        while not close or not call.replica.heads:
            await call.request()
            await call.send(answer[:-LAST])
            await asyncio.sleep(0.02)
            await call.send(answer[-LAST:])

    return script


@pytest.mark.parametrize(
    ("script", "request_", "end"),
    [
        (always(WHOLE), get(), END),
        (always(WHOLE), get("/", method="HEAD"), b"\r\n\r\n"),
        (always(CHUNKED), get(), LAST_CHUNK),
        (in_pieces(WHOLE), get(), END),
        (in_pieces(CHUNKED), get(), LAST_CHUNK),
        (once(TO_THE_CLOSE), get(), LAST_CHUNK),
        (in_pieces(TO_THE_CLOSE, close=True), get(), LAST_CHUNK),
        (always(CHUNKED), b"GET / HTTP/1.0\r\nHost: web.test\r\n\r\n", END),
        (always(b"nonsense\r\n\r\n"), get(), b"}"),
    ],
    ids=[
        "whole", "without a body", "chunked", "in parts", "chunked, in parts", "to the close",
        "in parts, to the close", "to a client of HTTP/1.0", "no answer",
    ],
)  # fmt: skip
async def test_the_place_is_free_before_the_last_byte_is_sent(
    script: Script, request_: bytes, end: bytes
) -> None:
    async with stage(script, concurrency=1) as s:
        with socket.create_connection(("127.0.0.1", s.port)) as client:
            client.setblocking(False)
            place = Place(client)
            dispatcher_of(s).share(Alone(place))
            await asyncio.get_running_loop().sock_sendall(client, request_)
            await read_until(client, end)
            assert place.is_free
            (seen,) = place.seen
            assert not seen.endswith(end[-LAST:]), "the client could know before"


async def test_many_in_turn_give_back_as_often_as_they_take() -> None:
    async with stage(always(WHOLE), concurrency=1) as s:
        with socket.create_connection(("127.0.0.1", s.port)) as client:
            client.setblocking(False)
            place = Place(client)
            dispatcher_of(s).share(Alone(place))
            for number in range(1, 21):
                await asyncio.get_running_loop().sock_sendall(client, get())
                await read_until(client, END)
                assert (place.is_free, len(place.seen)) == (True, number)
            (slot,) = dispatcher_of(s).slots
            assert (slot.in_flight, slot.held) == (0, 0)
