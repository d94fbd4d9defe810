"""Reads a recording, also while it is written to. Knows nothing of a running Tidegate.

Where single seconds are no longer kept, minutes stand for them; each request is in one or the
other. What is of the last two minutes may not be in `levels` yet.
"""

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from recording import schema
from recording.histogram import Counts, add, unpacked
from recording.rows import Arrivals, Known, Level, Memory, Start
from recording.seconds import HISTOGRAMS, MICRO

# One query, so that all of it is of one moment, whatever is written or cut off meanwhile.
_ARRIVALS = """
WITH detail (begin) AS (SELECT min(at) / 60 * 60 FROM seconds)
SELECT * FROM (
  SELECT name, at, 60, sum(requests), sum(rejected), sum(failures), sum(busy),
    1.0 * sum(replicas) / sum(seconds)
  FROM spans JOIN services ON services.id = service
  WHERE at >= :begin AND at < :end AND (:name IS NULL OR name = :name)
    AND at < coalesce((SELECT begin FROM detail), :end)
  GROUP BY at, service ORDER BY at, service
) UNION ALL SELECT * FROM (
  SELECT name, at, 1, requests, rejected, failures, busy, replicas
  FROM seconds JOIN services ON services.id = service
  WHERE at >= :begin AND at < :end AND (:name IS NULL OR name = :name) ORDER BY at, service
)"""
_LEVELS = f"""
SELECT name, level, seconds, requests, rejected, failures, in_flight, replicas, request_bytes,
  answer_bytes, {", ".join(HISTOGRAMS)}
FROM spans JOIN services ON services.id = service
WHERE at >= :begin AND at < :end AND (:name IS NULL OR name = :name)"""
_STARTS = """
SELECT at, name, seconds, outcome FROM starts JOIN services ON services.id = service
WHERE at >= :begin AND at < :end AND (:name IS NULL OR name = :name) ORDER BY at, name"""
_MEMORY = """
SELECT at, name, largest FROM memory JOIN services ON services.id = service
WHERE at >= :begin AND at < :end AND (:name IS NULL OR name = :name) ORDER BY at, name"""


class Recording:
    """One file. `service` None is all; moments in seconds since 1970, `end` is excluded.

    Raises schema.Unusable for a file that is damaged, also while it is read.
    """

    def __init__(self, path: Path) -> None:
        """Raises schema.Unusable, and FileNotFoundError: nothing was ever recorded."""
        self.path = path
        self._connection = schema.open_to_read(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def arrivals(
        self, service: str | None = None, begin: float = 0.0, end: float = math.inf
    ) -> Iterator[Arrivals]:
        """In the order of time; seconds and minutes without traffic are left out."""
        for name, at, length, requests, rejected, failures, busy, replicas in self._rows(
            _ARRIVALS, service, begin, end
        ):
            yield Arrivals(name, at, length, requests, rejected, failures, busy / MICRO, replicas)

    def levels(
        self, service: str | None = None, begin: float = 0.0, end: float = math.inf
    ) -> list[Level]:
        """All minutes together, by service and level."""
        found: dict[tuple[str, int], _Level] = {}
        for name, level, *rest in self._rows(_LEVELS, service, begin, end):
            found.setdefault((name, level), _Level()).add(rest)
        return [found[key].told(*key) for key in sorted(found)]

    def starts(
        self, service: str | None = None, begin: float = 0.0, end: float = math.inf
    ) -> Iterator[Start]:
        for at, name, took, outcome in self._rows(_STARTS, service, begin, end):
            yield Start(at, name, took / MICRO, outcome)

    def memory(
        self, service: str | None = None, begin: float = 0.0, end: float = math.inf
    ) -> Iterator[Memory]:
        """By minute; only of services whose memory was measured."""
        for at, name, largest in self._rows(_MEMORY, service, begin, end):
            yield Memory(at, name, largest)

    def names(self) -> list[str]:
        """Of services of which something was kept once."""
        found = self._rows("SELECT name FROM services ORDER BY name", None, 0, math.inf)
        return [name for (name,) in found]

    def services(self) -> list[Known]:
        """All of which something is kept, by name."""
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        requests: dict[str, int] = {}
        for one in self.arrivals():
            first.setdefault(one.service, one.at)
            last[one.service] = one.at + one.seconds
            requests[one.service] = requests.get(one.service, 0) + one.requests
        starts: dict[str, int] = {}
        for start in self.starts():
            at = int(start.at)
            first[start.service] = min(first.get(start.service, at), at)
            last[start.service] = max(last.get(start.service, at), at + 1)
            starts[start.service] = starts.get(start.service, 0) + 1
        return [
            Known(name, first[name], last[name], requests.get(name, 0), starts.get(name, 0))
            for name in sorted(first)
        ]

    def size(self) -> int:
        """Bytes on disk, with what lies beside the file."""
        files = (self.path, *(Path(f"{self.path}-{end}") for end in ("wal", "shm")))
        return sum(file.stat().st_size for file in files if file.exists())

    def _rows(
        self, query: str, name: str | None, begin: float, end: float
    ) -> Iterator[tuple[Any, ...]]:
        values = {"name": name, "begin": begin, "end": end}
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.Error as error:
            raise schema.unreadable(self.path, error) from error


class _Level:
    """The sums of one level."""

    def __init__(self) -> None:
        self._sums = [0] * 8
        self._histograms: dict[str, Counts] = {}

    def add(self, row: list[Any]) -> None:
        self._sums = [one + more for one, more in zip(self._sums, row, strict=False)]
        for name, data in zip(HISTOGRAMS, row[8:], strict=True):
            add(self._histograms.setdefault(name, {}), unpacked(data))

    def told(self, name: str, level: int) -> Level:
        seconds, requests, rejected, failures, in_flight, replicas, received, sent = self._sums
        each = in_flight / MICRO / replicas if replicas else 0.0
        return Level(
            name, level, each, seconds, requests, rejected, failures, received, sent,
            self._histograms,
        )  # fmt: skip
