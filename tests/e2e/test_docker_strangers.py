"""Containers of others that look like ours: neither routed to, nor counted, nor removed."""

from pathlib import Path

import pytest

from tests.e2e.test_docker import on_docker, owner_of, ready, service
from tests.support.docker_engine import App, containers_of, docker_app, docker_engine, engine
from tests.support.running import tidegate

__all__ = ["docker_app", "docker_engine"]

pytestmark = pytest.mark.docker


async def test_a_copy_of_a_replica_with_all_its_labels_is_left_alone(
    tmp_path: Path, docker_app: App
) -> None:
    """As after `docker commit` and `docker run`, or a Compose file made from an inspection."""
    file = on_docker(tmp_path, {"web": service(docker_app, scaling={"min": 1, "max": 1})})
    async with engine() as docker, tidegate(file) as running:
        await running.until(lambda: ready(running, "web", 1))
        (name,) = await containers_of(owner_of(file))
        facts = await docker.containers.container(name.lstrip("/")).show()
        config, host = facts["Config"], facts["HostConfig"]
        stranger = await docker.containers.create(
            {
                "Image": config["Image"],
                "Cmd": config["Cmd"],
                "Env": config["Env"],
                "Labels": config["Labels"],
                "HostConfig": {"Mounts": host["Mounts"], "NetworkMode": host["NetworkMode"]},
            },
            name=f"stranger-{owner_of(file)}",
        )
        try:
            await stranger.start()
            ours = {(await running.get("web")).body for _ in range(20)}
            assert len(ours) == 1
            # A reload and a resync look at everything anew.
            assert (await running.api("/v1/reload", "POST")).status == 200
            # Killed, ours is replaced: the stranger is no substitute and is not adopted.
            await docker.containers.container(facts["Id"]).kill()

            async def replaced() -> bool:
                present = await running.replicas("web", "ready")
                return bool(present) and present[0]["id"] != config["Labels"]["tidegate.replica"]

            await running.until(replaced)
            assert len(await running.replicas("web")) == 1
            assert running.said("replica-adopted") == []
            assert {(await running.get("web")).body for _ in range(20)} != ours
            assert await running.end() == 0
            assert (await stranger.show())["State"]["Running"] is True
            assert await containers_of(owner_of(file)) == [f"/stranger-{owner_of(file)}"]
        finally:
            await stranger.delete(force=True)
