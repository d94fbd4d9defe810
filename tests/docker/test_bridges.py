"""Bridges keep their address when a container ends (tests/support/bridges.py): else answers of the
others are lost, and a test waits for them in vain."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import bridges

pytestmark = pytest.mark.docker

LOWEST = "02:00:00:00:00:01"
Maker = Callable[[str], object]


def plain(name: str) -> None:
    bridges.ip("link", "add", name, "type", "bridge")


def settled(name: str) -> None:
    plain(name)
    assert bridges.settle(name) == ""


def made(name: str) -> None:
    bridges.make(name, "10.254.254")


@contextlib.contextmanager
def bridge_of(maker: Maker) -> Iterator[str]:
    name = f"tide{uuid.uuid4().hex[:8]}"
    maker(name)
    try:
        yield name
    finally:
        bridges.ip("link", "del", name)


@contextlib.contextmanager
def port_of(bridge: str) -> Iterator[None]:
    """A port with a lower address than any other comes and goes."""
    port = f"tide{uuid.uuid4().hex[:8]}"
    bridges.ip("link", "add", port, "address", LOWEST, "type", "veth", "peer", "name", f"{port}p")
    try:
        bridges.ip("link", "set", port, "master", bridge)
        yield
    finally:
        bridges.ip("link", "del", port)


def address_of(bridge: str) -> str:
    return Path(f"/sys/class/net/{bridge}/address").read_text().strip()


@pytest.mark.parametrize("maker", [made, settled])
def test_it_keeps_its_address(docker_engine: str, maker: Maker) -> None:
    with bridge_of(maker) as bridge:
        before = address_of(bridge)
        with port_of(bridge):
            assert address_of(bridge) == before
        assert address_of(bridge) == before


def test_one_that_was_given_none_takes_that_of_a_port(docker_engine: str) -> None:
    """What goes wrong without: the other tests here could not fail otherwise."""
    with bridge_of(plain) as bridge:
        assert not bridges.keeps_address(bridge)
        with port_of(bridge):
            assert address_of(bridge) == LOWEST
        assert address_of(bridge) != LOWEST


def test_what_is_not_here_is_left_alone() -> None:
    assert bridges.settle("tide-nowhere") == ""


def test_who_may_not_is_told_what_to_do(
    docker_engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bridge_of(plain) as bridge:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        trouble = bridges.settle(bridge)
        assert f"ip link set {bridge} address {address_of(bridge)}" in trouble
        assert not bridges.keeps_address(bridge)
