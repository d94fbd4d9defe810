"""Leases and dependencies of containers, on a real Docker engine."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker_engine import (
    INSIDE,
    App,
    containers_of,
    docker_app,
    docker_engine,
    engine,
)
from tests.support.running import Running, configuration, tidegate

__all__ = ["docker_app", "docker_engine"]
pytestmark = pytest.mark.docker

PYTHON = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
# A replica that takes a lease before it listens, as its own client of the admin API.
LEASED = f"""
import os, runpy, urllib.request
request = urllib.request.Request(
    os.environ["TIDEGATE_URL"] + "/v1/services/" + os.environ["TIDEGATE_SERVICE"] + "/lease",
    b'{{"for": "10m", "replica": "' + os.environ["TIDEGATE_REPLICA"].encode() + b'"}}',
    {{"Authorization": "Bearer " + os.environ["TIDEGATE_LEASE_TOKEN"]}},
)
urllib.request.urlopen(request, timeout=10).read()
runpy.run_path("{INSIDE}", run_name="__main__")
"""


def service(app: App, *command: str, **changes: Any) -> dict[str, Any]:
    run = {"command": [PYTHON, "-I", *command]} if command else {}
    idle = {"idle": {"stop_after": "1s"}}
    return {
        "image": app.image,
        "volumes": list(app.volumes),
        "stop_grace": "2s",
        "scaling": idle,
        **run,
        **changes,
    }


async def bridge() -> str:
    """The address of the engine's host on its default network."""
    async with engine() as docker:
        facts = await (await docker.networks.get("bridge")).show()
        return str(facts["IPAM"]["Config"][0]["Gateway"])


@pytest.mark.parametrize("host", ["0.0.0.0", "bridge"])
async def test_a_container_takes_a_lease_of_its_own(
    tmp_path: Path, docker_app: App, host: str
) -> None:
    """By the name of the engine's host, or by the address of its bridge."""
    listen = f"{await bridge() if host == 'bridge' else host}:0"
    token = tmp_path / "token"
    token.write_text("the-operators-own")
    file = configuration(
        tmp_path,
        {"web": service(docker_app, "-c", LEASED)},
        runtime="docker",
        admin={"listen": listen, "token_file": str(token)},
    )
    async with tidegate(file) as running:
        assert (await running.get("web")).status == 200
        headers = {"Authorization": "Bearer the-operators-own"}
        view = (await running.api("/v1/services/web", headers=headers)).json
        (replica,) = view["replicas"]
        assert [lease["replica"] for lease in view["leases"]] == [replica["id"]]


async def test_a_container_is_given_nothing_while_the_api_is_on_loopback(
    tmp_path: Path, docker_app: App
) -> None:
    file = configuration(tmp_path, {"web": service(docker_app, scaling={})}, runtime="docker")
    async with tidegate(file) as running:
        assert (await running.get("web", "/env?name=TIDEGATE_LEASE_TOKEN")).body == b""
        assert (await running.get("web", "/env?name=TIDEGATE_URL")).body == b""
        name = (await running.get("web", "/env?name=TIDEGATE_REPLICA")).body.decode()
        assert name == (await running.replicas("web"))[0]["id"]


async def test_a_migration_runs_once_before_the_service_that_needs_it(
    tmp_path: Path, docker_app: App
) -> None:
    services = {
        "web": service(docker_app, depends_on={"migrate": {"condition": "completed"}}),
        "migrate": service(docker_app, "-c", "import time; time.sleep(0.3)"),
    }
    file = configuration(tmp_path, services, runtime="docker")
    owner = file.read_text().splitlines()[0].removeprefix("owner: ")
    async with tidegate(file) as running:
        assert (await running.get("web")).status == 200

        async def is_logged() -> bool:
            return bool(running.said("replica-ready"))

        await running.until(is_logged)
        kinds = [str(line.get("kind")) for line in running.log]
        assert kinds.index("replica-completed") < kinds.index("replica-ready")
        assert kinds.count("replica-started") == 2
        assert (await running.service("migrate"))["completed"]

        async def none_left() -> bool:
            return not await containers_of(owner)

        await running.until(none_left)
        assert "replica-failed" not in [line.get("kind") for line in running.log]


KEPT = {"idle": {"stop_after": "1s", "remove_after": "1h"}}


async def test_a_stopped_container_is_kept_and_started_again(
    tmp_path: Path, docker_app: App
) -> None:
    """With what it wrote; also after a restart of Tidegate; and with SIGTERM all of it goes."""
    web = service(docker_app, scaling=KEPT)
    file = configuration(tmp_path, {"web": web}, runtime="docker")
    owner = file.read_text().splitlines()[0].removeprefix("owner: ")

    def kept_by(running: Running) -> Callable[[], Awaitable[bool]]:
        async def kept() -> bool:
            return bool(await running.replicas("web", "stopped"))

        return kept

    async with tidegate(file, "--keep-replicas") as running:
        host = (await running.get("web")).body
        await running.until(kept_by(running))
        (name,) = await containers_of(owner)
        async with engine() as docker:
            facts = await (await docker.containers.get(name.lstrip("/"))).show()
            assert facts["State"]["Status"] == "exited"
        answer = await running.get("web")
        assert (answer.status, answer.body) == (200, host), "the name of the same container"
        await running.until(kept_by(running))
        assert await containers_of(owner) == [name]
        assert await running.end() == 0
    assert await containers_of(owner) == [name]
    async with tidegate(file) as running:
        assert len(await running.replicas("web", "stopped")) == 1
        assert (await running.get("web")).body == host
        assert not running.said("replica-failed")
        await running.until(kept_by(running))
        assert await running.end() == 0
    assert await containers_of(owner) == []
