"""What containers of this machine use and who is in them, read from their control groups.

The engine takes up to a second for the same numbers: it waits for the next turn of its collector.
Groups are where the engine makes them by default, with either driver, in either version; what is
elsewhere, or on another machine, is not found here and is left to the engine.
"""

from collections.abc import Iterable
from pathlib import Path

from cluster.cgroup import ROOT, table
from cluster.model import Usage

# By the engine's own driver, and by systemd's.
_PLACES = ("docker/{id}", "system.slice/docker-{id}.scope")
_PROC = Path("/proc")
# By version: its controller's folder, and the file that counts the processes killed for memory.
_KILLS = (("memory", "memory.oom_control"), ("", "memory.events"))


def holds(id: str, pid: int) -> bool:
    """Whether a process of this machine belongs to that container; False when there is none."""
    try:
        return len(id) >= 64 and id in (_PROC / f"{pid}/cgroup").read_text()
    except OSError:
        return False


def kills_of_all(proc: Path = _PROC) -> int | None:
    """How many processes of this machine were killed for lack of memory, in whatever group."""
    try:
        return table(proc / "vmstat")["oom_kill"]
    except (OSError, ValueError, LookupError):
        return None


def out_of_memory(id: str, root: Path = ROOT) -> bool | None:
    """Whether one of its processes was killed for lack of memory; None where that is not to be
    read, as when the engine has taken the group away."""
    for place in _PLACES if id.isalnum() else ():
        for controller, file in _KILLS:
            try:
                return table(root / controller / place.format(id=id) / file)["oom_kill"] > 0
            except (OSError, ValueError, LookupError):
                continue
    return None


def usage_of(ids: Iterable[str], root: Path = ROOT) -> dict[str, Usage]:
    """Those that are found, by id."""
    found = ((id, _usage(id, root)) for id in ids)
    return {id: usage for id, usage in found if usage is not None}


def _usage(id: str, root: Path) -> Usage | None:
    if not id.isalnum():
        return None
    for place in _PLACES:
        group = place.format(id=id)
        try:
            if (root / "cpuacct").is_dir():
                return _version_1(root / "cpuacct" / group, root / "memory" / group)
            return _version_2(root / group)
        except (OSError, ValueError, LookupError):
            continue
    return None


def _version_1(cpu: Path, memory: Path) -> Usage:
    nanoseconds = int((cpu / "cpuacct.usage").read_text())
    used = int((memory / "memory.usage_in_bytes").read_text())
    return Usage(nanoseconds / 1e9, _without(used, memory, "total_inactive_file"))


def _version_2(group: Path) -> Usage:
    microseconds = table(group / "cpu.stat")["usage_usec"]
    used = int((group / "memory.current").read_text())
    return Usage(microseconds / 1e6, _without(used, group, "inactive_file"))


def _without(used: int, group: Path, idle: str) -> int:
    """As `docker stats` reckons: without the file pages that nobody used lately."""
    return max(0, used - table(group / "memory.stat").get(idle, 0))
