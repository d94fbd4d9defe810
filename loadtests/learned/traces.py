"""Minutes in which a service was called, of many services over hours: what the rules are tried on.

`azure2019-500fn-8h` is read from a folder that is not part of this repository (`--traces`);
`azure2019-100apps-24h.txt` lies beside this file, with its origin and licence in its first lines.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LABELS = 4  # owner, application, function, trigger


@dataclass(frozen=True, slots=True)
class Trace:
    """`calls`: for each service the minutes in which it was called, in order, at least one."""

    name: str
    minutes: int
    calls: Sequence[Sequence[int]]

    @property
    def active(self) -> int:
        return sum(map(len, self.calls))


def functions(file: Path, name: str, half: int | None = None) -> Trace:
    """One line for each function, one column for each minute. `half` 0 or 1: only applications
    whose hashed name is even or odd."""
    with file.open(newline="") as lines:
        head, *rows = csv.reader(lines)
    chosen = [row for row in rows if half is None or _half(row[1]) == half]
    calls = [[m for m, count in enumerate(row[_LABELS:]) if float(count or 0)] for row in chosen]
    return Trace(name, len(head) - _LABELS, [one for one in calls if one])


def applications(file: Path, name: str) -> Trace:
    """`# ...` lines, the number of minutes, then the minutes of one application in each line."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    calls = [[int(minute) for minute in line.split()] for line in lines[1:]]
    return Trace(name, int(lines[0]), [one for one in calls if one])


def _half(application: str) -> int:
    return hashlib.sha256(application.encode()).digest()[0] % 2
