"""A runtime on the real engine for each test, and nothing of its owner left afterwards."""

import uuid
from collections.abc import AsyncIterator

import pytest

from runtimes.docker import DockerRuntime
from tests.support.docker_engine import busybox_image, containers_of, docker_app, docker_engine

__all__ = ["busybox_image", "docker_app", "docker_engine"]


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
