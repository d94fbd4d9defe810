"""Images with a HEALTHCHECK under a whole Tidegate on a real engine."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker_engine import checked_image, docker_engine, engine
from tests.support.running import Running, configuration, tidegate

__all__ = ["checked_image", "docker_engine"]
pytestmark = pytest.mark.docker


def on_docker(folder: Path, image: str, **changes: Any) -> Path:
    """The service's replicas share a folder: what they all depend on."""
    shared = folder / "shared"
    shared.mkdir(exist_ok=True)
    web = {"image": image, "volumes": [f"{shared}:/shared:ro"], "stop_grace": "0s", **changes}
    return configuration(folder, {"web": web}, runtime="docker")


async def run_in(instance: str, *command: str) -> None:
    async with engine() as docker:
        run = await docker.containers.container(instance).exec(list(command))
        async with run.start() as output:
            await output.read_out()


async def count_ready(running: Running) -> int:
    return len(await running.replicas("web", "ready"))


async def container_of(replica: str) -> str:
    async with engine() as docker:
        found = await docker.containers.list(filters={"label": [f"tidegate.replica={replica}"]})
        [container] = found
        return str(container.id)


async def test_a_request_is_held_until_the_healthcheck_passes(
    tmp_path: Path, checked_image: str
) -> None:
    async with tidegate(on_docker(tmp_path, checked_image)) as running:

        async def starting() -> bool:
            return len(await running.replicas("web", "starting")) == 1

        async with asyncio.TaskGroup() as group:
            request = group.create_task(running.get("web"), name="the first request")
            await running.until(starting)
            assert not request.done()
            # Its port has been open for long; unhealthy only after two failures, 400 ms.
            (tmp_path / "shared" / "ok").touch()
        assert request.result().status == 200

        async def is_told() -> bool:
            return bool(running.said("replica-ready"))

        await running.until(is_told)
        (told,) = running.said("replica-ready")
        assert "the HEALTHCHECK of its image passes" in str(told)


async def test_a_probe_in_the_file_counts_instead(tmp_path: Path, checked_image: str) -> None:
    health = {"startup": {"tcp": True}}
    async with tidegate(on_docker(tmp_path, checked_image, health=health)) as running:
        assert (await running.get("web")).status == 200
        await asyncio.sleep(1.5)
        assert (await running.get("web")).status == 200
        assert running.said("replica-evicted") == []


async def test_an_unhealthy_container_is_replaced_and_no_request_fails(
    tmp_path: Path, checked_image: str
) -> None:
    file = on_docker(tmp_path, checked_image, scaling={"min": 2})
    (tmp_path / "shared" / "ok").touch()
    async with tidegate(file) as running:

        async def two() -> bool:
            return await count_ready(running) == 2

        await running.until(two)
        sick = (await running.replicas("web"))[0]["id"]
        await run_in(await container_of(sick), "touch", "/sick")
        statuses: Counter[int] = Counter()

        async def replaced() -> bool:
            statuses[(await running.get("web")).status] += 1
            present = [one["id"] for one in await running.replicas("web")]
            return sick not in present and await count_ready(running) == 2

        await running.until(replaced)
        assert set(statuses) == {200}
        assert len(running.said("replica-evicted")) == 1
        metrics = (await running.api("/metrics")).body.decode()
        assert 'tidegate_evictions_total{reason="healthcheck",service="web"} 1.0' in metrics


async def test_a_broken_dependency_of_all_is_no_kill_storm(
    tmp_path: Path, checked_image: str
) -> None:
    """All three containers turn unhealthy together, and new ones do not get healthy: at most one
    is lost, the others keep serving, and all are whole once the dependency is back."""
    file = on_docker(tmp_path, checked_image, scaling={"min": 3})
    (tmp_path / "shared" / "ok").touch()
    async with tidegate(file) as running:

        async def three() -> bool:
            return await count_ready(running) == 3

        await running.until(three)
        first = {one["id"] for one in await running.replicas("web")}
        (tmp_path / "shared" / "ok").unlink()

        async def held() -> bool:
            return bool(running.said("evictions-held"))

        statuses: Counter[int] = Counter()
        await running.until(held)
        for _ in range(100):
            statuses[(await running.get("web")).status] += 1
            assert await count_ready(running) >= 2
            await asyncio.sleep(0.05)
        assert set(statuses) == {200}
        present = {one["id"] for one in await running.replicas("web")}
        assert len(first & present) >= 2
        assert len(running.said("replica-evicted")) == 1

        (tmp_path / "shared" / "ok").touch()
        await running.until(three)
        assert len(first & {one["id"] for one in await running.replicas("web")}) >= 2
