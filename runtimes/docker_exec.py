"""Commands run in containers, and what becomes of those that take too long.

The engine has no call that ends a command. On its own machine we see the command's processes, and
kill them all. Elsewhere (in a virtual machine, far away, or where we lack the right) it runs on
until it is done or its container ends; no second one is started beside it, so there is one at most.
"""

import asyncio
import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from aiodocker.execs import Exec

from cluster.runtime import RuntimeFailure
from runtimes.docker_cgroup import holds
from runtimes.docker_engine import Engine

_Key = tuple[str, tuple[str, ...]]
_PROC = Path("/proc")
# Ending what is overdue may take so long (seconds); who asked has been told by then.
_END_WITHIN = 0.8


class Commands:
    """`overdue` are those that could not be ended."""

    def __init__(self) -> None:
        self._overdue: dict[_Key, Exec] = {}

    async def run(
        self, engine: Engine, instance: str, command: Sequence[str], timeout: float
    ) -> int:
        """The exit code. Raises RuntimeFailure(timeout)."""
        key = instance, tuple(command)
        run: Exec | None = None
        try:
            async with asyncio.timeout(timeout):
                await self._refuse_a_second(engine, key)
                run = await engine.prepare(instance, command)
                return await engine.finish(run)
        except TimeoutError:
            if run is not None and not await _ended(engine, instance, run):
                self._overdue[key] = run
            raise _too_slow(command, f"did not end within {timeout:g} s") from None
        except (RuntimeFailure, asyncio.CancelledError):
            if run is not None:
                self._overdue[key] = run
            raise

    def forget(self, instance: str) -> None:
        """The container has ended, and with it what ran in it."""
        for key in [key for key in self._overdue if key[0] == instance]:
            del self._overdue[key]

    async def _refuse_a_second(self, engine: Engine, key: _Key) -> None:
        former = self._overdue.get(key)
        if former is None:
            return
        try:
            ended = await _end(engine, key[0], former)
        except RuntimeFailure as failure:
            if failure.code != "unknown-instance":
                raise
            ended = True
        if not ended:
            raise _too_slow(key[1], "is still running since it was last asked")
        self._overdue.pop(key, None)


async def _ended(engine: Engine, instance: str, run: Exec) -> bool:
    """Whether it runs no more, by our hand if need be; False too where we cannot say."""
    with contextlib.suppress(RuntimeFailure, TimeoutError):
        async with asyncio.timeout(_END_WITHIN):
            return await _end(engine, instance, run)
    return False


async def _end(engine: Engine, instance: str, run: Exec) -> bool:
    facts = await engine.progress(run)
    return not facts["Running"] or await asyncio.to_thread(kill, instance, facts["Pid"])


def kill(container: str, leader: int) -> bool:
    """SIGKILL to the command that `leader` is and to all that it started; False when we may not.

    A process number of another machine means nothing here, or somebody else: only processes in the
    container's own control group are touched.
    """
    killed = False
    for pid in _with_its_own(leader):
        with contextlib.suppress(OSError), _held(pid) as descriptor:
            # Looked at while it is held, its number cannot pass to another.
            if holds(container, pid):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                killed = True
    return killed


@contextlib.contextmanager
def _held(pid: int) -> Iterator[int]:
    """Raises OSError when there is no such process."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _with_its_own(leader: int) -> list[int]:
    """The leader, its descendants and its session: a command has one of its own, in which also
    those stay whose parent has ended."""
    children: dict[int, list[int]] = defaultdict(list)
    session = []
    for pid, parent, of in _processes():
        children[parent].append(pid)
        if of == leader:
            session.append(pid)
    found, waiting = set[int](), [leader, *session]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children[pid]
    return [leader, *sorted(found - {leader})] if leader > 0 else []


def _processes() -> Iterator[tuple[int, int, int]]:
    """Process, parent and session of all that run here (proc(5): stat)."""
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in parentheses may hold anything.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            yield int(entry.name), int(fields[1]), int(fields[3])


def _too_slow(command: Sequence[str], words: str) -> RuntimeFailure:
    return RuntimeFailure("timeout", f"{command[0]} {words}", transient=True)
