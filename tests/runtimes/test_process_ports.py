"""Ports for replicas: free, below the ephemeral range, none twice."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.runtime import RuntimeFailure
from runtimes.process_ports import Ports
from tests.support.held_ports import held_port


@contextlib.contextmanager
def giving(seed: int = 7, **bounds: int) -> Iterator[Ports]:
    ports = Ports(seed, **bounds)
    try:
        yield ports
    finally:
        ports.give_back_all()


def test_no_port_is_given_twice_until_it_is_given_back() -> None:
    with giving() as ports:
        taken = [ports.take() for _ in range(300)]
    assert len(set(taken)) == 300


def test_ports_are_below_those_of_outgoing_connections() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if first <= 21_000:
        pytest.skip("this machine gives nearly all ports to outgoing connections")
    for seed in range(0, 50_000, 500):
        with giving(seed) as ports:
            assert 20_000 <= ports.take() < first


def test_a_port_on_which_somebody_listens_is_not_given() -> None:
    with held_port() as port, giving(lowest=port, highest=port) as ports:
        with socket.create_server(("127.0.0.1", port)), pytest.raises(RuntimeFailure) as failure:
            ports.take()
        assert (failure.value.code, failure.value.transient) == ("port-in-use", True)
        assert ports.take() == port


def test_a_port_that_was_given_back_is_given_again_after_all_others() -> None:
    lowest = 20_000
    with giving(0, lowest=lowest, highest=lowest + 9) as ports:
        first, second = ports.take(), ports.take()
        ports.give_back(first)
        assert ports.take() not in {first, second}


def test_a_claimed_port_is_not_given() -> None:
    with held_port() as port, giving(lowest=port, highest=port) as ports:
        ports.claim(port)
        with pytest.raises(RuntimeFailure):
            ports.take()


def test_a_port_that_another_tidegate_has_just_given_is_not_given() -> None:
    """Its replica does not listen yet: nothing else shows that the port is not free."""
    with (
        held_port() as port,
        giving(lowest=port, highest=port) as other,
        giving(lowest=port, highest=port) as ours,
    ):
        assert other.take() == port
        with pytest.raises(RuntimeFailure):
            ours.take()
        other.give_back(port)
        assert ours.take() == port


def test_a_port_is_not_held_itself() -> None:
    """A server that does not set SO_REUSEADDR gets it."""
    with giving() as ports, socket.socket() as server:
        server.bind(("127.0.0.1", ports.take()))
        server.listen()
