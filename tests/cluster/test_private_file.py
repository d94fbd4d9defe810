"""Files for the owner alone, replaced in one step."""

import os
from pathlib import Path

import pytest

from cluster import private_file


def test_it_is_for_the_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private_file.write(tmp_path / "a.json", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o600


def test_it_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    private_file.write(file, b"long content")
    private_file.write(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_take_its_place_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    (file / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        private_file.write(file, b"new")
    assert list(tmp_path.iterdir()) == [file]
