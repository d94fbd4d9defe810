"""What the next Tidegate must know of a process to adopt it: one small JSON file each.

A process id alone proves nothing, ids are used again: the time it was started and the boot it
was started in are part of its name.
"""

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

from cluster import private_file

log = logging.getLogger("tidegate.runtimes")


@dataclass(frozen=True, slots=True)
class Record:
    """One replica's process. `started_at` is wall-clock time, `ticks` the kernel's count at its
    start; `kept` says that it was left running on purpose, and `frozen` in which state."""

    owner: str
    replica: str
    service: str
    revision: str
    port: int
    pid: int
    ticks: int
    boot: str
    started_at: float
    directory: str
    env: dict[str, str] = field(repr=False)
    user: str = ""
    kept: bool = False
    frozen: bool = False

    @property
    def id(self) -> str:
        return f"{self.pid}-{self.ticks}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the kernel says of a process: when it was started, and whether it has ended."""

    ticks: int
    ended: bool  # but not yet collected by its parent
    stopped: bool = False  # by a signal, as a frozen one is


class Records:
    """The records in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, record: Record) -> None:
        """All or nothing, readable by us alone: the environment may hold secrets."""
        content = json.dumps(asdict(record)).encode("utf-8", "surrogateescape")
        private_file.write(self._path(record.replica), content)

    def remove(self, replica: str) -> None:
        self._path(replica).unlink(missing_ok=True)

    def read_all(self) -> Iterator[Record]:
        """Every record that can be read; the others are put aside, for people to look at."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                yield Record(**json.loads(path.read_text("utf-8", "surrogateescape")))
            except (ValueError, TypeError) as error:
                aside = put_aside(path)
                log.warning(
                    "the unreadable replica record %s is put aside (%s): %s; if its process still "
                    "runs, end it by hand",
                    *(path, aside, error),
                )

    def _path(self, replica: str) -> Path:
        return self._folder / f"{quote(replica, safe='')}.json"


def put_aside(path: Path) -> Path:
    """Out of the way of what is read; one of each name is kept."""
    folder = path.parent.parent / "unreadable"
    folder.mkdir(mode=0o700, exist_ok=True)
    return path.rename(folder / path.name)


def sighting(pid: int) -> Sighting | None:
    """The process with this id as it is now; None when there is none."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        # proc(5): the second field is the name in parentheses, which may hold anything.
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        state, *fields = stat.rpartition(")")[2].split()
        return Sighting(ticks=int(fields[18]), ended=state in "ZX", stopped=state == "T")
    return None


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def is_alive(record: Record, boot: str) -> bool:
    """Whether the very process of this record still runs."""
    seen = sighting(record.pid) if record.boot == boot else None
    return seen is not None and seen.ticks == record.ticks and not seen.ended
