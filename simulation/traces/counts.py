"""Requests a second by service, as `service,second,requests`: what Tidegate's recordings export.

`second` counts from any moment, 1970 or the start; seconds without requests may be left out.
"""

import re
from pathlib import Path

from config.wording import shown
from simulation.counted import Counts
from simulation.distributions import Distribution
from simulation.traces import names
from simulation.traces.source import TraceError, table
from simulation.traffic import Dice, Traffic

HEADER = ["service", "second", "requests"]
_LONGEST = 366 * 86400  # seconds from the first to the last


def read(path: Path, dice: Dice, work: Distribution, evenly: bool = False) -> Traffic:
    """Starts with the first second that is named. Raises TraceError."""
    columns, below = table(path)
    if columns != HEADER:
        raise TraceError(path, 1, f"must be {','.join(HEADER)}, got {shown(','.join(columns))}")
    cells = [
        (
            line,
            row[0],
            _whole(path, line, "second", row[1], 12),
            _whole(path, line, "requests", row[2], 6),
        )
        for line, row in below
    ]
    if not cells:
        raise TraceError(path, None, "holds no request")
    return _traffic(path, cells, dice, work, evenly)


def _traffic(
    path: Path,
    cells: list[tuple[int, str, int, int]],
    dice: Dice,
    work: Distribution,
    evenly: bool,
) -> Traffic:
    first = min(second for _, _, second, _ in cells)
    numbers: dict[str, int] = {}
    counts = Counts(1.0)
    for line, service, second, requests in cells:
        if second - first > _LONGEST:
            raise TraceError(path, line, f"second {second} is more than a year after {first}")
        counts.add(second - first, numbers.setdefault(service, len(numbers)), requests)
    return counts.traffic(names.unique(numbers), [work] * len(numbers), dice, evenly)


def _whole(path: Path, line: int, name: str, text: str, digits: int) -> int:
    if not re.fullmatch(rf"[0-9]{{1,{digits}}}", text.strip()):
        message = f"{name} must be a whole number of at most {digits} digits, got {shown(text)}"
        raise TraceError(path, line, message)
    return int(text)
