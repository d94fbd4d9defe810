"""Ports for replicas: free, below the ephemeral range, none twice."""

import socket
from pathlib import Path

import pytest

from cluster.runtime import RuntimeFailure
from runtimes.process_ports import Ports
from tests.support.held_ports import held_port


def test_no_port_is_given_twice_until_it_is_given_back() -> None:
    ports = Ports(seed=7)
    taken = [ports.take() for _ in range(300)]
    assert len(set(taken)) == 300


def test_ports_are_below_those_of_outgoing_connections() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if first <= 21_000:
        pytest.skip("this machine gives nearly all ports to outgoing connections")
    assert all(20_000 <= Ports(seed).take() < first for seed in range(0, 50_000, 500))


def test_a_port_on_which_somebody_listens_is_not_given() -> None:
    with held_port() as port:
        ports = Ports(0, lowest=port, highest=port)
        with socket.create_server(("127.0.0.1", port)), pytest.raises(RuntimeFailure) as failure:
            ports.take()
        assert (failure.value.code, failure.value.transient) == ("port-in-use", True)
        assert ports.take() == port


def test_a_port_that_was_given_back_is_given_again_after_all_others() -> None:
    lowest = 20_000
    ports = Ports(0, lowest=lowest, highest=lowest + 9)
    first, second = ports.take(), ports.take()
    ports.give_back(first)
    assert ports.take() not in {first, second}


def test_a_claimed_port_is_not_given() -> None:
    with held_port() as port:
        ports = Ports(0, lowest=port, highest=port)
        ports.claim(port)
        with pytest.raises(RuntimeFailure):
            ports.take()
