"""Control groups as the kernel shows them (cgroup v1 and v2), laid out by either driver."""

from pathlib import Path

import pytest

from cluster.model import Usage
from runtimes.docker_cgroup import usage_of

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
