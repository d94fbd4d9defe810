"""What two control processes say to each other while one takes the other's place.

One JSON line each over a socket that the new one inherited:

    new → old   prepared             its file is good; nothing was touched so far
    old → new   go, with sockets     the old one acts no more, and has left its locks
    new → old   ready                all is the new one's
    new → old   failed: why          from either side of `go`; all is the old one's again
"""

import contextlib
import json
import os
import socket
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Self

VARIABLE = "TIDEGATE_SUCCEEDS"
_LONGEST = 64 * 1024
_MOST = 64  # sockets
_PATIENCE = 120.0  # seconds for the old one to come to rest


class Abandoned(Exception):
    """The other one is gone, or says that it goes on without us."""


def say(end: socket.socket, word: str, sockets: Sequence[socket.socket] = (), **more: Any) -> None:
    """Lost when the other one is gone."""
    line = json.dumps({"word": word, **more}).encode()[: _LONGEST - 1] + b"\n"
    with contextlib.suppress(OSError):
        socket.send_fds(end, [line], [one.fileno() for one in sockets])


def heard(data: bytes) -> Mapping[str, Any]:
    """Raises Abandoned for what is no word."""
    try:
        told = json.loads(data)
        return {**told, "word": told["word"]}
    except (ValueError, KeyError, TypeError):
        raise Abandoned("the process ended before its time; its log says why") from None


class Predecessor:
    """The running Tidegate in whose place we come."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._admin: list[socket.socket] = []
        self._admin_listen: object = None

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> Self | None:
        """None: there is none, we are started by somebody else."""
        number = environ.pop(VARIABLE, None)
        if number is None:
            return None
        end = socket.socket(fileno=int(number))
        end.set_inheritable(False)
        end.settimeout(_PATIENCE)
        return cls(end)

    def wait(self, owner: str, state_dir: str) -> None:
        """Until it acts no more. Raises Abandoned."""
        say(self._end, "prepared", owner=owner, state_dir=state_dir)
        try:
            data, passed, _, _ = socket.recv_fds(self._end, _LONGEST, _MOST)
        except OSError as error:
            raise Abandoned(str(error)) from error
        self._admin = [socket.socket(fileno=number) for number in passed]
        told = heard(data)
        if told["word"] != "go":
            raise Abandoned("it goes on by itself")
        self._admin_listen = told.get("admin")

    def admin(self, listen: str) -> list[socket.socket]:
        """Sockets of the admin API, if they are for that address."""
        if listen == self._admin_listen:
            return self._admin
        for one in self._admin:
            one.close()
        return []

    def ready(self) -> None:
        say(self._end, "ready", pid=os.getpid())
        self._end.close()

    def failed(self, why: str) -> None:
        say(self._end, "failed", why=why)
        self._end.close()
