"""The grounds on which faults happen: every scenario that makes sense on both runs on both.

In the short form of `make test` each runs once, on the ground where more can go wrong; the long
form (`make faults`, TIDEGATE_FAULTS=long) runs all of them at full length.
"""

from pathlib import Path

import pytest

from tests.faults.ground import Containers, Ground, Processes
from tests.faults.mode import LONG
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


ONLY_LONG = {
    "process": (
        "a_replica_that_fails_its_requests[process-reset]",
        "a_replica_that_fails_its_requests[process-cut]",
        "a_rolling_restart",
        "the_disk_for_state",
        "two_owners",
        "they_outlive",
    ),
    "docker": (
        "a_replica_that_fails_its_requests[docker-error]",
        "a_replica_that_fails_its_requests[docker-silent]",
        "a_second_one_with_the_same_owner",
        "a_hundred_reloads",
        "a_herd",
        "a_replica_that_hangs",
        "descriptors",
        "kill_9_of_a_gateway",
        "memory_runs_short",
        "kill_9_of_the_control",
        "scaling_loses",
        "services_that_cannot_run",
        "the_clock",
        "the_engine_is_away[stopped]",
    ),
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if LONG:
        return
    left_out = [item for item in items if _only_long(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _only_long(item: pytest.Item) -> bool:
    if "tests/faults/" not in item.nodeid:
        return False
    on = "process" if "[process" in item.nodeid else "docker"
    return any(f"::test_{name}" in item.nodeid for name in ONLY_LONG[on])
