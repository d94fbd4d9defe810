"""Writes what was accumulated, in short transactions, and cuts off what is too old or too much.

Belongs to one thread at a time, never to the one of the event loop. Everything is added to what is
there: a batch may come in parts, from two processes, and again after a failure, which leaves none
of it behind. A file that was taken away is begun anew.
"""

import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from recording import schema
from recording.histogram import add, packed, unpacked
from recording.rows import Batch
from recording.seconds import HISTOGRAMS, MICRO
from recording.spans import MINUTE, Key, Span, Spans

AHEAD = 3600.0  # seconds; what is further ahead was written by a wrong clock
_DETAIL = 24  # seconds cover at least that part of what minutes do; below it minutes go
_PART = 64  # of the time there is, as much is cut off at once
_BESIDE = 1024 * 1024  # bytes: the log beside the file
_ROWS = 64  # at once, about a millisecond's work
_PAUSE = 0.001  # seconds
_SUMS = (
    "seconds", "requests", "rejected", "failures", "busy", "in_flight", "replicas",
    "request_bytes", "answer_bytes",
)  # fmt: skip
_MINUTES = ("spans", "starts", "memory")

_INSERT_SECOND = """
INSERT INTO seconds VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
  requests = requests + excluded.requests, rejected = rejected + excluded.rejected,
  failures = failures + excluded.failures, busy = busy + excluded.busy,
  replicas = max(replicas, excluded.replicas)"""
_INSERT_MEMORY = """
INSERT INTO memory VALUES (?, ?, ?)
  ON CONFLICT DO UPDATE SET largest = max(largest, excluded.largest)"""
_SPAN = (
    f"SELECT {', '.join((*_SUMS, *HISTOGRAMS))} FROM spans "
    "WHERE at = ? AND service = ? AND level = ?"
)
_INSERT_SPAN = (
    f"INSERT OR REPLACE INTO spans (at, service, level, {', '.join((*_SUMS, *HISTOGRAMS))}) "
    f"VALUES ({', '.join('?' * (3 + len(_SUMS) + len(HISTOGRAMS)))})"
)


T = TypeVar("T")


