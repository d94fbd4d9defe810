"""Tidegate's own access log as JSON (`access_log: json`): a line per request, with its service.

A line is written when its request ends: the request came by its `duration` earlier. That duration
has all its waiting in it, also for a replica to wake; replayed, it is taken for work.
"""

import json
from pathlib import Path

from simulation.distributions import Distribution
from simulation.recorded import Recorded
from simulation.traces import names, times
from simulation.traces.source import TraceError, lines
from simulation.traffic import Dice, Traffic

_SECOND = 1_000_000  # microseconds


def read(path: Path, dice: Dice, work: Distribution) -> Traffic:
    """Raises TraceError."""
    recorded = Recorded()
    service_of = names.by_text()
    for number, text in lines(path):
        try:
            end, service, took = request(text)
        except ValueError as error:
            raise TraceError(path, number, str(error)) from None
        recorded.add(end - round(took * _SECOND), service_of(service), took)
    if not recorded:
        raise TraceError(path, None, "holds no request")
    return recorded.traffic(work, dice)


def request(text: str) -> tuple[int, str, float]:
    """Its end in microseconds, its service, its duration in seconds. Raises ValueError."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        entry = None
    match entry:
        case {"time": str(end), "service": str(service), "duration": int() | float() as took} if (
            type(took) is not bool and 0 <= took < _LONGEST
        ):
            return times.moment(end)[0], service, float(took)
    raise ValueError("is no line of Tidegate's access log: time, service and duration are needed")


def is_line(text: str) -> bool:
    try:
        return bool(request(text))
    except ValueError:
        return False


_LONGEST = 1e9  # seconds
