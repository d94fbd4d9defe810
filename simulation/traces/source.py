"""Reading a trace line by line, plain or compressed by gzip, with errors that name the line."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from config.printable import printable

GZIP = b"\x1f\x8b"
_LONGEST_LINE = 1_000_000  # characters; a day of minutes is 15,000


class TraceError(ValueError):
    """`FILE:LINE: what is wrong and what to do`; `line` counts from 1, None for the whole file."""

    def __init__(self, path: Path, line: int | None, message: str) -> None:
        where = printable(str(path)) if line is None else f"{printable(str(path))}:{line}"
        super().__init__(f"{where}: {message}")
        self.path, self.line = path, line


def head(path: Path, size: int) -> bytes:
    """The first bytes of what the file holds. Raises TraceError."""
    with _reading(path), _opened(path) as stream:
        return stream.read(size)


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not blank. Bytes that are no UTF-8 become U+FFFD.

    Raises TraceError.
    """
    with _reading(path), _opened(path) as stream:
        number = 0
        while line := stream.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                raise TraceError(path, number, f"is longer than {_LONGEST_LINE} bytes: no trace")
            text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").rstrip("\r\n")
            if text.strip():
                yield number, text


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The same, split as CSV (RFC 4180, without line breaks within quotes). Raises TraceError."""
    for number, text in lines(path):
        try:
            yield number, next(csv.reader([text]))
        except csv.Error as error:
            raise TraceError(path, number, f"is not CSV: {error}") from None


def table(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The header, and the rows below it, each as long as the header. Raises TraceError."""
    below = rows(path)
    header = next(below, None)
    if header is None:
        raise TraceError(path, None, "is empty")
    columns = [name.strip() for name in header[1]]
    return columns, _as_long(path, len(columns), below)


def _as_long(
    path: Path, columns: int, below: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    for number, row in below:
        if len(row) != columns:
            message = f"has {len(row)} columns where the header has {columns}: is it cut off?"
            raise TraceError(path, number, message)
        yield number, row


def column(path: Path, columns: list[str], name: str) -> int:
    """Where the column stands. Raises TraceError."""
    if name not in columns:
        there = printable(", ".join(columns[:6]))
        raise TraceError(path, 1, f"has no column {name}: its columns are {there}")
    return columns.index(name)


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as stream:
        compressed = stream.read(2) == GZIP
    return gzip.open(path, "rb") if compressed else path.open("rb")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TraceError(path, None, f"is no whole gzip file: {error}") from None
    except OSError as error:
        message = f"cannot be read: {error.strerror}: check the path"
        raise TraceError(path, None, message) from None
