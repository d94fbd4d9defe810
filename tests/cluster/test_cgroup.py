"""The memory limit of a process, as the kernel shows it in either version of control groups."""

from pathlib import Path

import pytest

from cluster.cgroup import Group, Memory, resident

MIB = 2**20
NONE_V1 = 9223372036854771712  # what the first version says for none
NAMES = {2: ("memory.max", "memory.current"), 1: ("memory.limit_in_bytes", "memory.usage_in_bytes")}
PLACE = {2: "", 1: "memory"}
MEMBER = {2: "0::{}\n", 1: "5:cpu,cpuacct:/elsewhere\n4:memory:{}\n0::/\n"}


def make(root: Path, version: int, path: str, limit: object, used: int = 0, stat: str = "") -> None:
    folder = root / PLACE[version] / path.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(NAMES[version], (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(stat)


def limited(root: Path, version: int, path: str) -> Group | None:
    (member := root / "member").write_text(MEMBER[version].format(path))
    return Group.limited(root, member)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("limits", "applies"),
    [
        ({"/a/b": 64 * MIB}, "a/b"),
        ({"/a": 64 * MIB, "/a/b": 128 * MIB}, "a"),
        ({"/a": 128 * MIB, "/a/b": 64 * MIB}, "a/b"),
        ({"/": 64 * MIB, "/a": 128 * MIB}, ""),
        ({"/a/c": 64 * MIB}, None),
        ({}, None),
    ],
)
def test_the_least_limit_above_a_process_applies(
    tmp_path: Path, version: int, limits: dict[str, int], applies: str | None
) -> None:
    unlimited = NONE_V1 if version == 1 else "max"
    for path in ("/a/b", "/a", "/"):
        make(tmp_path, version, path, unlimited)
    for path, limit in limits.items():
        make(tmp_path, version, path, limit)
    group = limited(tmp_path, version, "/a/b")
    if applies is None:
        assert group is None
    else:
        assert group is not None
        assert group.folder == tmp_path / PLACE[version] / applies


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, version: int) -> None:
    """Whatever the group is called outside: that folder is not there."""
    make(tmp_path, version, "/", 64 * MIB, 1 * MIB)
    group = limited(tmp_path, version, "/docker/f1f8b60c")
    assert group is not None
    assert group.read() == Memory(64 * MIB, 1 * MIB)


@pytest.mark.parametrize(
    ("version", "stat", "expected"),
    [
        (2, f"anon 1\ninactive_file {10 * MIB}\nsock 4096\n", Memory(64 * MIB, 40 * MIB, 4096)),
        (1, f"inactive_file 7\ntotal_inactive_file {10 * MIB}\n", Memory(64 * MIB, 40 * MIB)),
        (2, "anon 1\n", Memory(64 * MIB, 50 * MIB)),
    ],
)
def test_file_pages_that_nobody_used_lately_do_not_count(
    tmp_path: Path, version: int, stat: str, expected: Memory
) -> None:
    make(tmp_path, version, "/a", 64 * MIB, 50 * MIB, stat)
    group = limited(tmp_path, version, "/a")
    assert group is not None
    assert group.read() == expected


def test_a_limit_that_changes_is_seen_and_one_that_goes_away_is_none(tmp_path: Path) -> None:
    make(tmp_path, 2, "/a", 64 * MIB, 1 * MIB)
    group = limited(tmp_path, 2, "/a")
    assert group is not None
    make(tmp_path, 2, "/a", 32 * MIB, 1 * MIB)
    assert group.read() == Memory(32 * MIB, 1 * MIB)
    make(tmp_path, 2, "/a", "max", 1 * MIB)
    assert group.read() is None
    make(tmp_path, 2, "/a", 32 * MIB, 30 * MIB, "what?")
    assert group.read() is None
    (tmp_path / "a/memory.current").unlink()
    assert group.read() is None


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert Group.limited(tmp_path, tmp_path / "absent") is None


def test_what_a_process_has_grows_with_it() -> None:
    before = resident()
    kept = bytearray(b"x" * 32 * MIB)
    assert resident() - before >= 24 * MIB
    del kept
