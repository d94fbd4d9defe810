"""Tests run in two processes at once: most of the time they wait for sockets and clocks.

The tests of one file stay together, and so do all that need Docker, whose image one of them builds
for all.
"""

import pytest

_DOCKER = {"docker_engine", "busybox_image", "docker_app"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = getattr(item, "fixturenames", ())
        docker = "docker" in item.nodeid or not _DOCKER.isdisjoint(names)
        item.add_marker(pytest.mark.xdist_group("docker" if docker else item.nodeid.split("::")[0]))
