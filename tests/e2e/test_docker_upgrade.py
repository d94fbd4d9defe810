"""`tidegate upgrade` with replicas in containers: they run on, and so do the requests."""

from pathlib import Path

import pytest

from tests.e2e.test_control_killed import PLANS, ready, served
from tests.e2e.test_docker import on_docker, owner_of, service
from tests.e2e.test_upgrade import gateway, names, upgradable
from tests.support.callers import Book, calling
from tests.support.docker_engine import App, containers_of, docker_app, docker_engine, engine
from tests.support.running import Running

__all__ = ["docker_app", "docker_engine"]
pytestmark = pytest.mark.docker


async def runs_of(owner: str) -> dict[str, tuple[int, str, bool]]:
    """Of each container: its main process, since when it runs, and whether it is frozen."""
    found = {}
    async with engine() as docker:
        for name in await containers_of(owner):
            state = (await docker.containers.container(name.lstrip("/")).show())["State"]
            found[name] = state["Pid"], state["StartedAt"], state["Paused"]
    return found


async def frozen(running: Running) -> bool:
    return len(await running.replicas("idle", "frozen")) == 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize("workers", [0, 2])
async def test_no_request_is_lost_and_no_container_restarted(
    tmp_path: Path, docker_app: App, workers: int
) -> None:
    idle = {"idle": {"freeze_after": "200ms", "stop_after": "1h"}}
    services = {
        "web": service(docker_app, scaling={"min": 2, "max": 2}),
        "idle": service(docker_app, scaling=idle),
    }
    file = on_docker(tmp_path, services, gateway=gateway(workers))
    owner = owner_of(file)
    async with upgradable(file) as line:
        running = line.running
        assert (await running.get("idle")).status == 200
        await ready(running)
        await running.until(lambda: frozen(running))
        replicas, runs = await names(running), await runs_of(owner)
        assert sorted(is_frozen for _, _, is_frozen in runs.values()) == [False, False, True]
        book = Book(running)
        async with calling(book, *PLANS):
            await served(book, 50)
            await line.succeed()
            # What was frozen is taken over awake, and falls asleep again.
            await running.until(lambda: frozen(running))
            assert (await names(running), await runs_of(owner)) == (replicas, runs)
            await served(book, 50)
        assert (book.lost, book.wrong) == ({}, [])
        # What it did not start itself it can wake, and misses when it ends.
        assert (await running.get("idle")).status == 200
        victim = next(iter(replicas))
        async with engine() as docker:
            (container,) = await docker.containers.list(
                filters={"label": [f"tidegate.replica={victim}"]}
            )
            await container.kill()

        async def replaced() -> bool:
            present = await names(running)
            return len(present) == 2 and victim not in present

        await running.until(replaced)
        assert len(set(await containers_of(owner)) & set(runs)) == 2
    assert await containers_of(owner) == []
