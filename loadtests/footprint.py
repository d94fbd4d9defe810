"""Memory and CPU of a process with all of its descendants, read from /proc (Linux)."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """KiB. `rss` counts shared pages once for each process, `pss` once altogether."""

    processes: int
    rss: int
    pss: int


def family(root: int) -> list[int]:
    """The process and all that descend from it."""
    found = [root]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return found


def memory(root: int) -> Memory:
    """Everything that the processes hold now."""
    sums = {"Rss:": 0, "Pss:": 0}
    pids = family(root)
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            key, *rest = line.split()
            if key in sums:
                sums[key] += int(rest[0])
    return Memory(len(pids), sums["Rss:"], sums["Pss:"])


def cpu_seconds(root: int) -> float:
    """User and system time of the processes that live now."""
    return sum(map(_cpu_seconds, family(root)))


def _cpu_seconds(pid: int) -> float:
    # The name in parentheses may hold anything, so the fields are counted from its end.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
