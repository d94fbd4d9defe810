"""How a process has ended that is not our child, from what the kernel lets everybody read.

Two places tell it, one after the other. While nobody has collected the process, /proc has its exit
code (proc(5): stat, field 52); once its parent has, its pidfd does (PIDFD_GET_INFO, since Linux
6.15). Neither is believed when it says 0: that is also what the first one says to who may not know,
and what the second one says of a program whose first thread had ended before the others.
"""

import contextlib
import fcntl
import os
import struct
from pathlib import Path

_PROC = Path("/proc")
# <linux/pidfd.h>: struct pidfd_info in its first version, and its flag for the exit code.
_GET_INFO = 0xC040FF0B
_INFO = struct.Struct("=QQ11Ii")
_INFO_EXIT = 1 << 3
_EXIT_CODE = 49  # among the fields of stat after the name


def exit_code_of(pid: int, descriptor: int) -> int | None:
    """The exit code of a process whose pidfd, `descriptor`, is readable (negative: the signal);
    None where that cannot be known, and where it may be 0."""
    status = _uncollected(pid) or _collected(descriptor)
    return os.waitstatus_to_exitcode(status) if status else None


def _uncollected(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        # The name in parentheses may hold anything.
        fields = (_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
        # A number that has passed to another process says nothing of this one.
        return int(fields[_EXIT_CODE]) if fields[0] in ("Z", "X") else 0
    return 0


def _collected(descriptor: int) -> int:
    info = bytearray(_INFO.size)
    struct.pack_into("=Q", info, 0, _INFO_EXIT)
    with contextlib.suppress(OSError):
        fcntl.ioctl(descriptor, _GET_INFO, info)
        mask, *_, status = _INFO.unpack(info)
        return int(status) if mask & _INFO_EXIT else 0
    return 0
