"""One owner, one Tidegate, and a folder that is nobody else's."""

import os
import stat
from pathlib import Path

import pytest

from tidegate.lock import AlreadyRunning, held


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_it_makes_is_its_users_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with held(tmp_path / "a" / "state", "me"):
            assert mode(tmp_path / "a" / "state") == 0o700
            assert mode(tmp_path / "a" / "state" / "owner.lock") == 0o600
    finally:
        os.umask(before)


def test_a_lock_of_an_older_version_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "owner.lock").write_text("1")
    (tmp_path / "owner.lock").chmod(0o644)
    with held(tmp_path, "me"):
        assert mode(tmp_path / "owner.lock") == 0o600


def test_the_second_is_told_who_is_the_first(tmp_path: Path) -> None:
    with (
        held(tmp_path, "me"),
        pytest.raises(AlreadyRunning, match=f"running already .process {os.getpid()}"),
        held(tmp_path, "me"),
    ):
        pass


@pytest.mark.parametrize("bits", [0o777, 0o1777, 0o702])
def test_a_folder_that_everybody_may_write_to_is_refused(tmp_path: Path, bits: int) -> None:
    """Its records say which processes are ours, and so whom to kill."""
    tmp_path.chmod(bits)
    with pytest.raises(PermissionError, match="chmod 700"), held(tmp_path, "me"):
        pass
    assert mode(tmp_path) == bits
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "owner.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic link"), held(tmp_path / "state", "me"):
        pass
    assert (tmp_path / "precious").read_text() == "data"
