"""What a process may not gain, and as whom it runs.

Nothing that we start can get more privileges than we have, not even by a setuid program: it is
started by a thread that has renounced them for itself, and children inherit that from the thread
that makes them (prctl(2), PR_SET_NO_NEW_PRIVS). To do it in the child, between fork and exec, would
need a copy of our whole memory for each start; to do it for all of us would take the right to bind
port 80 from gateway workers where Python has it as a file capability.
"""

import ctypes
import grp
import os
import pwd
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from cluster.runtime import RuntimeFailure

Started = TypeVar("Started")

_SET_NO_NEW_PRIVS = 38
_libc = ctypes.CDLL(None, use_errno=True)


def without_privileges_to_gain(start: Callable[[], Started]) -> Started:
    """Calls `start`, in a thread that ends with it. Raises what that raises, OSError."""

    def renounce_and_start() -> Started:
        if _libc.prctl(_SET_NO_NEW_PRIVS, *(ctypes.c_ulong(value) for value in (1, 0, 0, 0))):
            code = ctypes.get_errno()
            raise OSError(code, f"cannot set no_new_privs: {os.strerror(code)}")
        return start()

    with ThreadPoolExecutor(1, thread_name_prefix="launch") as thread:
        return thread.submit(renounce_and_start).result()


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom to run: numbers for the kernel, and what a login of theirs would find."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    env: tuple[tuple[str, str], ...] = ()


def identity_of(user: str | None) -> Identity | None:
    """Of `user`, `user:group` or numbers; None: as we are. Raises RuntimeFailure."""
    if not user:
        return None
    name, _, group = user.partition(":")
    found = _of_user(name)
    if group:
        gid = _gid(group)
        found = Identity(found.uid, gid, (gid,), found.env)
    if os.geteuid() == 0:
        return found
    if (found.uid, found.gid) == (os.geteuid(), os.getegid()):
        return None
    raise RuntimeFailure(
        "bad-workload",
        f'user "{user}": only root may run processes as somebody else; run Tidegate as root, or '
        "remove `user`",
    )


def _of_user(name: str) -> Identity:
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        if name.isdecimal():
            # As in a container: a number needs no name. Its group is that of the same number.
            return Identity(int(name), int(name), (int(name),))
        raise RuntimeFailure(
            "bad-workload", f'there is no user "{name}" on this machine; make one: useradd {name}'
        ) from None
    env = {"USER": entry.pw_name, "LOGNAME": entry.pw_name, "HOME": entry.pw_dir}
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return Identity(entry.pw_uid, entry.pw_gid, tuple(groups), tuple(env.items()))


def _gid(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise RuntimeFailure(
            "bad-workload", f'there is no group "{name}" on this machine; make one: groupadd {name}'
        ) from None
