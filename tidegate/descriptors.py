"""Passes open descriptors to another process, each with a number (unix(7), SCM_RIGHTS)."""

import asyncio
import errno
import socket
from collections import deque

from tidegate.sharing import Shared

_PAUSE = 0.01  # seconds, when the kernel holds too many that nobody has taken yet


class Passing:
    """One way, in order; what does not fit waits until it does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """`theirs` is for the other process, and to be closed here once it has it."""
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self._loop = loop
        self._late: deque[Shared] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, shared: Shared) -> None:
        """Lost when the other side is gone, or the descriptor is closed before its turn comes."""
        self._late.append(shared)
        if len(self._late) == 1:
            self._flush()

    def close(self) -> None:
        self._late.clear()
        self._loop.remove_writer(self._ours)
        if self._timer is not None:
            self._timer.cancel()
        self._ours.close()

    def _flush(self) -> None:
        while self._late:
            shared = self._late[0]
            number = shared.number.to_bytes(8, "little")
            try:
                if shared.descriptor >= 0:
                    socket.send_fds(self._ours, [number], [shared.descriptor])
            except BlockingIOError:
                self._loop.add_writer(self._ours, self._flush)
                return
            except OSError as error:
                if error.errno == errno.ETOOMANYREFS:
                    self._timer = self._loop.call_later(_PAUSE, self._flush)
                    return
                self._late.clear()  # it is gone
                break
            self._late.popleft()
        self._loop.remove_writer(self._ours)
