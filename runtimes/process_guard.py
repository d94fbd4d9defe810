"""Our end of the guard: it runs while there is something to guard, and not longer.

One guard program at a time knows all groups; one that dies is replaced.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from runtimes.process_group import ProcessGroup, launch
from runtimes.process_guard_program import signal_group
from runtimes.process_privileges import Identity

log = logging.getLogger("tidegate.runtimes")

PACKAGES = Path(__file__).resolve().parents[1]
PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from runtimes.process_guard_program import main; main(*sys.argv[2:])"
)
_TOO_SHORT = 1.0  # seconds: a guard that lived less would not live longer the next time


class Guard:
    """Keeps groups from outliving us, and their logs (in the folder `state`) below bounds."""

    def __init__(self, state: Path, limit: int, grace: float, patience: float) -> None:
        """`limit` in bytes for a log file; `grace` in seconds from SIGTERM to SIGKILL; `patience`
        in seconds until that, once we were killed and nobody comes in our place."""
        ours = (state, limit, grace, patience, os.getpid())
        self._arguments = [str(PACKAGES), *map(str, ours)]
        self._groups: set[int] = set()
        self._program: _Program | None = None
        self._leaving: set[asyncio.Future[int | None]] = set()

    def launch(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        directory: Path,
        identity: Identity | None = None,
        **files: int,
    ) -> ProcessGroup:
        """A new group that is guarded from its first moment on. Raises OSError."""
        pipe = self._running().pipe
        try:
            pid = launch(command, env, directory, guard=pipe, identity=identity, **files)
            self._groups.add(pid)
        finally:
            self._leave_if_idle()
        try:
            return ProcessGroup(pid, lambda code: self._dismiss(pid))
        except OSError:
            signal_group(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._dismiss(pid)
            raise

    def adopt(self, pid: int) -> ProcessGroup:
        """A group that runs already. Raises ProcessLookupError when it does not, OSError."""
        group = ProcessGroup(pid, lambda code: self._dismiss(pid))
        self._running()
        self._groups.add(pid)
        self._say(f"+{pid}")
        return group

    async def gone(self) -> None:
        """Waits for guards that were let go to end: some milliseconds."""
        if self._leaving:
            await asyncio.wait(self._leaving)

    def let_live(self) -> None:
        """The groups in its care outlive us. It stays for their logs, without us."""
        self._groups.clear()
        if self._program is not None:
            self._say("keep")
            self._program.hang_up()
            self._program.process.let_go()
            self._program = None

    def _dismiss(self, group: int) -> None:
        """It has ended. With the last one the guard leaves."""
        self._groups.discard(group)
        self._say(f"-{group}")
        self._leave_if_idle()

    def _leave_if_idle(self) -> None:
        if not self._groups and self._program is not None:
            self._leaving.add(self._program.process.ended)
            self._program.process.ended.add_done_callback(self._leaving.discard)
            self._program.hang_up()
            self._program = None

    def _running(self) -> "_Program":
        return self._program or self._begin()

    def _begin(self) -> "_Program":
        self._program = _Program(self._arguments, self._on_end)
        for group in self._groups:
            self._say(f"+{group}")
        return self._program

    def _say(self, word: str) -> None:
        # A guard that is gone is replaced as soon as the loop tells us so.
        if self._program is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._program.pipe, f"{word}\n".encode())

    def _on_end(self, program: "_Program") -> None:
        if program is not self._program:
            return
        program.hang_up()
        self._program = None
        if program.age() < _TOO_SHORT:
            log.error(
                "the process guard ended at once: replicas would outlive a crash of Tidegate; "
                "check that %s -I -S works",
                sys.executable,
                extra={"code": program.process.ended.result()},
            )
            return
        log.warning("the process guard was killed; starting another")
        try:
            self._begin()
        except OSError as error:
            log.error("cannot start the process guard: %s", error)


class _Program:
    """One running guard program, and the pipe to it."""

    def __init__(self, arguments: Sequence[str], on_end: Callable[["_Program"], None]) -> None:
        """Raises OSError."""
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()
        theirs, self.pipe = os.pipe()
        try:
            self.process = ProcessGroup(_spawn(arguments, theirs), lambda code: on_end(self))
        except OSError:
            os.close(self.pipe)
            raise
        finally:
            os.close(theirs)

    def age(self) -> float:
        """Seconds."""
        return self._clock() - self._since

    def hang_up(self) -> None:
        os.close(self.pipe)


def _spawn(arguments: Sequence[str], standard_input: int) -> int:
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PROGRAM, *arguments],
        stdin=standard_input,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        start_new_session=True,
    )
    # Its end comes through its pidfd: the object shall not wait for it, nor warn about it.
    child.returncode = 0
    return child.pid
