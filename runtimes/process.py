"""Replicas as plain processes of this machine, each a process group of its own.

Nothing outlives us by accident: a guard process ends all groups when we die, however we die, and
no next one comes in time; there is no guard when nothing runs. `close` lets replicas live on on
purpose. The next runtime with the same owner and state folder adopts what runs in either case. A
program that moves itself into another session leaves our care.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cluster.model import Exit, Instance, Usage
from cluster.runtime import Capabilities, Hint, LogLine, RuntimeFailure
from cluster.workload import Workload
from runtimes.hints import Hints
from runtimes.process_command import check, environment, unheeded, with_port
from runtimes.process_errors import foreign
from runtimes.process_group import ProcessGroup
from runtimes.process_guard import Guard
from runtimes.process_placed import Placed
from runtimes.process_ports import Ports
from runtimes.process_privileges import Identities, Identity
from runtimes.process_records import Record, sighting
from runtimes.process_state import StateFolder
from runtimes.process_usage import usage_of

log = logging.getLogger("tidegate.runtimes")

_LOG_LIMIT = 5 * 1024 * 1024  # bytes; a log and what was moved out of it together: twice that


class ProcessRuntime:
    """An `InstanceRuntime`. Starting is one step without a wait, once it is known as whom: it
    cannot stop half way."""

    name = "process"
    capabilities = Capabilities(freeze=True, exec=True, logs=True, usage=True)

    def __init__(
        self,
        owner: str,
        state_dir: Path,
        directory: Path | None = None,
        *,
        log_limit: int = _LOG_LIMIT,
        orphan_grace: float = 10.0,
        orphan_timeout: float = 0.0,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Replicas run in `directory` (default: ours). `log_limit` bounds each log file in bytes;
        `orphan_grace` is what they have from SIGTERM to SIGKILL (seconds) when we were killed,
        and `orphan_timeout` how long they live before that, for the next runtime to adopt."""
        self._owner = owner
        self._directory = (directory or Path.cwd()).absolute()
        self._state = StateFolder(state_dir)
        self._guard = Guard(self._state.path, log_limit, orphan_grace, orphan_timeout)
        self._ports = Ports(seed=zlib.crc32(f"{owner} {state_dir.absolute()}".encode()))
        self._wall_clock = wall_clock
        self._identities = Identities()
        self._placed: dict[str, Placed] = {}
        self._hints = Hints()
        self._warned: set[tuple[str, str]] = set()

    async def open(self) -> None:
        if self._state.is_ours:
            return
        with contextlib.ExitStack() as undo, foreign("engine-unavailable", "cannot open"):
            undo.callback(self._state.leave)
            await self._state.enter()
            for record in self._state.records.read_all():
                self._take_over(record)
            undo.pop_all()

    async def close(self) -> None:
        with foreign("engine-unavailable", "cannot leave the replicas running"):
            for placed in self._placed.values():
                self._leave(placed)
        self._placed.clear()
        self._ports.give_back_all()
        self._guard.let_live()
        self._hints.end()
        self._state.leave()
        await self._guard.gone()

    async def instances(self) -> Sequence[Instance]:
        self._must_be_open()
        return [placed.instance() for placed in self._placed.values()]

    async def watch(self) -> AsyncIterator[Hint]:
        self._must_be_open()
        async for hint in self._hints.watch():
            yield hint

    async def logs(
        self, instance: str, *, tail: int = 100, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """The order between the two streams is not known: stdout is told before stderr."""
        placed = self._known(instance)
        logs = self._state.logs_of(placed.record.replica)
        with foreign("engine-unavailable", "cannot read the logs"):
            async for line in logs.tell(
                tail, follow=follow, ended=placed.group.ended, wall_clock=self._wall_clock
            ):
                yield line

    async def execute(self, instance: str, command: Sequence[str], timeout: float) -> int:
        identity = await self._identity(self._running(instance).record.user, timeout)
        record = self._running(instance).record
        with foreign("start-failed", "cannot run the command"):
            words = with_port(command, record.port)
            group = self._guard.launch(words, record.env, Path(record.directory), identity)
        try:
            if not await group.wait(timeout):
                raise RuntimeFailure("timeout", f"the command took over {timeout:g} s")
            return group.ended.result() or 0
        finally:
            group.signal(signal.SIGKILL)
            await group.wait()

    async def usage(self, instances: Sequence[str]) -> Mapping[str, Usage]:
        """One look at all processes of the machine, in a thread: 15 µs for each."""
        running = {
            placed.group.pid: instance
            for instance in instances
            if (placed := self._placed.get(instance)) and placed.exit is None
        }
        with foreign("engine-unavailable", "cannot read /proc"):
            found = await asyncio.to_thread(usage_of, running.keys())
        return {running[leader]: usage for leader, usage in found.items()}

    async def start(self, replica: str, workload: Workload) -> Instance:
        self._must_be_open()
        with foreign("start-failed", "cannot start a process"):
            identity = await self._identities.of(workload.user)
        self._must_be_open()
        for placed in self._placed.values():
            if placed.record.replica == replica:
                return placed.instance()
        self._warn_of_unheeded(workload)
        with foreign("start-failed", "cannot start a process"):
            placed = self._place(replica, workload, identity)
        self._hints.tell(workload.service)
        return placed.instance()

    async def stop(self, instance: str, grace: float) -> None:
        placed = self._placed.get(instance)
        if placed is None:
            return
        placed.group.signal(signal.SIGTERM)
        placed.group.signal(signal.SIGCONT)
        placed.frozen = False
        if not await placed.group.wait(grace):
            placed.group.signal(signal.SIGKILL)
            await placed.group.wait()
        self._forget(placed)
        await self._guard.gone()

    async def freeze(self, instance: str) -> None:
        placed = self._running(instance)
        placed.group.signal(signal.SIGSTOP)
        placed.frozen = True

    async def thaw(self, instance: str) -> None:
        placed = self._running(instance)
        placed.group.signal(signal.SIGCONT)
        placed.frozen = False

    async def halt(self, instance: str, grace: float) -> None:
        """A process that has ended is gone: there is nothing to keep."""
        raise RuntimeFailure("unsupported", "the process runtime keeps nothing of what it stopped")

    async def resume(self, instance: str) -> Instance:
        raise RuntimeFailure("unsupported", "the process runtime keeps nothing of what it stopped")

    async def _identity(self, user: str, timeout: float) -> Identity | None:
        try:
            async with asyncio.timeout(timeout):
                return await self._identities.of(user)
        except TimeoutError:
            message = f"who the user {user} is was not known within {timeout:g} s"
            raise RuntimeFailure("timeout", message) from None

    def _place(self, replica: str, workload: Workload, identity: Identity | None) -> Placed:
        """Launches the replica. What fails on the way undoes what was done before."""
        with contextlib.ExitStack() as undo:
            port = self._ports.take()
            undo.callback(self._ports.give_back, port)
            ours = {**os.environ, **dict(identity.env if identity else ())}
            env = environment(ours, workload, replica, port)
            words = with_port(workload.command, port)
            check(words, env, self._directory)
            logs = self._state.logs_of(replica)
            undo.callback(logs.remove)
            with logs.opened() as files:
                group = self._guard.launch(words, env, self._directory, identity, **files)
            undo.callback(group.signal, signal.SIGKILL)
            record = self._record(replica, workload, group.pid, port, env)
            self._state.records.write(record)
            undo.pop_all()
        return self._add(record, group)

    def _record(
        self, replica: str, workload: Workload, pid: int, port: int, env: dict[str, str]
    ) -> Record:
        seen = sighting(pid)
        return Record(
            owner=self._owner,
            replica=replica,
            service=workload.service,
            revision=workload.revision,
            port=port,
            pid=pid,
            ticks=seen.ticks if seen else 0,
            boot=self._state.boot,
            started_at=self._wall_clock(),
            directory=str(self._directory),
            env=env,
            user=workload.user or "",
        )

    def _add(self, record: Record, group: ProcessGroup, *, frozen: bool = False) -> Placed:
        placed = Placed(record, group, frozen)
        self._placed[record.id] = placed
        group.ended.add_done_callback(lambda ended: self._on_end(placed))
        return placed

    def _on_end(self, placed: Placed) -> None:
        if placed.group.ended.cancelled():
            return
        code = placed.group.ended.result()
        cause = self._state.logs_of(placed.record.replica).last_error() if code != 0 else ""
        placed.exit = Exit(code, message=cause)
        self._hints.tell(placed.record.service)

    def _forget(self, placed: Placed) -> None:
        if self._placed.pop(placed.record.id, None) is not None:
            self._state.forget(placed.record.replica)
            self._ports.give_back(placed.record.port)
            self._hints.tell(placed.record.service)

    def _take_over(self, record: Record) -> None:
        """Adopts a replica that runs; the rest is cleared away."""
        if record.owner != self._owner:
            log.warning(
                "process %d (%s) was left by the owner %s and is not ours; end it by hand",
                *(record.pid, record.replica, record.owner),
            )
        elif self._state.runs(record):
            self._adopt(record)
        else:
            self._state.forget(record.replica)

    def _adopt(self, record: Record) -> None:
        try:
            group = self._guard.adopt(record.pid)
        except ProcessLookupError:
            self._state.forget(record.replica)
            return
        self._ports.claim(record.port)
        # From now on it shall not outlive us by accident any more. (Where that cannot be written,
        # the guard sees to it alone.)
        seen = sighting(record.pid)
        adopted = replace(record, kept=False, frozen=False)
        try:
            self._state.records.write(adopted)
        except OSError as error:
            log.warning("cannot write the record of %s: %s", record.replica, error)
        self._add(adopted, group, frozen=record.frozen or bool(seen and seen.stopped))

    def _leave(self, placed: Placed) -> None:
        if placed.exit is not None:
            self._state.forget(placed.record.replica)
            return
        self._state.records.write(replace(placed.record, kept=True, frozen=placed.frozen))
        placed.group.let_go()

    def _must_be_open(self) -> None:
        if not self._state.is_ours:
            raise RuntimeFailure(
                "engine-unavailable", "the process runtime is not open", transient=True
            )

    def _known(self, instance: str) -> Placed:
        placed = self._placed.get(instance)
        if placed is None:
            raise RuntimeFailure("unknown-instance", f'there is no process "{instance}"')
        return placed

    def _running(self, instance: str) -> Placed:
        placed = self._known(instance)
        if placed.exit is not None:
            raise RuntimeFailure("unknown-instance", f'the process "{instance}" has ended')
        return placed

    def _warn_of_unheeded(self, workload: Workload) -> None:
        version = (workload.service, workload.revision)
        if version not in self._warned and (keys := unheeded(workload)):
            self._warned.add(version)
            log.warning(
                "the process runtime does not heed %s of this service; use a container runtime",
                ", ".join(keys),
                extra={"service": workload.service},
            )
