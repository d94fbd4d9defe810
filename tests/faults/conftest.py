"""The grounds on which faults happen: every scenario that makes sense on both runs on both."""

from pathlib import Path

import pytest

from tests.faults.ground import Containers, Ground, Processes
from tests.faults.scenario import LONG
from tests.support.docker_engine import App, docker_app, docker_engine

__all__ = ["docker_app", "docker_engine"]

RUNTIMES = ["process", pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(params=RUNTIMES)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    if request.param == "process":
        return Processes(tmp_path)
    return Containers(tmp_path, request.getfixturevalue("docker_app"))


@pytest.fixture
def other_ground(ground: Ground, tmp_path: Path) -> Ground:
    """Of the same kind, in a folder of its own."""
    (folder := tmp_path / "other").mkdir()
    return Containers(folder, ground.app) if isinstance(ground, Containers) else Processes(folder)


@pytest.fixture
def docker_ground(tmp_path: Path, docker_app: App) -> Ground:
    return Containers(tmp_path, docker_app)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A minute is the limit of a test, but for the long mode."""
    for item in items:
        if LONG and "faults" in item.nodeid and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))
