"""Tests run in several processes at once: most of the time they wait for sockets and clocks."""

import signal
from typing import Any

import hypothesis
import pytest

from tests.chains import InChains, needs_docker, turn

_DOCKER = {"docker_engine", "busybox_image", "docker_app"}

# How long an example takes, or is thought of, says how busy the machine is.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")


def pytest_configure() -> None:
    # A shell starts what is put in the background with Ctrl-C ignored, which programs
    # inherit. Those that tests start, and interrupt, are not to.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InChains:
    return InChains(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _needs_docker(item) and not needs_docker(item.nodeid):
            raise pytest.UsageError(f"tests/chains.py is to name what needs Docker: {item.nodeid}")
    items.sort(key=lambda item: turn(item.nodeid))  # keeps the order among equals


def _needs_docker(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return not _DOCKER.isdisjoint(fixtures) or item.get_closest_marker("docker") is not None
