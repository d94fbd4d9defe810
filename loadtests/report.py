"""What was measured, as a table for people and as JSON for programs.

A result without the machine it was measured on says little, so each file carries that too.
"""

import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share (0 to 1) of all values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Count, median, p95, smallest and largest; in milliseconds."""
    return {
        "rounds": len(seconds),
        "median_ms": round(statistics.median(seconds) * 1000, 2),
        "p95_ms": round(percentile(seconds, 0.95) * 1000, 2),
        "min_ms": round(min(seconds) * 1000, 2),
        "max_ms": round(max(seconds) * 1000, 2),
    }


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as need be: the first one to the left, the rest to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        first, *rest = row
        line = [first.ljust(widths[0])]
        line += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        print("  ".join(line).rstrip())


def save(name: str, results: dict[str, Any]) -> Path:
    """Write the results beside the machine they were measured on; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    at = time.strftime("%Y-%m-%dT%H-%M-%S")
    file = RESULTS / f"{name}-{at}.json"
    document = {"name": name, "at": at, "machine": _machine(), "results": results}
    file.write_text(json.dumps(document, indent=2) + "\n")
    return file


def _machine() -> dict[str, Any]:
    return {
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }
