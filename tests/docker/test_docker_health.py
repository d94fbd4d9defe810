"""What the engine's own HEALTHCHECK says, and how soon we hear of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cluster.model import Instance, InstanceHealth, InstanceStatus
from cluster.runtime import Hint
from cluster.workload import Workload
from runtimes.docker import DockerRuntime
from tests.support.docker_engine import checked_image

__all__ = ["checked_image"]
pytestmark = pytest.mark.docker

HEALTHY, UNHEALTHY = InstanceHealth.HEALTHY, InstanceHealth.UNHEALTHY


async def only(runtime: DockerRuntime) -> Instance:
    [instance] = await runtime.instances()
    return instance


async def until_it_says(
    runtime: DockerRuntime, hints: AsyncIterator[Hint], health: InstanceHealth
) -> None:
    """Looked at when hinted at, and only then."""
    async with asyncio.timeout(30):
        async for _ in hints:
            if (await only(runtime)).health is health:
                return
    raise AssertionError("the hints ended")


async def once_it_is(
    status: InstanceStatus, runtime: DockerRuntime, hints: AsyncIterator[Hint]
) -> Instance:
    """The engine's belief lags while it works off the events of checks."""
    async with asyncio.timeout(30):
        while (instance := await only(runtime)).status is not status:
            await anext(hints)
        return instance


@contextlib.asynccontextmanager
async def started(
    runtime: DockerRuntime, image: str, shared: Path
) -> AsyncIterator[tuple[Instance, AsyncIterator[Hint]]]:
    hints = runtime.watch()
    assert await anext(hints) == Hint(None)
    workload = Workload("web", "r1", image=image, volumes=(f"{shared}:/shared:ro",))
    yield await runtime.start("web-1", workload), hints


async def test_each_turn_of_a_healthcheck_is_told_by_an_event(
    runtime: DockerRuntime, checked_image: str, tmp_path: Path
) -> None:
    (tmp_path / "ok").touch()
    (tmp_path / "wait").touch()
    async with started(runtime, checked_image, tmp_path) as (instance, hints):
        assert instance.health is InstanceHealth.STARTING
        (tmp_path / "wait").unlink()
        await until_it_says(runtime, hints, HEALTHY)
        (tmp_path / "ok").unlink()
        await until_it_says(runtime, hints, UNHEALTHY)
        (tmp_path / "ok").touch()
        await until_it_says(runtime, hints, HEALTHY)


async def test_one_that_never_passes_ends_as_unhealthy(
    runtime: DockerRuntime, checked_image: str, tmp_path: Path
) -> None:
    async with started(runtime, checked_image, tmp_path) as (_, hints):
        await until_it_says(runtime, hints, UNHEALTHY)


async def test_a_thawed_container_is_as_healthy_as_it_was(
    runtime: DockerRuntime, checked_image: str, tmp_path: Path
) -> None:
    """The engine itself says unhealthy from the pause until a check has passed again."""
    (tmp_path / "ok").touch()
    async with started(runtime, checked_image, tmp_path) as (instance, hints):
        await until_it_says(runtime, hints, HEALTHY)
        for _ in range(3):
            await runtime.freeze(instance.id)
            await once_it_is(InstanceStatus.FROZEN, runtime, hints)
            await runtime.thaw(instance.id)
            thawed = await once_it_is(InstanceStatus.RUNNING, runtime, hints)
            assert thawed.health is HEALTHY


async def test_what_is_started_again_has_to_pass_again(
    runtime: DockerRuntime, checked_image: str, tmp_path: Path
) -> None:
    (tmp_path / "ok").touch()
    async with started(runtime, checked_image, tmp_path) as (instance, hints):
        await until_it_says(runtime, hints, HEALTHY)
        await runtime.halt(instance.id, grace=0)
        (tmp_path / "wait").touch()
        assert (await runtime.resume(instance.id)).health is InstanceHealth.STARTING
        (tmp_path / "wait").unlink()
        await until_it_says(runtime, hints, HEALTHY)


async def test_an_image_without_one_has_no_health(
    runtime: DockerRuntime, busybox_image: str
) -> None:
    instance = await runtime.start("web-1", Workload("web", "r1", image=busybox_image))
    assert instance.health is None
    assert (await only(runtime)).health is None
