"""Tests run in several processes at once: most of the time they wait for sockets and clocks.

The tests of one file stay together, and so do all that need Docker, whose engine is slow when it
has much to do at once; whole systems on processes share nothing, and each of their tests goes where
there is room.
"""

import pytest

_DOCKER = {"docker_engine", "busybox_image", "docker_app"}
_APART = ("tests/e2e/", "tests/faults/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    needs_docker = not _DOCKER.isdisjoint(getattr(item, "fixturenames", ()))
    if needs_docker or "docker" in item.nodeid or item.get_closest_marker("docker"):
        return "docker"
    return item.nodeid if item.nodeid.startswith(_APART) else item.nodeid.split("::")[0]
