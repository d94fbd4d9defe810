"""The state folder of a process runtime: one Tidegate at a time, its records and its logs."""

import asyncio
import fcntl
import os
from pathlib import Path

from cluster.runtime import RuntimeFailure
from runtimes.process_logs import ReplicaLogs
from runtimes.process_records import Record, Records, boot_id, is_alive

# A Tidegate that was killed holds the lock for an instant, until its last descriptor is closed.
_ATTEMPTS, _PAUSE = 10, 0.01
# So does a guard whose Tidegate is gone, when it looks for the next one: for as long as the machine
# holds it up in that.
_LOOKS = 500


class StateFolder:
    """Ours between `enter` and `leave`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs_folder = self.path / "logs"
        self.records = Records(self.path / "replicas")
        self.boot = ""
        self._lock: int | None = None

    @property
    def is_ours(self) -> bool:
        return self._lock is not None

    async def enter(self) -> None:
        """Raises RuntimeFailure(engine-unavailable) when another Tidegate is in it, OSError."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.logs_folder, self.path / "replicas"):
            folder.mkdir(exist_ok=True, mode=0o700)
            folder.chmod(0o700)
        self.boot = boot_id()
        self._lock = await _locked(self.path / "lock")

    def leave(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def logs_of(self, replica: str) -> ReplicaLogs:
        return ReplicaLogs(self.logs_folder, replica)

    def runs(self, record: Record) -> bool:
        """Whether the very process of this record still runs."""
        return is_alive(record, self.boot)

    def forget(self, replica: str) -> None:
        """Removes what is kept of a replica."""
        self.records.remove(replica)
        self.logs_of(replica).remove()


async def _locked(path: Path) -> int:
    """A lock that ends with us, however we die."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    refused = 0
    for _ in range(_LOOKS):
        if _flocked(descriptor, fcntl.LOCK_EX):
            return descriptor
        # With guards, and only with them, it can be shared.
        refused += not _flocked(descriptor, fcntl.LOCK_SH)
        if refused == _ATTEMPTS:
            break
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        await asyncio.sleep(_PAUSE)
    os.close(descriptor)
    raise RuntimeFailure(
        "engine-unavailable",
        f'another Tidegate uses the state folder "{path.parent}"; stop it, or give this one '
        "a folder of its own",
    )


def _flocked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
