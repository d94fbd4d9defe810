"""Tests run in several processes at once: most of the time they wait for sockets and clocks.

The tests of one file stay together; whole systems on processes share nothing, and each of their
tests goes where there is room. Those that need Docker are two groups, of drivers and of systems: an
engine that has much to do at once is slow, and each group builds its images but once.
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
        return f"docker {item.nodeid.startswith(_APART)}"
    return item.nodeid if item.nodeid.startswith(_APART) else item.nodeid.split("::")[0]
