"""Bridges that keep their address, so that no answer of a container gets lost.

A bridge that was given no address takes the lowest among those of its ports, and another one when
that port leaves, which is when any container ends (Linux, br_stp_recalculate_bridge_id). The others
go on sending to the former address, which is nobody's now, until they ask for it again: an answer
that was due then is over ten seconds late, and is lost for good where its sender has ended by then.
Docker gives an address to the bridges that it makes, and none to one that it finds.
"""

import os
import secrets
import subprocess
from pathlib import Path

DEADLINE = 30.0
_GIVEN = "3"  # NET_ADDR_SET in linux/netdevice.h


def make(name: str, subnet: str) -> None:
    """One that is up, has an address of its own, and is `subnet`.1/24 (as in 10.213.7)."""
    ip("link", "add", name, "address", _any_address(), "type", "bridge")
    ip("addr", "add", f"{subnet}.1/24", "dev", name)
    ip("link", "set", name, "up")


def keeps_address(name: str) -> bool:
    return _fact(name, "addr_assign_type") == _GIVEN


def settle(name: str) -> str:
    """Let it keep the address that it has: nothing that is connected notices. What is wrong, if
    that may not be done; a bridge of another machine is left alone."""
    if not _place(name).exists() or keeps_address(name):
        return ""
    remedy = f"ip link set {name} address {_fact(name, 'address')}"
    if os.geteuid() != 0:
        return f"answers get lost: the bridge {name} has no address of its own; as root: {remedy}"
    ip(*remedy.split()[1:])
    return ""


def ip(*words: str) -> "subprocess.CompletedProcess[str]":
    """`ip` of iproute2, which must succeed."""
    return subprocess.run(
        ["ip", *words], check=True, text=True, capture_output=True, timeout=DEADLINE
    )


def _any_address() -> str:
    """For one machine (its first byte has the bit of the locally administered, IEEE 802 §8.2)."""
    return ":".join(["02", *(f"{byte:02x}" for byte in secrets.token_bytes(5))])


def _fact(name: str, fact: str) -> str:
    return (_place(name) / fact).read_text().strip()


def _place(name: str) -> Path:
    return Path("/sys/class/net") / name
