"""The file: SQLite in the state folder, readable for its owner alone.

Tables are ordered by time first: what is new is appended, what is old is cut off in one piece.
`seconds` goes back less far than `spans`; from the first minute of `seconds` on, both have all.
Moments are seconds since 1970; `busy`, `in_flight` and the seconds of `starts` are microseconds.
`PRAGMA user_version` is the version of all this: a file of another one is left alone.
"""

import os
import sqlite3
from pathlib import Path

NAME = "recording.sqlite"
VERSION = 1
PATIENCE = 5.0  # seconds for another process, as in an upgrade, to end its transaction

_TABLES = """
CREATE TABLE services (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE seconds (
  at INTEGER, service INTEGER, requests INTEGER, rejected INTEGER, failures INTEGER,
  busy INTEGER, replicas INTEGER, PRIMARY KEY (at, service)
) WITHOUT ROWID;
CREATE TABLE spans (
  at INTEGER, service INTEGER, level INTEGER, seconds INTEGER, requests INTEGER,
  rejected INTEGER, failures INTEGER, busy INTEGER, in_flight INTEGER, replicas INTEGER,
  request_bytes INTEGER, answer_bytes INTEGER,
  latencies BLOB, service_times BLOB, occupied BLOB, waits BLOB, cold_waits BLOB,
  request_sizes BLOB, answer_sizes BLOB, PRIMARY KEY (at, service, level)
) WITHOUT ROWID;
CREATE TABLE starts (at INTEGER, service INTEGER, seconds INTEGER, outcome TEXT);
CREATE INDEX starts_by_time ON starts (at);
CREATE TABLE memory (
  at INTEGER, service INTEGER, largest INTEGER, PRIMARY KEY (at, service)
) WITHOUT ROWID;
"""


class Unusable(Exception):
    """The file cannot be used; the text says why, and what to do."""


def create(path: Path) -> sqlite3.Connection:
    """To write to; made when it is not there. Raises Unusable, sqlite3.Error or OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    connection = sqlite3.connect(
        path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare(connection, path)
    except BaseException as error:
        connection.close()
        if is_damage(error):
            raise Unusable(damaged(path, error)) from error
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not version:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint = 128")  # pages: half a MiB
    connection.execute("PRAGMA journal_size_limit = 524288")
    if not version:
        connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {VERSION};COMMIT;")
        version = VERSION
    if version != VERSION:
        raise Unusable(_of_another_version(path, version))


def open_to_read(path: Path) -> sqlite3.Connection:
    """While it may be written to. Raises Unusable, or FileNotFoundError, also while it is made."""
    if not path.is_file():
        raise FileNotFoundError(path)
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    if version == VERSION:
        return connection
    connection.close()
    if not version:
        raise FileNotFoundError(path)
    raise Unusable(_of_another_version(path, version))


def unreadable(path: Path, error: sqlite3.Error) -> Unusable:
    if is_damage(error):
        return Unusable(damaged(path, error))
    return Unusable(f"{path} cannot be read now: {error}")


def is_damage(error: BaseException) -> bool:
    """Not a disk that is full or a file that is locked: those are OperationalErrors."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith("no such")  # table, column
    return type(error) is sqlite3.DatabaseError


def damaged(path: Path, error: BaseException) -> str:
    return f"{path} is damaged ({error}): move it away, and a new one is begun"


def _of_another_version(path: Path, version: int) -> str:
    return (
        f"{path} was written by another version of Tidegate (it has version {version}, this one "
        f"knows {VERSION}): export it with that one, then move it away, and a new one is begun"
    )
