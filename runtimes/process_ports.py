"""Free loopback ports for replicas, none given twice, by whatever Tidegate of this machine.

They are taken below the range from which the kernel serves outgoing connections. A port of that
range could be taken by any connection before the replica listens; and a connection to it that
happens to be given the very same port as its source is connected to itself (RFC 9293 §3.5,
simultaneous open), so that a probe would find a replica where there is none.

From when a port is given until its replica listens, another Tidegate would find it free as well. So
it is claimed by a name that all of them know: one in the abstract namespace of Unix sockets
(unix(7)), which is the network's own and ends with the process that has it. The port itself is left
alone: a server that does not set SO_REUSEADDR could not have it.
"""

import contextlib
import errno
import socket
from pathlib import Path

from cluster.runtime import RuntimeFailure

_LOWEST = 20_000
_TRIES = 1000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Ports:
    """Hands out ports in turn, so that a port is used again as late as possible."""

    def __init__(self, seed: int, lowest: int = _LOWEST, highest: int | None = None) -> None:
        """`seed` decides where to begin: two Tidegates on one machine shall not meet."""
        self._lowest = lowest
        self._count = max(1, (highest or _first_ephemeral() - 1) - lowest + 1)
        self._turn = seed % self._count
        self._taken: dict[int, socket.socket | None] = {}

    def take(self) -> int:
        """A port on which nothing listens. Raises RuntimeFailure(port-in-use), OSError."""
        for _ in range(min(_TRIES, self._count)):
            port = self._lowest + self._turn
            self._turn = (self._turn + 1) % self._count
            if port not in self._taken and (claim := _claimed(port)):
                self._taken[port] = claim
                return port
        highest = self._lowest + self._count - 1
        raise RuntimeFailure(
            "port-in-use", f"no free port from {self._lowest} to {highest}", transient=True
        )

    def claim(self, port: int) -> None:
        """It is in use by a replica that was adopted."""
        self._taken[port] = None

    def give_back(self, port: int) -> None:
        if claim := self._taken.pop(port, None):
            claim.close()

    def give_back_all(self) -> None:
        for port in list(self._taken):
            self.give_back(port)


def _claimed(port: int) -> socket.socket | None:
    """None where another one has it."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with contextlib.ExitStack() as undo:
        undo.callback(claim.close)
        try:
            claim.bind(f"\0tidegate-port-{port}")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return None
        if not _is_free(port):
            return None
        undo.pop_all()
    return claim


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that only lingers in TIME_WAIT is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _first_ephemeral() -> int:
    try:
        first = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError):
        return 32_768  # the kernel's default
    # An operator may have given nearly all ports to outgoing connections: then there is no better.
    return first if first > _LOWEST + 1000 else 61_000
