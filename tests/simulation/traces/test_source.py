"""Files are read plain or compressed; what cannot be read says why."""

import gzip
from pathlib import Path

import pytest

from simulation.traces.source import TraceError, column, head, lines, table
from tests.simulation.made import written


def test_blank_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    assert list(lines(written(tmp_path, "a", "", "  ", "b"))) == [(1, "a"), (4, "b")]


def test_line_ends_byte_order_marks_and_bad_bytes_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\xff\r\nc")
    assert list(lines(path)) == [(1, "a"), (2, "b\ufffd"), (3, "c")]


def test_gzip_is_read_by_what_it_is_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "trace.log"
    path.write_bytes(gzip.compress(b"a\nb\n"))
    assert list(lines(path)) == [(1, "a"), (2, "b")]
    assert head(path, 1) == b"a"


def test_half_a_gzip_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "trace.gz"
    path.write_bytes(gzip.compress(b"a\nb\n" * 100)[:-12])
    with pytest.raises(TraceError, match="is no whole gzip file"):
        list(lines(path))


def test_what_is_not_there_says_so(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    with pytest.raises(TraceError) as caught:
        list(lines(path))
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory: check the path"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be read: Is a directory"):
        list(lines(tmp_path))


def test_a_line_without_end_is_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(b"a\n" + b"\0" * 2_000_000)
    with pytest.raises(TraceError, match=":2: is longer than 1000000 bytes"):
        list(lines(path))


def test_an_empty_table_says_so(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="is empty"):
        table(written(tmp_path))


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b")
    with pytest.raises(TraceError, match=":1: has no column c: its columns are a, b"):
        column(path, ["a", "b"], "c")
