"""What `host` comes to on this machine."""

import os
from pathlib import Path

import pytest

from config.settings import Host
from tidegate.host_limits import budget_of, machine_memory, starts_of


@pytest.mark.parametrize(
    ("starts", "cores", "expected"), [("auto", 1, 8), ("auto", 2, 8), ("auto", 16, 64), (3, 16, 3)]
)
def test_starts_at_once(starts: object, cores: int, expected: int) -> None:
    assert starts_of(Host.model_validate({"starts": starts}), cores) == expected


def test_no_limit_of_starts() -> None:
    assert starts_of(Host(starts=0), 4) == 0


def test_memory_is_a_size_or_a_share_of_what_there_is() -> None:
    assert budget_of(Host()) is None
    assert budget_of(Host.model_validate({"memory": "6GiB"})) == 6 * 2**30
    half = budget_of(Host.model_validate({"memory": "50%"}))
    assert half == int(machine_memory() * 0.5)


def test_the_limit_of_the_container_that_we_run_in_counts(tmp_path: Path) -> None:
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert machine_memory(tmp_path) == physical
    (tmp_path / "memory.max").write_text("max\n")
    assert machine_memory(tmp_path) == physical
    (tmp_path / "memory.max").write_text("1048576\n")
    assert machine_memory(tmp_path) == 1048576
