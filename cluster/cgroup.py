"""How much memory this process may have and how much is used, as its control group says.

A limit may stand at the group or at any one above it, and the least applies (cgroup v2 and v1).
Used is what that limit counts, without file pages that nobody used lately: the kernel takes those
back by itself (the working set of Kubernetes and of `docker stats`).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path("/sys/fs/cgroup")
SELF = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes. `sockets` is what is used for bytes on their way; cgroup v1 counts them apart."""

    limit: int
    used: int
    sockets: int = 0


@dataclass(frozen=True, slots=True)
class _Files:
    """What a version calls them; `idle` is a line of memory.stat."""

    limit: str
    used: str
    idle: str


_V2 = _Files("memory.max", "memory.current", "inactive_file")
_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


class Group:
    """The one whose limit applies to this process."""

    __slots__ = ("_files", "folder")

    def __init__(self, folder: Path, files: _Files) -> None:
        self.folder = folder
        self._files = files

    @classmethod
    def limited(cls, root: Path = ROOT, member: Path = SELF) -> Self | None:
        """None when no group has a limit below what the machine has. `member` names the groups of
        the process, as the kernel does in /proc/self/cgroup."""
        found = [
            (limit, cls(folder, files))
            for folder, files in _groups(root, member)
            if (limit := _limit(folder / files.limit)) is not None and limit < _machine()
        ]
        return min(found, key=lambda one: one[0])[1] if found else None

    def read(self) -> Memory | None:
        """Now; None when the limit was taken away. Far below it, `used` may be told too high: the
        statistics take longer to read than all the rest."""
        folder, files = self.folder, self._files
        try:
            limit = _limit(folder / files.limit)
            used = int((folder / files.used).read_bytes())
            if limit is None or used * 2 < limit:
                return Memory(limit, used) if limit else None
            stat = table(folder / "memory.stat")
        except (OSError, ValueError):
            return None
        return Memory(limit, max(0, used - stat.get(files.idle, 0)), stat.get("sock", 0))


def table(file: Path) -> dict[str, int]:
    """Names and numbers, one pair a line. Raises OSError, ValueError."""
    pairs = (line.split() for line in file.read_text().splitlines())
    return {name: int(value) for name, value in pairs}


def resident() -> int:
    """Bytes of memory that this process has, those included that it shares."""
    pages = Path("/proc/self/statm").read_bytes().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _limit(file: Path) -> int | None:
    try:
        return int(file.read_bytes())
    except (OSError, ValueError):  # no such group, or "max"
        return None


def _machine() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _groups(root: Path, member: Path) -> Iterator[tuple[Path, _Files]]:
    """Ours and all above, up to what is mounted: in a container often nothing but the root, which
    then is the container's own group, whatever it is called outside."""
    try:
        lines = member.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            place, files = root / "memory", _V1
        elif not controllers:
            place, files = root, _V2
        else:
            continue
        below = Path(path.lstrip("/"))
        for folder in (below, *below.parents):
            yield place / folder, files
