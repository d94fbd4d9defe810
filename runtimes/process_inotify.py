"""The kernel's news about files (inotify(7)), of which the standard library has nothing.

Standard library only: the guard program uses it too.
"""

import ctypes
import os
import struct
from pathlib import Path

MODIFY = 0x2  # IN_MODIFY: written to, or cut short

_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_libc = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """One queue of file events. `descriptor` is readable when there are some."""

    def __init__(self) -> None:
        """Raises OSError when the user has too many of them (fs.inotify.max_user_instances)."""
        self.descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch(self, path: Path, events: int = MODIFY) -> None:
        """From now on; of a folder, all files in it. Raises OSError."""
        _checked(_libc.inotify_add_watch(self.descriptor, os.fsencode(path), events))

    def read(self) -> set[str]:
        """Takes all events; the names of the files in watched folders that they speak of."""
        names = set()
        while data := _read_some(self.descriptor):
            names |= set(_names(data))
        return names

    def close(self) -> None:
        os.close(self.descriptor)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"inotify: {os.strerror(code)}")
    return result


def _read_some(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 64 * 1024)
    except BlockingIOError:
        return b""


def _names(data: bytes) -> list[str]:
    names = []
    at = 0
    while at < len(data):
        *_, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        name = data[at : at + length].rstrip(b"\0")
        at += length
        if name:
            names.append(os.fsdecode(name))
    return names
