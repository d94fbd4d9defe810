"""What a recording of Tidegate's tells a simulation: traffic, and what else need not be supposed.

Requests come in the seconds in which they came; those of a minute whose seconds are no longer kept,
spread over it. A request takes as long as one did that was nearly alone in its replica, and longer
with others beside it by as much as was measured. Rejected requests come again, failed answers fail
again at their rate.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from recording import schema
from recording.histogram import add
from recording.reader import Recording
from recording.rows import Arrivals, Level, Memory, Start
from simulation.assumptions import Slowdown
from simulation.bucketed import Bucketed
from simulation.counted import Counts
from simulation.distributions import Distribution, Empirical
from simulation.known import Known
from simulation.slowdown import Measured as MeasuredSlowdown
from simulation.traces.source import TraceError
from simulation.traffic import Dice, Traffic

ENOUGH = 20  # requests; of fewer nothing is said about how long they take


def read(
    path: Path, dice: Dice, work: Distribution, evenly: bool = False, until: float = math.inf
) -> Traffic:
    """What came before `until` (seconds since 1970: a recording may be written to meanwhile).
    `work` is for services of which too little is known. Raises TraceError."""
    with _opened(path) as recording:
        arrivals = [row for row in _told(path, recording.arrivals(end=until)) if row.requests]
        levels = recording.levels(end=until)
        memory = list(recording.memory(end=until))
    if not arrivals:
        raise TraceError(path, None, "holds no request: record: true keeps those of a service")
    names = sorted({row.service for row in arrivals})
    works = alone(levels)
    return _counts(arrivals, names).traffic(
        names, [works.get(name, work) for name in names], dice, evenly, _memory(memory, names)
    )


def known(path: Path, until: float = math.inf) -> Known:
    """Raises TraceError."""
    with _opened(path) as recording:
        first = next(iter(_told(path, recording.arrivals(end=until))), None)
        levels = recording.levels(end=until)
        starts = list(recording.starts(end=until))
    ready, fails = _starts(starts)
    return Known(
        float(first.at) if first else None, ready, fails, _failures(levels), slowdown_of(levels)
    )


def alone(levels: Iterable[Level]) -> dict[str, Distribution]:
    """By service: how long requests occupied their place where the fewest were beside them."""
    found: dict[str, dict[int, int]] = {}
    for level in sorted(levels, key=lambda level: level.level):
        counts = found.setdefault(level.service, {})
        if sum(counts.values()) < ENOUGH:
            add(counts, _occupied(level))
    return {
        name: Bucketed(counts) for name, counts in found.items() if sum(counts.values()) >= ENOUGH
    }


def slowdown_of(levels: Sequence[Level]) -> Slowdown | None:
    """How much longer requests took than alone, by requests at once; of several services the mean,
    by their requests."""
    base = alone(levels)
    weight: defaultdict[int, float] = defaultdict(float)
    times: defaultdict[int, float] = defaultdict(float)
    for level in levels:
        counts = _occupied(level)
        number = sum(counts.values())
        if number < ENOUGH or level.service not in base or not base[level.service].mean:
            continue
        at_once = max(1, round(level.concurrency))
        weight[at_once] += number
        times[at_once] += number * Bucketed(counts).mean / base[level.service].mean
    if len(weight) < 2:
        return None
    return MeasuredSlowdown(
        tuple((float(at), max(1.0, times[at] / weight[at])) for at in sorted(weight))
    )


def _counts(arrivals: Sequence[Arrivals], names: Sequence[str]) -> Counts:
    """By second, from the first one."""
    first = arrivals[0].at
    numbers = {name: number for number, name in enumerate(names)}
    counts = Counts(1.0)
    for row in arrivals:
        given = 0
        for second in range(row.seconds):
            until = row.requests * (second + 1) // row.seconds
            counts.add(row.at - first + second, numbers[row.service], until - given)
            given = until
    return counts


def _starts(starts: Sequence[Start]) -> tuple[Distribution | None, float | None]:
    """How long those took that were wanted to the end, and how many of them failed."""
    ready = [start.seconds for start in starts if start.outcome == "ready"]
    failed = sum(start.outcome == "failed" for start in starts)
    if not ready:
        return None, None
    return Empirical.of_samples(ready), failed / (failed + len(ready))


def _failures(levels: Iterable[Level]) -> float | None:
    requests = failures = 0
    for level in levels:
        requests += level.requests - level.rejected
        failures += level.failures
    return min(1.0, failures / requests) if requests > 0 else None


def _occupied(level: Level) -> Mapping[int, int]:
    """To the end of the answer; to its first byte where nothing else is known."""
    return level.histograms.get("occupied") or level.histograms.get("service_times") or {}


def _memory(memory: Iterable[Memory], names: Sequence[str]) -> tuple[float, ...]:
    """The mean of what the largest replica used, by service."""
    of: defaultdict[str, list[int]] = defaultdict(list)
    for row in memory:
        of[row.service].append(row.largest)
    return tuple(sum(of[name]) / len(of[name]) if name in of else 0.0 for name in names)


def _opened(path: Path) -> Recording:
    try:
        return Recording(path)
    except FileNotFoundError:
        raise TraceError(path, None, "there is no such recording") from None
    except schema.Unusable as error:
        raise TraceError(path, None, str(error)) from None


def _told(path: Path, rows: Iterable[Arrivals]) -> list[Arrivals]:
    """All of them. Raises TraceError where the file is damaged in the middle."""
    try:
        return list(rows)
    except schema.Unusable as error:
        raise TraceError(path, None, str(error)) from None
