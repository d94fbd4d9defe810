"""A host without room for another replica: idle services go, those in use stay, and the operator is
told why something does not start. Real processes and real containers.

Sources: priorities of a full host as in Kubernetes' preemption, but of what is idle only; and
sablierapp/sablier, where a host that is full fails the next start without a word.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.docker_engine import App, docker_app, docker_engine
from tests.support.running import Running, app, configuration, tidegate, write

__all__ = ["docker_app", "docker_engine"]

LONG = {"idle": {"stop_after": "1h"}}


def contained(given: App, **changes: Any) -> dict[str, Any]:
    return {
        "image": given.image,
        "volumes": list(given.volumes),
        "stop_grace": "2s",
        "resources": {"memory": "64MiB"},
        "scaling": LONG,
        **changes,
    }


async def is_asleep(running: Running, service: str) -> bool:
    return not await running.replicas(service)


async def problem(running: Running, service: str) -> dict[str, Any]:
    """What it is refused with."""
    answer = await running.get(service)
    assert answer.status == 503, answer
    return {**answer.json, "header": answer.headers.get("Retry-After")}


@pytest.mark.docker
async def test_idle_containers_make_room_and_those_in_use_stay(
    tmp_path: Path, docker_app: App
) -> None:
    services = {name: contained(docker_app) for name in ("first", "second", "third")}
    file = configuration(tmp_path, services, runtime="docker", host={"memory": "130MiB"})
    async with tidegate(file) as running:
        for service in ("first", "second"):
            assert (await running.get(service)).status == 200
        # The third one waits until the first has been idle for long enough, and is then served.
        assert (await running.get("third")).status == 200
        await running.until(lambda: is_asleep(running, "first"))
        assert await running.replicas("second", "ready")
        (told,) = running.said("host-full")
        assert told.startswith("third waits for first, which is idle and stopped for it")
        assert "needs 64MiB, 2MiB free of 130MiB" in told
        async with asyncio.TaskGroup() as group:
            busy = [
                group.create_task(running.get(service, "/sleep?ms=6000"))
                for service in ("second", "third")
            ]

            async def both_are_busy() -> bool:
                known = [await running.service(name) for name in ("second", "third")]
                return all(service["in_flight"] == 1 for service in known)

            await running.until(both_are_busy)
            refused = await problem(running, "first")
            assert (refused["code"], refused["header"]) == ("host-full", "5")
            assert "second" not in refused["detail"]
            trouble = (await running.service("first"))["trouble"]
            assert trouble["code"] == "host-full"
            assert "held by second: 64MiB, third: 64MiB" in trouble["message"]
        assert [task.result().status for task in busy] == [200, 200]

        async def is_served() -> bool:
            return (await running.get("first")).status == 200

        await running.until(is_served)
        assert (await running.service("first"))["trouble"] is None
        page = (await running.api("/metrics")).body.decode()
        assert 'tidegate_host_memory_bytes{kind="budget"} 1.3631488e+08' in page
        assert 'tidegate_host_memory_bytes{kind="taken"} 1.34217728e+08' in page


async def test_processes_count_with_what_they_use(tmp_path: Path) -> None:
    """Processes have no limit: one that grows to fill the host keeps others out, until it sleeps
    for them; and a reload with more memory lets them in."""
    services = {name: app(scaling=LONG) for name in ("big", "small", "late")}
    host = {"memory": "600MiB"}
    file = configuration(tmp_path, services, host=host)
    async with tidegate(file) as running:
        assert (await running.get("big", "/memory?mib=400")).status == 200

        async def is_measured() -> bool:
            page = (await running.api("/metrics")).body.decode()
            line = next(line for line in page.splitlines() if 'kind="taken"' in line)
            return float(line.split()[-1]) > 400 * 2**20

        await running.until(is_measured)
        async with asyncio.TaskGroup() as group:
            busy = group.create_task(running.get("big", "/sleep?ms=4000"))

            async def is_busy() -> bool:
                return bool((await running.service("big"))["in_flight"] == 1)

            await running.until(is_busy)
            assert (await problem(running, "small"))["code"] == "host-full"
        assert busy.result().status == 200
        async with asyncio.TaskGroup() as group:
            again = group.create_task(running.get("big", "/sleep?ms=4000"))
            await running.until(is_busy)
            await _reload(running, file, {"memory": "2GiB"})
            assert (await running.get("small")).status == 200
        assert again.result().status == 200
        await _reload(running, file, {"memory": "450MiB"})

        async def late_is_served() -> bool:
            return (await running.get("late")).status == 200

        await running.until(late_is_served)
        assert await is_asleep(running, "big") or await is_asleep(running, "small")


async def _reload(running: Running, file: Path, host: dict[str, Any]) -> None:
    content = yaml.safe_load(await asyncio.to_thread(file.read_text))
    write(file, {**content, "host": host})
    answer = await running.api("/v1/reload", "POST")
    assert (answer.status, answer.json["restart_needed"]) == (200, [])
