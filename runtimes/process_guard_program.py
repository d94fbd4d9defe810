"""The guard: a small process that no replica outlives by accident, and that bounds their logs.

It reads from a pipe which process groups are in its care: `+PID`, `-PID`, and `keep`. The pipe
ends when Tidegate does, however it died. What is then still in its care waits for the next
Tidegate, which has a guard of its own, and is ended when none has come in time; never if `keep` was
said. Standard library only, started with `python -I -S`: it must come up fast and
have nothing that can fail.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from runtimes.process_inotify import Inotify

STREAMS = (".stdout", ".stderr")
PAUSE = 200  # milliseconds between two looks at logs that are being written
# Seconds between two looks whether the next Tidegate is there. The kernel tells nobody that a lock
# was taken; this is done by a guard whose Tidegate is gone, and for a bounded time mostly.
LOOK_EVERY = 0.5
# Seconds for a Tidegate whose pipe has ended to be gone. The kernel closes one descriptor after the
# other: until the last one, the dead still holds its lock, and would be taken for the next one.
DYING = 10.0
_BLOCK = 4096  # bytes: holes in files begin and end with these


def main(state: str, limit: str, grace: str, patience: str = "0", tidegate: str = "0") -> None:
    """`limit` bounds each log file in bytes, `grace` is SIGTERM to SIGKILL in seconds, `patience`
    how long a killed Tidegate may be away, `tidegate` the id of the process that started us."""
    parent = _parent(int(tidegate))
    # Whoever ends all of us at once (a service manager does) must not end the guard first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    guard = Guard(Path(state), int(limit))
    kept = guard.listen()
    if parent is not None and guard.has_any and not kept:
        _poll([parent], DYING)
    if not guard.attend(None if kept else float(patience)):
        guard.end_all(float(grace))


class Guard:
    """The groups in its care, by the process id of their leader."""

    def __init__(self, state: Path, limit: int) -> None:
        self._state = state
        self._logs = logs = state / "logs"
        self._limit = limit
        self._inotify = _watching(logs)
        # We may have come up long after the first replica: it need not write ever again.
        for path in _all_in(logs):
            bound(path, limit)
        self._leaders: dict[int, int] = {}  # process id: its pidfd
        self._words = b""

    @property
    def has_any(self) -> bool:
        """One that is let go because nothing is left to guard has none."""
        return bool(self._leaders)

    def listen(self, pipe: int = 0) -> bool:
        """Until the pipe ends. Whether the groups shall live on."""
        kept = False
        while data := self._next_words(pipe):
            *lines, self._words = (self._words + data).split(b"\n")
            for line in lines:
                # A group that was on its way when `keep` was said tells of itself only after it.
                kept = kept or line == b"keep"
                self._obey(line)
        return kept

    def attend(self, patience: float | None) -> bool:
        """Bounds logs until the last leader has ended, or the next Tidegate is there. False when
        none was there for `patience` seconds, if that is any."""
        end = None if patience is None else _now() + patience
        while self._leaders and (end is None or _now() < end):
            left = LOOK_EVERY if end is None else min(LOOK_EVERY, max(0.0, end - _now()))
            for pid in self._wait_for_ends(left):
                self._forget(pid)
            if is_held(self._state / "lock"):
                break
        if is_held(self._state / "lock"):
            self._leave_to_successor()
        return not self._leaders

    def _leave_to_successor(self) -> None:
        """What it has a record of is in its care; the rest was only half begun."""
        recorded = set(recorded_groups(self._state / "replicas"))
        for pid in self._wait_for_ends(0):
            self._forget(pid)
        for pid in self._leaders.keys() - recorded:
            signal_group(pid, signal.SIGKILL)
        self._leaders.clear()

    def end_all(self, grace: float) -> None:
        """SIGTERM to every group, and SIGKILL to what is left of it once its leader has ended,
        or after `grace` seconds."""
        for pid in self._leaders:
            signal_group(pid, signal.SIGTERM)
            signal_group(pid, signal.SIGCONT)
        deadline = _now() + grace
        while self._leaders and (left := deadline - _now()) > 0:
            for pid in self._wait_for_ends(left):
                signal_group(pid, signal.SIGKILL)
                self._forget(pid)
        for pid in self._leaders:
            signal_group(pid, signal.SIGKILL)

    def _next_words(self, pipe: int) -> bytes:
        while not self._wait([pipe], None):
            pass
        return os.read(pipe, 4096)

    def _obey(self, line: bytes) -> None:
        sign, number = line[:1], line[1:]
        if sign == b"+":
            self._enrol(int(number))
        elif sign == b"-":
            self._forget(int(number))

    def _enrol(self, pid: int) -> None:
        self._forget(pid)
        try:
            self._leaders[pid] = os.pidfd_open(pid)
        except ProcessLookupError:
            signal_group(pid, signal.SIGKILL)

    def _forget(self, pid: int) -> None:
        descriptor = self._leaders.pop(pid, None)
        if descriptor is not None:
            os.close(descriptor)

    def _wait_for_ends(self, timeout: float | None) -> list[int]:
        ready = self._wait(list(self._leaders.values()), timeout)
        return [pid for pid, descriptor in self._leaders.items() if descriptor in ready]

    def _wait(self, descriptors: list[int], timeout: float | None) -> list[int]:
        """Which are ready; empty when time is up, or when it was the logs that had news."""
        ready = _poll([*descriptors, *self._log_descriptor()], timeout)
        if self._inotify is None or self._inotify.descriptor not in ready:
            return ready
        for name in self._inotify.read():
            if name.endswith(STREAMS):
                bound(self._logs / name, self._limit)
        # A replica that writes without end must not make us look without end.
        return _poll(descriptors, PAUSE / 1000)

    def _log_descriptor(self) -> list[int]:
        return [self._inotify.descriptor] if self._inotify else []


def _parent(pid: int) -> int | None:
    """A pidfd of our parent, None when that is not there any more."""
    with contextlib.suppress(ProcessLookupError):
        return os.pidfd_open(pid) if os.getppid() == pid else None
    return None


def is_held(lock: Path) -> bool:
    """Whether a Tidegate lives in the folder."""
    with contextlib.suppress(OSError), lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def recorded_groups(folder: Path) -> Iterator[int]:
    for path in folder.glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            yield int(json.loads(path.read_text("utf-8", "surrogateescape"))["pid"])


def bound(path: Path, limit: int) -> None:
    """Moves what a log holds to `PATH.1` once it is over `limit` bytes; both take less than
    twice that. The writer notices nothing: it appends. A line of the very moment may be lost.

    Of a log that is far too long only the end is moved, after a hole of the length of the rest:
    so each byte keeps its place, and whoever was reading goes on at the same one.
    """
    with contextlib.suppress(OSError), path.open("r+b") as log:
        # A guard of a former run may still be bounding the same log.
        fcntl.flock(log, fcntl.LOCK_EX)
        size = os.fstat(log.fileno()).st_size
        if size <= limit:
            return
        start = 0 if size <= 2 * limit else (size - limit) // _BLOCK * _BLOCK
        draft = path.with_name(f"{path.name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with open(os.open(draft, flags, 0o600), "wb") as moved:
            log.seek(start)
            moved.seek(start)
            # Never less than there was: by its length a follower knows the log it has read.
            moved.write(log.read(max(2 * limit, size - start)))
            draft.rename(path.with_name(f"{path.name}.1"))
            moved.write(log.read(limit))  # what came meanwhile
        log.truncate(0)


def _watching(logs: Path) -> Inotify | None:
    """None where the kernel refuses: replicas are guarded all the same."""
    try:
        inotify = Inotify()
        inotify.watch(logs)
    except OSError:
        return None
    return inotify


def _all_in(logs: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for path in logs.iterdir() if path.name.endswith(STREAMS)]
    return []


def _poll(descriptors: list[int], timeout: float | None) -> list[int]:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    ready = poll.poll(None if timeout is None else timeout * 1000)
    return [descriptor for descriptor, _ in ready]


def signal_group(leader: int, number: signal.Signals) -> None:
    """To every process of the group that may be signalled; none is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _now() -> float:
    return time.monotonic()  # noqa: TID251 - there is no loop here
