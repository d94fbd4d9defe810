"""One line per request with its time: the column TIMESTAMP, time or timestamp, or the first one.

Times are ISO 8601, with or without a zone, or seconds since any moment. Two more columns are read
where they are there: how long the request took (`duration` or `service_time`, in seconds or as
`200ms`; `duration_ms` or `service_time_ms`) and its `service`. The Azure LLM inference traces
(Patel et al., "Splitwise", ISCA 2024) are of this format.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.units import parse_duration
from config.wording import shown
from simulation.distributions import Distribution
from simulation.recorded import UNKNOWN, Recorded
from simulation.traces import names, times
from simulation.traces.source import TraceError, rows
from simulation.traffic import Dice, Traffic

_TIMES = ("timestamp", "time")
_TOOK = {"duration": 1.0, "service_time": 1.0, "duration_ms": 0.001, "service_time_ms": 0.001}
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,30})?")


@dataclass(frozen=True, slots=True)
class _Columns:
    at: int
    took: int | None
    unit: float  # seconds
    service: int | None


def read(path: Path, dice: Dice, work: Distribution, name: str = "web") -> Traffic:
    """`work` is for requests without a duration, `name` for those without a service.

    Raises TraceError.
    """
    recorded = Recorded()
    service_of = names.by_text()
    zone: bool | None = None
    for line, row, columns in _requests(path):
        try:
            at, zoned = times.moment(row[columns.at].strip())
            if zone not in (None, zoned):
                raise ValueError("times with and without a zone are mixed: give all of them one")
            zone = zoned
            took = _seconds(row, columns)
        except ValueError as error:
            raise TraceError(path, line, str(error)) from None
        given = row[columns.service].strip() if columns.service is not None else ""
        recorded.add(at, service_of(given) if given else name, took)
    if not recorded:
        raise TraceError(path, None, "holds no request")
    return recorded.traffic(work, dice)


def is_time(text: str) -> bool:
    try:
        return bool(times.moment(text.strip()))
    except ValueError:
        return False


def has_times(columns: list[str]) -> bool:
    """Whether a header names a column of times."""
    return any(name.strip().lower() in _TIMES for name in columns)


def _requests(path: Path) -> Iterator[tuple[int, list[str], _Columns]]:
    """Every line but the header; a first line that begins with a time is a request itself."""
    columns: _Columns | None = None
    wide = 0
    for line, row in rows(path):
        if columns is None:
            wide = len(row)
            if not is_time(row[0]):
                columns = _by_header(row)
                continue
            columns = _Columns(0, None, 1.0, None)
        if len(row) != wide:
            message = f"has {len(row)} columns where the first line has {wide}: is it cut off?"
            raise TraceError(path, line, message)
        yield line, row, columns


def _by_header(header: list[str]) -> _Columns:
    plain = [name.strip().lower() for name in header]
    at = next((plain.index(name) for name in _TIMES if name in plain), 0)
    took = next((name for name in _TOOK if name in plain), None)
    return _Columns(
        at=at,
        took=plain.index(took) if took else None,
        unit=_TOOK[took] if took else 1.0,
        service=plain.index("service") if "service" in plain else None,
    )


def _seconds(row: list[str], columns: _Columns) -> float:
    text = row[columns.took].strip() if columns.took is not None else ""
    if not text:
        return UNKNOWN
    if _NUMBER.fullmatch(text):
        return float(text) * columns.unit
    if columns.unit != 1.0:
        raise ValueError(f"the duration must be a number of milliseconds, got {shown(text)}")
    return parse_duration(text)