class Writer:
    """`keep` in seconds, `size` in bytes with what lies beside the file; both may change."""

    def __init__(self, path: Path, keep: float, size: int) -> None:
        self._path = path
        self.keep, self.size = keep, size
        self._connection: sqlite3.Connection | None = None
        self._file = 0, 0
        self._ids: dict[str, int] = {}
        self._spans = Spans()

    @property
    def is_settled(self) -> bool:
        """Whether no minute waits to be written."""
        return self._spans.is_empty

    def append(self, batch: Batch) -> None:
        """Raises schema.Unusable, sqlite3.Error or OSError: then nothing of it was written."""
        self._transact(lambda connection: self._append(connection, batch))
        self._spans.fold(_unhurried(batch.seconds, _ROWS))

    def finish(self, now: float, *, last: bool = False) -> None:
        """Write the minutes that have ended by `now` (seconds since 1970), `last` also those that
        have not, and cut off what is too much. Raises as `append`; what was not written waits."""
        ended = self._spans.ended(math.inf if last else now)
        if ended:
            self._transact(lambda connection: self._append_spans(connection, ended))
            self._spans.written(ended)
        self._transact(lambda connection: self._cut(connection, now))
        self._shrink()

    def shed(self, now: float) -> int:
        """Forget minutes that could not be written for long; how many seconds of traffic."""
        return self._spans.shed(now)

    def close(self) -> None:
        self._ids.clear()
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    # Appending

    def _append(self, connection: sqlite3.Connection, batch: Batch) -> None:
        service = self._service
        connection.executemany(
            _INSERT_SECOND,
            (
                (
                    at, service(connection, name), one.requests, one.rejected, one.failures,
                    one.busy, one.replicas,
                )
                for at, name, one in _unhurried(batch.seconds, _ROWS)
            ),
        )  # fmt: skip
        connection.executemany(
            "INSERT INTO starts VALUES (?, ?, ?, ?)",
            (
                (int(one.at), service(connection, one.service), _micro(one.seconds), one.outcome)
                for one in batch.starts
            ),
        )
        connection.executemany(
            _INSERT_MEMORY,
            ((one.at, service(connection, one.service), one.largest) for one in batch.memory),
        )

    def _append_spans(self, connection: sqlite3.Connection, spans: Mapping[Key, Span]) -> None:
        for (at, name, level), span in _unhurried(spans.items(), _ROWS // 4):
            key = at, self._service(connection, name), level
            row = connection.execute(_SPAN, key).fetchone()
            if row is not None:
                span = _sum_of(span, row)
            sums = (getattr(span, name) for name in _SUMS)
            packs = (packed(span.histograms.get(name, {})) for name in HISTOGRAMS)
            connection.execute(_INSERT_SPAN, (*key, *sums, *packs))

    def _service(self, connection: sqlite3.Connection, name: str) -> int:
        known = self._ids.get(name)
        if known is None:
            connection.execute("INSERT OR IGNORE INTO services (name) VALUES (?)", (name,))
            found = connection.execute("SELECT id FROM services WHERE name = ?", (name,))
            (known,) = found.fetchone()
            self._ids[name] = known
        return known

    # Cutting

    def _cut(self, connection: sqlite3.Connection, now: float) -> None:
        oldest = int(now - self.keep) // MINUTE * MINUTE
        for table in ("seconds", *_MINUTES):
            connection.execute(f"DELETE FROM {table} WHERE at < ?", (oldest,))
            connection.execute(f"DELETE FROM {table} WHERE at > ?", (now + AHEAD,))
        while _pages(connection, free=False) > self._most_pages(connection):
            if not _cut_part(connection, now):
                break

    def _shrink(self) -> None:
        """Give back what was cut off, where it is not soon used again."""
        connection = self._open()
        too_many = _pages(connection, free=True) - self._most_pages(connection)
        if too_many > 0:
            # A statement without columns is only begun by `execute`; a script is run to its end.
            connection.executescript(f"PRAGMA incremental_vacuum({too_many})")
        if self._on_disk() > self.size:
            # The file gets shorter with the next checkpoint; a reader may put it off.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _most_pages(self, connection: sqlite3.Connection) -> int:
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        return int((self.size - min(_BESIDE, self.size // 4)) // page)

    # The file

    def _transact(self, work: Callable[[sqlite3.Connection], None]) -> None:
        connection = self._open()
        try:
            connection.execute("BEGIN IMMEDIATE")
            work(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            self.close()  # which also takes back what was done
            if schema.is_damage(error):
                raise schema.Unusable(schema.damaged(self._path, error)) from error
            raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._identity() != self._file:
            self.close()
        if self._connection is None:
            self._connection = schema.create(self._path)
            self._file = self._identity()
        return self._connection

    def _on_disk(self) -> int:
        files = (self._path, Path(f"{self._path}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def _identity(self) -> tuple[int, int]:
        """Nothing for a file that is not there."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return 0, 0
        return status.st_dev, status.st_ino


def _unhurried(items: Iterable[T], count: int) -> Iterator[T]:
    """With a pause after each so many: who waits for the interpreter's lock meanwhile, as the event
    loop does, would get it only every 5 ms (sys.getswitchinterval)."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % count == 0:
            time.sleep(_PAUSE)


def _cut_part(connection: sqlite3.Connection, now: float) -> bool:
    """The oldest seconds, or the oldest minutes; False when nothing is left."""
    detail = _oldest(connection, ["seconds"])
    history = _oldest(connection, _MINUTES)
    if detail is not None and (history is None or (now - detail) * _DETAIL >= now - history):
        tables, begin = ["seconds"], detail
    elif history is not None:
        tables, begin = list(_MINUTES), history
    else:
        return False
    until = int(begin + max(0.0, now - begin) / _PART) // MINUTE * MINUTE + MINUTE
    for table in tables:
        connection.execute(f"DELETE FROM {table} WHERE at < ?", (until,))
    return True


def _oldest(connection: sqlite3.Connection, tables: "list[str] | tuple[str, ...]") -> int | None:
    def found() -> Iterator[int]:
        for table in tables:
            (at,) = connection.execute(f"SELECT min(at) FROM {table}").fetchone()
            if at is not None:
                yield at

    return min(found(), default=None)


def _pages(connection: sqlite3.Connection, *, free: bool) -> int:
    """Of the file, with the free ones or without."""
    (count,) = connection.execute("PRAGMA page_count").fetchone()
    (unused,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(count if free else count - unused)


def _sum_of(span: Span, row: tuple[int | bytes, ...]) -> Span:
    """With what was written of the same minute before."""
    sums, packs = row[: len(_SUMS)], row[len(_SUMS) :]
    former = Span(**dict(zip(_SUMS, sums, strict=True)))  # type: ignore[arg-type]
    for name, data in zip(HISTOGRAMS, packs, strict=True):
        assert isinstance(data, bytes)
        add(former.histograms.setdefault(name, {}), unpacked(data))
    former.add(span)
    return former


def _micro(seconds: float) -> int:
    return round(seconds * MICRO)
