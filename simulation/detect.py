"""Which format a file of traffic is in, by what it holds and never by its name, and reading it."""

from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

from simulation.distributions import Distribution
from simulation.traces import (
    access_log,
    azure_functions,
    counts,
    json_log,
    source,
    timestamps,
)
from simulation.traces.source import TraceError
from simulation.traffic import Dice, Traffic

SQLITE = b"SQLite format 3\0"
_LINES_LOOKED_AT = 5


class Format(Enum):
    """The value is how it is told of."""

    AZURE_FUNCTIONS = "a folder with invocations.csv, or that file (Azure Functions, by minute)"
    RECORDING = "a recording of Tidegate's"
    COUNTS = "CSV with the header service,second,requests"
    TIMESTAMPS = "CSV with a column of times named timestamp, or times first in each line"
    JSON_LOG = "Tidegate's access log as JSON"
    ACCESS_LOG = "an access log of Apache or nginx (common or combined)"


Recording = Callable[[Path, Dice, Distribution], Traffic]
"""Reads a recording: the database belongs to who writes it."""


def detect(path: Path) -> Format:
    """Raises TraceError with all that is understood."""
    if path.is_dir():
        if (path / azure_functions.INVOCATIONS).is_file():
            return Format.AZURE_FUNCTIONS
        raise TraceError(path, None, f"is a folder without invocations.csv; {_understood()}")
    if source.head(path, len(SQLITE)) == SQLITE:
        return Format.RECORDING
    found = next(filter(None, map(_of_line, _first_lines(path))), None)
    if found is None:
        raise TraceError(path, None, f"is of no format that is understood; {_understood()}")
    return found


def read(
    path: Path,
    dice: Dice,
    work: Distribution,
    name: str = "web",
    evenly: bool = False,
    recording: Recording | None = None,
) -> Traffic:
    """The traffic of any file that is understood.

    `work` is how long requests take of which the file does not tell it; `name` is the service of
    requests for which it names none. Where it has only counts, or whole seconds, `evenly` spreads
    requests evenly instead of at random. Raises TraceError.
    """
    match detect(path):
        case Format.AZURE_FUNCTIONS:
            return azure_functions.read(path, dice, work, evenly)
        case Format.COUNTS:
            return counts.read(path, dice, work, evenly)
        case Format.TIMESTAMPS:
            return timestamps.read(path, dice, work, name)
        case Format.JSON_LOG:
            return json_log.read(path, dice, work)
        case Format.ACCESS_LOG:
            return access_log.read(path, dice, work, name, evenly)
        case Format.RECORDING if recording:
            return recording(path, dice, work)
    raise TraceError(path, None, "is a recording: export it as CSV, service,second,requests")


def _first_lines(path: Path) -> Iterator[str]:
    """A few, so that one damaged first line is reported as such and not as an unknown format."""
    for (_, text), _ in zip(source.lines(path), range(_LINES_LOOKED_AT), strict=False):
        yield text


def _of_line(text: str) -> Format | None:
    columns = [name.strip() for name in text.split(",")]
    if columns[: len(azure_functions.HEADER)] == azure_functions.HEADER:
        return Format.AZURE_FUNCTIONS
    if columns == counts.HEADER:
        return Format.COUNTS
    if json_log.is_line(text):
        return Format.JSON_LOG
    if access_log.is_line(text):
        return Format.ACCESS_LOG
    if timestamps.has_times(columns) or timestamps.is_time(columns[0]):
        return Format.TIMESTAMPS
    return None


def _understood() -> str:
    return f"understood are: {'; '.join(each.value for each in Format)}"
