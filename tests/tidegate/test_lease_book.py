"""Leases in a file: whole or not at all, and never a reason not to start."""

import logging
from pathlib import Path

import pytest

from autoscaler.leases import Kept
from tidegate.lease_book import NAME, LeaseBook

LEASES = [Kept("a", "web", 1_700_000_600.25, "web-1"), Kept("b", "web", 1_700_000_900.0)]


def test_what_was_written_is_read_again_and_by_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    LeaseBook(folder).write(LEASES)
    assert LeaseBook(folder).read() == LEASES
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_there_may_be_none_yet(tmp_path: Path) -> None:
    assert LeaseBook(tmp_path).read() == []


@pytest.mark.parametrize("content", [b"", b"[{]", b"[1]", b'{"a": 1}', b'[{"id": "a"}]', b"\xff"])
def test_a_broken_file_is_told_and_stops_nobody(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert LeaseBook(tmp_path).read() == []
    assert "leases from before are lost" in caplog.text


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        LeaseBook(tmp_path / "file").write(LEASES)
    assert "a restart would end all leases" in caplog.text
