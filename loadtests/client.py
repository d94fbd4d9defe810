"""One GET on a connection of its own, and the wait for a port: the two things timed here."""

import asyncio
import contextlib
import re
from dataclasses import dataclass

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
REQUEST = b"GET / HTTP/1.1\r\nHost: %b\r\nConnection: keep-alive\r\n\r\n"
FIRST_PAUSE = 0.001
LONGEST_PAUSE = 0.01
GROWTH = 1.2


class WrongAnswer(Exception):
    """The answer was not a 200 with a Content-Length."""


@dataclass(frozen=True, slots=True)
class Place:
    host: str
    port: int


async def get(place: Place, host: str) -> float:
    """Seconds from before the connect to the last byte of the answer. Raises WrongAnswer."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    reader, writer = await asyncio.open_connection(place.host, place.port)
    try:
        writer.write(REQUEST % host.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length(head))
        took = loop.time() - began
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if not head.startswith(b"HTTP/1.1 200 "):
        raise WrongAnswer((head + body).decode())
    return took


def _length(head: bytes) -> int:
    length = CONTENT_LENGTH.search(head)
    if length is None:
        raise WrongAnswer(head.decode())
    return int(length[1])


async def until_open(place: Place, within: float) -> None:
    """Connect from 1 ms on with a growing pause, until it works. Raises TimeoutError."""
    pause = FIRST_PAUSE
    async with asyncio.timeout(within):
        while not await _opens(place):
            await asyncio.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_PAUSE)


async def _opens(place: Place) -> bool:
    # A new container's network may swallow the first packet; the kernel sends another after 1 s.
    try:
        async with asyncio.timeout(0.05):
            _, writer = await asyncio.open_connection(place.host, place.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
