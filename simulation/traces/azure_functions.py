"""Invocations per minute of Azure Functions, with how long they took and the memory they needed.

The format of the Azure Functions Trace 2019 (Shahrad et al., "Serverless in the Wild", USENIX ATC
2020) and of its samples by vHive's Invitro: `HashOwner,HashApp,HashFunction,Trigger`, then a column
for each minute. Beside it lie, if there are any, percentiles of durations in milliseconds, cold
starts left out, and of memory in MB. A function of 0 ms took less than half a millisecond.

The percentiles are of averages over some 30 s, so single calls differ more than they tell. Between
them the curve is bent so that the recorded average comes out: the work is as much as there was.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from config.wording import shown
from simulation.counted import Counts
from simulation.distributions import Constant, Distribution, Empirical
from simulation.traces import names
from simulation.traces.source import TraceError, column, table
from simulation.traffic import Dice, Traffic

HEADER = ["HashOwner", "HashApp", "HashFunction", "Trigger"]
INVOCATIONS = "invocations.csv"
_BESIDE = (
    ("invocations", "durations", "memory"),
    ("invocations_per_function_md", "function_durations_percentiles", "app_memory_percentiles"),
)
_PERCENTILE = re.compile(r"percentile_Average_([0-9]+)")
_MINUTE = 60.0
_MILLISECOND = 0.001
_MB = 1_000_000

T = TypeVar("T")


def read(path: Path, dice: Dice, work: Distribution, evenly: bool = False) -> Traffic:
    """`path` is the file of invocations, or its folder. `work` is for functions without durations.

    A service is named `TRIGGER-HASH` with as much of its function's hash as tells it from the
    others. Raises TraceError.
    """
    path = path / INVOCATIONS if path.is_dir() else path
    counts, functions = _invocations(path)
    took = _by_function(_beside(path, 1), _duration)
    memory = _by_function(_beside(path, 2), _memory)
    short = names.shortened(name for _, name, _ in functions)
    return counts.traffic(
        names.unique(f"{trigger}-{short(name)}" for _, name, trigger in functions),
        [took.get(name) or work for _, name, _ in functions],
        dice,
        evenly,
        # The whole trace has the memory of an app, not of each function.
        [memory.get(name, memory.get(app, 0.0)) for app, name, _ in functions] if memory else (),
    )


def _invocations(path: Path) -> tuple[Counts, list[tuple[str, str, str]]]:
    """The counts by minute, and of each function its app, its hash and its trigger."""
    columns, below = table(path)
    minutes = columns[len(HEADER) :]
    if columns[: len(HEADER)] != HEADER or not _consecutive(minutes):
        message = f"must begin with {','.join(HEADER)} and then number every minute, as 1,2,3"
        raise TraceError(path, 1, message)
    counts = Counts(_MINUTE)
    counts.lasts(len(minutes))
    functions: list[tuple[str, str, str]] = []
    for line, row in below:
        for minute, cell in enumerate(row[len(HEADER) :]):
            if cell != "0":
                counts.add(minute, len(functions), _count(path, line, minutes[minute], cell))
        functions.append((row[1], row[2], row[3]))
    if not functions:
        raise TraceError(path, None, "holds no function")
    return counts, functions


def _consecutive(minutes: Sequence[str]) -> bool:
    if not minutes or not minutes[0].isdecimal():
        return False
    first = int(minutes[0])
    return list(minutes) == [str(first + number) for number in range(len(minutes))]


def _count(path: Path, line: int, minute: str, cell: str) -> int:
    if not re.fullmatch(r"[0-9]{1,7}", cell):
        message = f"minute {minute} must be a whole number below 10 million, got {shown(cell)}"
        raise TraceError(path, line, message)
    return int(cell)


def _beside(path: Path, which: int) -> Path | None:
    """The file of durations (1) or of memory (2) that belongs to these invocations."""
    for row in _BESIDE:
        if path.name.startswith(f"{row[0]}."):
            other = path.with_name(row[which] + path.name.removeprefix(row[0]))
            return other if other.exists() else None
    return None


def _by_function(path: Path | None, value: Callable[[dict[str, str]], T | None]) -> dict[str, T]:
    """What `value` makes of each row, by its function, or by its app where it has no function."""
    return dict(_values(path, value)) if path else {}


def _values(path: Path, value: Callable[[dict[str, str]], T | None]) -> Iterator[tuple[str, T]]:
    columns, below = table(path)
    key = column(path, columns, "HashFunction" if "HashFunction" in columns else "HashApp")
    for line, row in below:
        try:
            made = value(dict(zip(columns, row, strict=True)))
        except ValueError as error:
            raise TraceError(path, line, str(error)) from None
        if made is not None:
            yield row[key], made


def _duration(record: dict[str, str]) -> Distribution | None:
    """By the percentiles, else the average; None for a function that was not measured."""
    average = _number(record, "Average")
    if average is None or record.get("Count") == "0":
        return None
    average *= _MILLISECOND
    known = {
        int(match[1]) / 100: at * _MILLISECOND
        for name in record
        if (match := _PERCENTILE.fullmatch(name)) and (at := _number(record, name)) is not None
    }
    levels = sorted(known)
    if not levels or (levels[0], levels[-1]) != (0, 1):
        return Constant(average)
    return Empirical(levels, [known[level] for level in levels], average)


def _memory(record: dict[str, str]) -> float | None:
    """Bytes, on average; None if it was not measured."""
    size = _number(record, "AverageAllocatedMb")
    return None if size is None else size * _MB


def _number(record: dict[str, str], name: str) -> float | None:
    """None where nothing stands. The trace has a few negative durations: they are 0."""
    text = record.get(name, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{0,30})?(e-?[0-9]{1,2})?", text):
        raise ValueError(f"{name} must be a number, got {shown(text)}")
    return max(0.0, float(text))
