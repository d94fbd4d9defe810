"""Where the next control process finds a gateway, whatever became of the former one.

A Unix socket in the state folder, named by the process. Whoever connects is lent the listening
sockets at once, so that nobody is refused in between; the gateway obeys it from `TakeOver` on.
Only the owner of the folder can connect.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster import wire
from cluster.tasks import Tasks
from tidegate.link import Link

MOST = 250  # descriptors in one message (unix(7): 253)
_LONGEST = 64 * 1024
_PATIENCE = 5.0  # seconds for an answer that needs no work
_PEER = struct.Struct("3i")


class Offer:
    """`lent` tells the listening sockets by what the file calls them; `taken` is told the link of
    whoever takes over."""

    def __init__(
        self,
        folder: Path,
        lent: Callable[[], Mapping[str, socket.socket]],
        taken: Callable[[Link], None],
        tasks: Tasks,
    ) -> None:
        self._path = folder / f"{os.getpid()}.sock"
        self._lent = lent
        self._taken = taken
        self._tasks = tasks
        self._listening: socket.socket | None = None

    def open(self) -> None:
        """Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.setblocking(False)
        with _short(self._path) as name:
            listening.bind(name)
        listening.listen()
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)
        self._listening = listening

    def close(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None
            self._path.unlink(missing_ok=True)

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            end, _ = listening.accept()
            self._tasks.start(self._meet(end), "meet the next control process")

    async def _meet(self, end: socket.socket) -> None:
        lent = dict(list(self._lent().items())[:MOST])
        hello = json.dumps({"wire": wire.VERSION, "lent": list(lent)}).encode()
        try:
            socket.send_fds(end, [hello + b"\n"], [one.fileno() for one in lent.values()])
        except OSError:
            end.close()
            return
        end.setblocking(False)
        link = await Link.over(end)
        async for message in link.messages():
            if isinstance(message, wire.TakeOver):
                self._taken(link)
                return
        link.close()


@dataclass(slots=True, eq=False)
class Found:
    """A gateway that was there before us."""

    pid: int
    end: socket.socket
    is_understood: bool
    lent: dict[str, socket.socket] = field(default_factory=dict)

    def close(self) -> None:
        self.end.close()
        for one in self.lent.values():
            one.close()


class Hung(Exception):
    """A gateway does not answer; `pid` is its process."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"the gateway process {pid} does not answer")
        self.pid = pid


def found(path: Path) -> Found | None:
    """Who offers itself at a path; None when nobody does any more. Waits, for some seconds at most.
    Raises Hung."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end.settimeout(_PATIENCE)
    try:
        with _short(path) as name:
            end.connect(name)
        pid = _PEER.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[0]
    except OSError:
        end.close()
        path.unlink(missing_ok=True)
        return None
    try:
        data, passed, _, _ = socket.recv_fds(end, _LONGEST, MOST)
        hello = json.loads(data)
    except TimeoutError:
        end.close()
        raise Hung(pid) from None
    except (OSError, ValueError):
        end.close()
        return None
    lent = {
        text: socket.socket(fileno=number)
        for text, number in zip(hello["lent"], passed, strict=True)
    }
    return Found(pid, end, hello["wire"] == wire.VERSION, lent)


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for a socket whose path may be longer than the 107 bytes that it may have."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
