"""Control groups as the kernel shows them (cgroup v1 and v2), laid out by either driver."""

from pathlib import Path

import pytest

from cluster.model import Usage
from runtimes.docker_cgroup import kills_of_all, out_of_memory, usage_of

ID = "f1f8b60c39e2"
V2 = {
    "cpu.stat": "usage_usec 1500000\nuser_usec 1000000\n",
    "memory.current": "1000\n",
    "memory.stat": "anon 500\ninactive_file 300\nactive_file 200\n",
}
CPU_V1 = {"cpuacct.usage": "1500000000\n"}
MEMORY_V1 = {
    "memory.usage_in_bytes": "1000\n",
    "memory.stat": "inactive_file 1\ntotal_inactive_file 300\n",
}


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("place", [f"docker/{ID}", f"system.slice/docker-{ID}.scope"])
def test_both_versions_tell_the_same(tmp_path: Path, place: str) -> None:
    write(tmp_path / "2" / place, V2)
    write(tmp_path / "1/cpuacct" / place, CPU_V1)
    write(tmp_path / "1/memory" / place, MEMORY_V1)
    for version in ("1", "2"):
        assert usage_of([ID, "another"], tmp_path / version) == {ID: Usage(1.5, 700)}


@pytest.mark.parametrize("broken", [*V2, "id"])
def test_what_cannot_be_read_is_left_to_the_engine(tmp_path: Path, broken: str) -> None:
    write(tmp_path / "docker" / ID, {**V2, broken: "what?"})
    assert usage_of(["../docker/" + ID if broken == "id" else ID], tmp_path) == {}


@pytest.mark.parametrize("place", [f"docker/{ID}", f"system.slice/docker-{ID}.scope"])
@pytest.mark.parametrize(("kills", "ran_out"), [(0, False), (2, True)])
def test_both_versions_count_who_was_killed_for_memory(
    tmp_path: Path, place: str, kills: int, ran_out: bool
) -> None:
    write(tmp_path / "2" / place, {"memory.events": f"max 7\noom 3\noom_kill {kills}\n"})
    v1 = {"memory.oom_control": f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n"}
    write(tmp_path / "1/memory" / place, v1)
    for version in ("1", "2"):
        assert out_of_memory(ID, tmp_path / version) is ran_out


def test_of_a_group_that_is_gone_nothing_is_known(tmp_path: Path) -> None:
    assert out_of_memory(ID, tmp_path) is None
    write(tmp_path / "memory/docker" / ID, {"memory.oom_control": "under_oom 0\n"})  # before 4.13
    assert out_of_memory(ID, tmp_path) is None
    assert out_of_memory("../docker/" + ID, tmp_path) is None


def test_the_kernel_counts_all_who_were_killed_for_memory(tmp_path: Path) -> None:
    assert kills_of_all(tmp_path) is None
    (tmp_path / "vmstat").write_text("nr_free_pages 100\noom_kill 12\nballoon_inflate 0\n")
    assert kills_of_all(tmp_path) == 12
