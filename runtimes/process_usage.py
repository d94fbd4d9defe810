"""What replicas use, read from /proc: all processes of the session that each one leads.

A process that ended gave its CPU time to the parent that waited for it, so the sum over the living
ones, with that of their children that are gone, only grows. Memory is what is resident; pages that
several processes of a replica share count once.
"""

import contextlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from cluster.model import Usage

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LONGEST = 4096  # bytes of a stat file: far more than it has


@dataclass(slots=True)
class _Sum:
    ticks: int = 0
    resident: dict[int, int] = field(default_factory=dict)  # bytes by process


def usage_of(leaders: Collection[int]) -> dict[int, Usage]:
    """By leader; those that are gone are left out. Raises OSError."""
    sums: dict[int, _Sum] = defaultdict(_Sum)
    if leaders:
        for pid, stat in _processes():
            _count(pid, stat, leaders, sums)
    return {leader: Usage(one.ticks * _TICK, _memory(one)) for leader, one in sums.items()}


def _count(pid: int, stat: bytes, leaders: Collection[int], sums: dict[int, _Sum]) -> None:
    # proc(5): the second field is the name in parentheses, which may hold anything.
    facts = stat[stat.rfind(b")") + 2 :].split(None, 22)
    group, session = int(facts[2]), int(facts[3])
    leader = session if session in leaders else group
    if leader in leaders:
        # utime, stime, and the same of children that were waited for
        sums[leader].ticks += sum(map(int, facts[11:15]))
        sums[leader].resident[pid] = int(facts[21]) * _PAGE


def _processes() -> Iterator[tuple[int, bytes]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            # It may end while we look.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                yield int(name), _read(f"/proc/{name}/stat")


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LONGEST)
    finally:
        os.close(descriptor)


def _memory(one: _Sum) -> int:
    """One process has what is resident; of several, each has its share (PSS) of what is common."""
    if len(one.resident) == 1:
        return sum(one.resident.values())
    return sum(_share(pid, resident) for pid, resident in one.resident.items())


def _share(pid: int, resident: int) -> int:
    # Not readable of a program that became another user, and gone when it has just ended.
    with contextlib.suppress(OSError):
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return resident
