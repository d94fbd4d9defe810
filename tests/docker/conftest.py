"""A runtime on the real engine for each test, and nothing of its owner left afterwards."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtimes.docker import DockerRuntime
from runtimes.docker_engine import Deadlines
from tests.docker.scripted_engine import until_open
from tests.support.docker_engine import busybox_image, containers_of, docker_app, docker_engine
from tests.support.faulty_engine import FaultyEngine, faulty_engine

__all__ = ["busybox_image", "docker_app", "docker_engine"]

# For who is to be kept waiting: a busy engine alone can take longer for what it does answer.
SOON = Deadlines(call=0.5)


@pytest.fixture
def owner() -> str:
    return f"docker-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def runtime(docker_engine: str, owner: str) -> AsyncIterator[DockerRuntime]:
    runtime = DockerRuntime(owner)
    await runtime.open()
    try:
        yield runtime
    finally:
        for instance in await runtime.instances():
            await runtime.stop(instance.id, grace=0)
        await runtime.close()
        assert await containers_of(owner) == []


@pytest.fixture
async def faulty(docker_engine: str, tmp_path: Path) -> AsyncIterator[FaultyEngine]:
    async with faulty_engine(tmp_path / "docker.sock") as engine:
        yield engine


@pytest.fixture
async def through(
    faulty: FaultyEngine, owner: str, runtime: DockerRuntime
) -> AsyncIterator[DockerRuntime]:
    """A runtime that speaks to it; `runtime` is the same owner's, and clears up."""
    one = DockerRuntime(owner, url=faulty.url)
    await one.open()
    try:
        yield one
    finally:
        await one.close()


@pytest.fixture
async def impatient(faulty: FaultyEngine, owner: str) -> AsyncIterator[DockerRuntime]:
    """As `through`, but no call may take longer than SOON."""
    one = DockerRuntime(owner, url=faulty.url, deadlines=SOON)
    await until_open(one)
    try:
        yield one
    finally:
        await one.close()
