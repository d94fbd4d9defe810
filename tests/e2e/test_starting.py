"""What keeps Tidegate from starting is told in one line, with the place and the remedy."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.running import Running, app, configuration, tidegate


def run(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """To its end, which must come soon."""
    return subprocess.run(
        [sys.executable, "-m", "tidegate", "run", "--config", str(file), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def another(folder: Path, **top: object) -> Path:
    other = folder / "other"
    other.mkdir()
    return configuration(other, {"web": app()}, **top)


def test_a_wrong_file_is_exit_code_2_with_every_error(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app(drain="soon", concurrency=-1)})
    ended = run(file)
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{file}:") for line in lines)
    assert "services.web.drain" in ended.stderr
    assert "services.web.concurrency" in ended.stderr


def test_a_missing_file_is_exit_code_2(tmp_path: Path) -> None:
    ended = run(tmp_path / "nothing.yaml")
    assert ended.returncode == 2
    assert "nothing.yaml" in ended.stderr


@pytest.mark.parametrize("workers", [0, 1])
async def test_a_gateway_port_in_use(tmp_path: Path, workers: int) -> None:
    async with tidegate(configuration(tmp_path, {"web": app()})) as running:
        taken = {"listen": [running.gateway], "workers": workers}
        ended = run(another(tmp_path, gateway=taken))
        assert ended.returncode == 1
        assert f"cannot listen on {running.gateway}" in ended.stderr
        assert "gateway.listen" in ended.stderr
        await still_serves(running)


async def test_an_admin_port_in_use(tmp_path: Path) -> None:
    async with tidegate(configuration(tmp_path, {"web": app()})) as running:
        ended = run(another(tmp_path, admin={"listen": running.admin}))
        assert ended.returncode == 1
        assert f"{running.admin} is in use" in ended.stderr
        assert "admin.listen" in ended.stderr
        await still_serves(running)


async def test_two_with_one_owner(tmp_path: Path) -> None:
    """The second one would scale and stop what belongs to the first: it refuses."""
    file = configuration(tmp_path, {"web": app()})
    async with tidegate(file) as running:
        same = yaml.safe_load(file.read_text())
        ended = run(another(tmp_path, owner=same["owner"], state_dir=same["state_dir"]))
        assert ended.returncode == 1
        assert same["owner"] in ended.stderr
        assert str(running.process.pid) in ended.stderr
        await still_serves(running)


async def still_serves(running: Running) -> None:
    assert (await running.get("web")).status == 200


def test_a_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run(configuration(tmp_path, {"web": app()}, state_dir=f"{tmp_path}/file/state"))
    assert ended.returncode == 1
    assert f"{tmp_path}/file/state" in ended.stderr
    assert "Traceback" not in ended.stderr
