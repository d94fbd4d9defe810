"""Connecting quickly and quietly, on both event loops."""

import asyncio
import contextlib
import errno
import socket
import sys
import time
from typing import Any

import pytest

from cluster.model import Address
from health.connect import connected
from tests.support.lone_server import bound_but_closed, deaf_port, on_each_loop, serving, silence

# Seconds for which the kernel keeps its last packet of a handshake back (TCP_DELACK_MAX).
CONFIRMED_AFTER = 0.2
A_HOST_OF_OURS = "127.201.17.3"  # whose ports nobody else is given


@on_each_loop
async def test_an_open_port_is_reached() -> None:
    async with serving(silence) as address, connected(address) as sock:
        assert sock.getpeername() == (address.host, address.port)


@on_each_loop
async def test_a_closed_port_refuses() -> None:
    closed, address = bound_but_closed()
    with closed, pytest.raises(ConnectionRefusedError):
        async with connected(address):
            pass


@on_each_loop
async def test_a_name_is_tried_at_each_of_its_addresses() -> None:
    """`localhost` may be ::1 first, while the server has only 127.0.0.1."""
    async with (
        serving(silence) as address,
        connected(Address("localhost", address.port)) as sock,
    ):
        assert sock.getpeername()[1] == address.port


@on_each_loop
async def test_ipv6_is_reached() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        address = Address("::1", listener.getsockname()[1])
        async with connected(address) as sock:
            assert sock.family == socket.AF_INET6


async def test_an_impossible_name_is_an_os_error() -> None:
    with pytest.raises(socket.gaierror):
        async with connected(Address("a..b", 80)):
            pass


@pytest.mark.parametrize("port", [0, 65536])
async def test_an_impossible_port_is_an_os_error(port: int) -> None:
    with pytest.raises(OSError, match="is not a port"):
        async with connected(Address("127.0.0.1", port)):
            pass


async def test_on_one_host_no_turn_of_the_loop_passes() -> None:
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1

    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.get_running_loop().call_soon(count)
        async with connected(Address("127.0.0.1", listener.getsockname()[1]), unseen=True):
            assert turns == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_QUICKACK")
@on_each_loop
async def test_an_unseen_connection_is_never_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = Address("127.0.0.1", listener.getsockname()[1])
        for _ in range(200):
            begun = time.perf_counter()
            async with connected(address, unseen=True):
                pass
            if time.perf_counter() - begun > CONFIRMED_AFTER / 2:  # by the machine's fault
                with contextlib.suppress(BlockingIOError):
                    listener.accept()[0].close()
        with pytest.raises(BlockingIOError):
            listener.accept()
        # The listener is fine, and one that means it gets through.
        async with connected(address):
            listener.accept()[0].close()


class _Unlucky(socket.socket):
    """The kernel chose the very port it is to connect to."""

    def connect_ex(self, place: Any) -> int:
        with contextlib.suppress(OSError):
            self.bind(place)
        return super().connect_ex(place)


@pytest.mark.parametrize("unseen", [True, False])
async def test_a_connection_to_oneself_is_no_server(
    unseen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9293 §3.5: both ends may open at once, even when both are the same socket."""
    closed, elsewhere = bound_but_closed()
    closed.close()
    address = Address(A_HOST_OF_OURS, elsewhere.port)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", _Unlucky)
        with pytest.raises(ConnectionRefusedError):
            async with connected(address, unseen=unseen):
                pass
    # Nothing of it is left in TIME-WAIT: a replica can bind the port, with no SO_REUSEADDR.
    with socket.socket() as replica:
        replica.bind((address.host, address.port))


@on_each_loop
async def test_a_connection_given_up_leaves_no_descriptor() -> None:
    made: list[socket.socket] = []
    with deaf_port() as address, pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", _Recording.into(made))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), connected(address, unseen=True):
                pass
    assert [sock.fileno() for sock in made] == [-1]


class _Recording(socket.socket):
    made: list[socket.socket]

    def __init__(self, *arguments: int) -> None:
        super().__init__(*arguments)
        self.made.append(self)

    @classmethod
    def into(cls, made: list[socket.socket]) -> type["_Recording"]:
        return type("_RecordingInto", (cls,), {"made": made})


async def test_no_free_descriptor_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", exhausted)
    with pytest.raises(OSError, match="Too many open files"):
        async with connected(Address("127.0.0.1", 80)):
            pass
