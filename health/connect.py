"""One TCP connection, made as quickly and as quietly as the kernel allows.

This is on the wake path. On one host the kernel has decided before the call returns, so a second
look at the socket gives the answer with no turn of the event loop in between.
"""

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

from cluster.model import Address

_PENDING = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK})
_DONE = frozenset({0, errno.EISCONN})
_NO_LINGER = struct.pack("ii", 1, 0)
_Place = tuple[int, tuple[Any, ...]]  # address family, and the socket module's own address


@contextlib.asynccontextmanager
async def connected(address: Address, *, unseen: bool = False) -> AsyncIterator[socket.socket]:
    """A connected socket, closed on leaving. Raises OSError.

    `unseen`: the connection is only to prove that somebody listens. Where the system can (Linux)
    our last packet of the handshake is a reset, so that the replica never gets to accept it.
    HAProxy checks TCP ports in this way.
    """
    sock = await _first_that_answers(await _places(address), unseen=unseen)
    try:
        yield sock
    finally:
        sock.close()


async def _first_that_answers(places: list[_Place], *, unseen: bool) -> socket.socket:
    """Raises the last OSError when none does."""
    for family, place in places[:-1]:
        with contextlib.suppress(OSError):
            return await _open(family, place, unseen=unseen)
    family, place = places[-1]
    return await _open(family, place, unseen=unseen)


async def _open(family: int, place: tuple[Any, ...], *, unseen: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if unseen:
            _be_unseen(sock)
        await _connect(sock, place)
        _refuse_own_echo(sock)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect(sock: socket.socket, place: tuple[Any, ...]) -> None:
    code = sock.connect_ex(place)
    if code in _PENDING:
        code = sock.connect_ex(place)
    if code in _PENDING:
        await asyncio.get_running_loop().sock_connect(sock, place)
    elif code not in _DONE:
        raise OSError(code, os.strerror(code))


def _be_unseen(sock: socket.socket) -> None:
    if hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def _refuse_own_echo(sock: socket.socket) -> None:
    # While nobody listens on a port of the ephemeral range, the kernel may choose that very port
    # as ours, and the socket is then connected to itself (RFC 9293 §3.5, simultaneous open).
    if sock.getsockname() == sock.getpeername():
        # Without a reset the port would stay in TIME-WAIT and the replica could not bind it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


async def _places(address: Address) -> list[_Place]:
    """Where to connect: no look-up for an address in digits. Raises OSError."""
    if not 0 < address.port < 65536:
        raise OSError(errno.EINVAL, f"{address.port} is not a port")
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, address.host)
            return [(family, (address.host, address.port))]
    return await _looked_up(address)


async def _looked_up(address: Address) -> list[_Place]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "not a valid host name") from error
    return [(family, place) for family, _, _, _, place in found]
