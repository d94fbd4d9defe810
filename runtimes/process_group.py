"""A process group of our own making: launched, signalled, and its end told.

The leader's pidfd tells the loop when it ends, whether it is our child or was adopted; nothing
waits in a thread. What is left of a group when its leader ends is killed.
"""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cluster import descriptors
from runtimes.process_guard_program import signal_group
from runtimes.process_privileges import Identity, renounce

# The guard knows of the group before the command runs: the child tells it on its way there. Its
# standard input is the pipe to the guard, so the pipe cannot end in between.
_PROLOGUE = 'printf "+%s\\n" $$ >&0 && exec "$@" </dev/null'
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def launch(
    command: Sequence[str],
    env: Mapping[str, str],
    directory: Path,
    *,
    guard: int,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
    identity: Identity | None = None,
) -> int:
    """The process id of the leader of a new session that runs `command`. Raises OSError."""
    renounce()
    process = subprocess.Popen(
        ["/bin/sh", "-c", _prologue(), "sh", *_with_odd_names(command, env)],
        env=env,
        cwd=directory,
        stdin=guard,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        user=identity.uid if identity else None,
        group=identity.gid if identity else None,
        extra_groups=identity.groups if identity else None,
    )
    # Its end comes through its pidfd: the object shall not wait for it, nor warn about it.
    process.returncode = 0
    return process.pid


def _prologue() -> str:
    """The command has the file descriptors that we were given, not those that we took."""
    limit = descriptors.limit_of_others()
    return _PROLOGUE if limit is None else f"ulimit -S -n {limit} && {_PROLOGUE}"


def _with_odd_names(command: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Shells drop variables with names that are none of theirs (`a.b`): env(1) sets them."""
    odd = [f"{name}={value}" for name, value in env.items() if not _SHELL_NAME.fullmatch(name)]
    return ["env", *odd, *command] if odd else list(command)


class ProcessGroup:
    """The group led by `pid`. `ended` holds the leader's exit code (negative: the signal; None:
    not known, it was not our child) once it has one; it is cancelled when we let go of it."""

    def __init__(self, pid: int, on_end: Callable[[int | None], None]) -> None:
        """Raises ProcessLookupError when there is no such process."""
        self.pid = pid
        self._on_end = on_end
        self._descriptor = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int | None] = self._loop.create_future()
        self._loop.add_reader(self._descriptor, self._end)

    def signal(self, number: signal.Signals) -> None:
        """To every process of the group; nothing once the leader has ended."""
        if not self.ended.done():
            signal_group(self.pid, number)

    async def wait(self, timeout: float | None = None) -> bool:
        """Whether it ended within `timeout` seconds."""
        await asyncio.wait([self.ended], timeout=timeout)
        return self.ended.done()

    def let_go(self) -> None:
        """It lives on without us."""
        if not self.ended.done():
            self._close()
            self.ended.cancel()

    def _end(self) -> None:
        # The rest is killed before the leader is collected: until then its number is taken.
        signal_group(self.pid, signal.SIGKILL)
        code = _collect(self._descriptor)
        self._close()
        self.ended.set_result(code)
        self._on_end(code)

    def _close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)


def _collect(descriptor: int) -> int | None:
    """The exit code of a child that has ended; None of a process that is not our child."""
    try:
        ended = os.waitid(os.P_PIDFD, descriptor, os.WEXITED)
    except ChildProcessError:
        return None
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
