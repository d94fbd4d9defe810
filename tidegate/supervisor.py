"""What a service manager gives us and is told: sockets that listen already (sd_listen_fds(3)), and
where we are (sd_notify(3)).

Nothing of it is passed on to replicas, which would speak in our name.
"""

import contextlib
import socket
import time
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Self

from config.addresses import split

_FIRST = 3  # SD_LISTEN_FDS_START
_ANY = {"": "0.0.0.0", "*": "::"}


class Supervisor:
    """None there: nothing is given, and nobody is told."""

    def __init__(self, notify: str | None, sockets: Iterable[socket.socket] = ()) -> None:
        self._notify = notify
        self.sockets = list(sockets)

    @classmethod
    def of(cls, environ: MutableMapping[str, str], pid: int) -> Self:
        """Takes from the environment what is meant for us."""
        notify = environ.pop("NOTIFY_SOCKET", None)
        meant_for, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "0")
        environ.pop("LISTEN_FDNAMES", None)
        if meant_for != str(pid) or not count.isdigit():
            return cls(notify)
        sockets = [socket.socket(fileno=_FIRST + number) for number in range(int(count))]
        for one in sockets:
            one.set_inheritable(False)
        return cls(notify, sockets)

    def environment(self) -> Mapping[str, str]:
        """For whoever takes our place."""
        return {"NOTIFY_SOCKET": self._notify} if self._notify else {}

    def take(self, addresses: Iterable[str]) -> dict[str, list[socket.socket]]:
        """Those that listen there, by what the file calls them; they are the caller's now."""
        taken: dict[str, list[socket.socket]] = {}
        for address in addresses:
            if found := [one for one in self.sockets if listens(one, address)]:
                taken[address] = found
                self.sockets = [one for one in self.sockets if one not in found]
        return taken

    def unclaimed(self) -> list[str]:
        """Addresses of sockets that nothing in the file asks for; they are closed."""
        names = [str(one.getsockname()) for one in self.sockets]
        for one in self.sockets:
            one.close()
        self.sockets.clear()
        return names

    def ready(self, status: str) -> None:
        self._say("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        # sd_notify(3) wants the very clock that it names.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._say("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def replaced(self, pid: int) -> None:
        """Another process is the main one from now on."""
        self._say(f"MAINPID={pid}")

    def _say(self, *words: str) -> None:
        if self._notify is None:
            return
        name = f"\0{self._notify[1:]}" if self._notify.startswith("@") else self._notify
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.setblocking(False)
            end.sendto("\n".join(words).encode(), name)


def listens(one: socket.socket, address: str) -> bool:
    """Whether a socket listens where the file says."""
    if one.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    host, port = split(address)
    there, its_port = one.getsockname()[:2]
    if port != its_port or not port:
        return False
    host = _ANY.get(host, host)
    if there == "::" and host == "0.0.0.0":
        return not one.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    with contextlib.suppress(OSError):
        names = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return there in {name[4][0] for name in names}
    return False
