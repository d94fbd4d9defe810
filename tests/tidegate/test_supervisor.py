"""What a service manager gives, and whom it is meant for."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tidegate.supervisor import Supervisor, listens


@pytest.mark.parametrize(
    ("bound", "written", "does"),
    [
        (("127.0.0.1", "{}"), "127.0.0.1:{}", True),
        (("127.0.0.1", "{}"), "localhost:{}", True),
        (("127.0.0.1", "{}"), "0.0.0.0:{}", False),
        (("127.0.0.1", "{}"), "127.0.0.2:{}", False),
        (("127.0.0.1", "{}"), "127.0.0.1:1", False),
        (("127.0.0.1", "{}"), "127.0.0.1:0", False),
        (("0.0.0.0", "{}"), "0.0.0.0:{}", True),
        (("0.0.0.0", "{}"), ":{}", True),
        (("::1", "{}"), "[::1]:{}", True),
        (("::", "{}"), "0.0.0.0:{}", True),
        (("::", "{}"), "[::]:{}", True),
    ],
)
def test_a_socket_is_for_the_address_it_listens_on(
    bound: tuple[str, str], written: str, does: bool
) -> None:
    with listening(bound[0]) as one:
        assert listens(one, written.format(one.getsockname()[1])) is does


@contextlib.contextmanager
def listening(host: str) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::"
    with socket.create_server((host, 0), family=family, dualstack_ipv6=both) as one:
        yield one


def test_what_is_meant_for_another_process_is_left_alone() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "HOME": "/"}
    supervisor = Supervisor.of(environ, 4711)
    assert supervisor.sockets == []
    assert environ == {"HOME": "/"}
    supervisor.ready("nobody hears it")


def test_each_socket_is_given_once_and_what_nobody_wants_is_told() -> None:
    first, second = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{first.getsockname()[1]}"
    with first, second:
        supervisor = Supervisor(None, [first, second])
        assert supervisor.take([address, "127.0.0.1:0"]) == {address: [first]}
        assert supervisor.take([address]) == {}
        name = str(second.getsockname())
        assert supervisor.unclaimed() == [name]
        assert supervisor.sockets == []
