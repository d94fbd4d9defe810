"""The whole system on a real Docker engine."""

import asyncio
import signal
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.docker_engine import App, containers_of, docker_app, docker_engine, engine
from tests.support.running import Running, configuration, cpu_seconds, tidegate, write

__all__ = ["docker_app", "docker_engine"]
pytestmark = pytest.mark.docker


def service(app: App, **changes: Any) -> dict[str, Any]:
    return {"image": app.image, "volumes": list(app.volumes), "stop_grace": "2s", **changes}


def on_docker(folder: Path, services: dict[str, Any], **top: Any) -> Path:
    return configuration(folder, services, runtime="docker", **top)


def owner_of(file: Path) -> str:
    return str(yaml.safe_load(file.read_text())["owner"])


async def test_200_requests_on_zero_are_served_after_one_wake(
    tmp_path: Path, docker_app: App
) -> None:
    """Default rules and max 5: at most 3 containers for the short burst, no 5xx."""
    file = on_docker(tmp_path, {"web": service(docker_app, scaling={"max": 5})})
    async with tidegate(file) as running:
        answers = await asyncio.gather(*(running.get("web") for _ in range(200)))
        assert Counter(answer.status for answer in answers) == {200: 200}
        assert 1 <= len({answer.body for answer in answers}) <= 3
        metrics = (await running.api("/metrics")).body.decode()
        assert 'tidegate_cold_starts_total{service="web"} 1.0' in metrics
        # The windows still hold the burst: nothing more may come of it.
        await asyncio.sleep(8)
        started = running.said("replica-started")
        assert len(started) <= 3, running.said("scaled")


async def test_nothing_is_left_after_stop_after(tmp_path: Path, docker_app: App) -> None:
    idle = {"idle": {"stop_after": "1s"}}
    file = on_docker(tmp_path, {"web": service(docker_app, scaling=idle)})
    async with tidegate(file) as running:
        lease = "/v1/services/web/lease"  # until it was looked at
        taken = await running.api(lease, "POST", json={"for": "10m", "wake": True})
        assert (await running.get("web")).status == 200
        assert len(await containers_of(owner_of(file))) == 1
        assert (await running.api(f"{lease}/{taken.json['id']}", "DELETE")).status == 200

        async def none_left() -> bool:
            return not await containers_of(owner_of(file))

        await running.until(none_left)
        assert (await running.service("web"))["replicas"] == []


async def test_a_frozen_replica_is_thawed_by_a_request(tmp_path: Path, docker_app: App) -> None:
    idle = {"idle": {"freeze_after": "300ms", "stop_after": "1h"}}
    file = on_docker(tmp_path, {"web": service(docker_app, scaling=idle)})
    async with tidegate(file) as running:
        host = (await running.get("web")).body

        async def frozen() -> bool:
            return len(await running.replicas("web", "frozen")) == 1

        await running.until(frozen)
        async with engine() as docker:
            (name,) = await containers_of(owner_of(file))
            facts = await (await docker.containers.get(name.lstrip("/"))).show()
            assert facts["State"]["Paused"] is True
        answer = await running.get("web")
        assert (answer.status, answer.body) == (200, host)
        assert "Server-Timing" in answer.headers


async def test_kill_9_then_adoption_then_sigterm_leaves_none(
    tmp_path: Path, docker_app: App
) -> None:
    """Contract: what we started is adopted after a crash, not leaked and not restarted."""
    file = on_docker(tmp_path, {"web": service(docker_app, scaling={"min": 2})})
    async with tidegate(file) as running:
        await running.until(lambda: ready(running, "web", 2))
        before = {replica["id"]: replica["address"] for replica in await running.replicas("web")}
        await running.end(signal.SIGKILL)
    assert len(await containers_of(owner_of(file))) == 2
    async with tidegate(file) as again:
        await again.until(lambda: ready(again, "web", 2))
        after = {replica["id"]: replica["address"] for replica in await again.replicas("web")}
        assert after == before
        answers = [await again.get("web") for _ in range(20)]
        assert {answer.status for answer in answers} == {200}
        assert len(again.said("replica-adopted")) == 2
        assert again.said("replica-started") == []
        assert await again.end() == 0
    assert await containers_of(owner_of(file)) == []


async def test_one_that_cannot_start_stops_nothing(tmp_path: Path, docker_app: App) -> None:
    file = on_docker(tmp_path, {"web": service(docker_app, scaling={"min": 2})})
    async with tidegate(file) as running:
        await running.until(lambda: ready(running, "web", 2))
        await running.end(signal.SIGKILL)
    before = await containers_of(owner_of(file))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        content = yaml.safe_load(file.read_text())
        content["gateway"]["listen"] = [f"127.0.0.1:{taken.getsockname()[1]}"]
        write(tmp_path / "taken.yaml", content)
        with pytest.raises(BaseExceptionGroup, match="unhandled errors"):
            async with tidegate(tmp_path / "taken.yaml"):
                pass
    assert sorted(await containers_of(owner_of(file))) == sorted(before)
    async with tidegate(file) as again:
        await again.until(lambda: ready(again, "web", 2))


async def ready(running: Running, name: str, count: int) -> bool:
    return len(await running.replicas(name, "ready")) == count


async def test_an_orphan_of_a_removed_service_is_removed(tmp_path: Path, docker_app: App) -> None:
    file = on_docker(tmp_path, {"web": service(docker_app), "api": service(docker_app)})
    async with tidegate(file) as running:
        await running.get("api")
        await running.end(signal.SIGKILL)
    content = yaml.safe_load(file.read_text())
    del content["services"]["api"]
    file.write_text(yaml.safe_dump(content))
    async with tidegate(file) as again:

        async def none_left() -> bool:
            return not await containers_of(owner_of(file))

        await again.until(none_left)


async def test_a_container_killed_from_outside_is_replaced(tmp_path: Path, docker_app: App) -> None:
    file = on_docker(tmp_path, {"web": service(docker_app, scaling={"min": 1})})
    async with tidegate(file) as running:
        await running.until(lambda: ready(running, "web", 1))
        (first,) = await running.replicas("web")
        async with engine() as docker:
            (name,) = await containers_of(owner_of(file))
            await (await docker.containers.get(name.lstrip("/"))).kill()

        async def replaced() -> bool:
            present = await running.replicas("web", "ready")
            return bool(present) and present[0]["id"] != first["id"]

        async def is_alone() -> bool:
            return len(await containers_of(owner_of(file))) == 1

        await running.until(replaced)
        await running.until(is_alone)


async def test_out_of_memory_is_named(tmp_path: Path, docker_app: App) -> None:
    limits = {"memory": "64MiB"}
    file = on_docker(tmp_path, {"web": service(docker_app, resources=limits)})
    async with tidegate(file) as running:
        await running.get("web")
        await running.get("web", "/memory?mib=200")

        async def told() -> bool:
            return any("out of memory" in line for line in running.said("replica-failed"))

        await running.until(told)


async def test_a_missing_image_is_503_with_the_reason(tmp_path: Path, docker_engine: str) -> None:
    file = on_docker(tmp_path, {"web": {"image": "tidegate-test/no-such-image:1"}})
    async with tidegate(file) as running:
        answer = await running.get("web")
        assert (answer.status, answer.json["code"]) == (503, "image-missing")
        assert "tidegate-test/no-such-image:1" in answer.json["detail"]
        trouble = (await running.service("web"))["trouble"]
        assert trouble["code"] == "image-missing"
        assert await containers_of(owner_of(file)) == []


async def test_without_an_engine_it_runs_and_says_so(tmp_path: Path) -> None:
    """No Docker engine: 503 with the reason, never a crash or a busy loop."""
    runtime = {"docker": {"url": f"unix://{tmp_path}/no-engine.sock"}}
    file = configuration(tmp_path, {"web": {"image": "web:1"}}, runtime=runtime)
    async with tidegate(file) as running:
        answer = await running.get("web")
        assert (answer.status, answer.json["code"]) == (503, "engine-unavailable")
        assert "no-engine.sock" in answer.json["detail"]

        async def told() -> bool:
            return bool(running.said("engine-away"))

        await running.until(told)
        before = cpu_seconds(running.process.pid)
        await asyncio.sleep(2)
        assert cpu_seconds(running.process.pid) - before < 0.5, "a busy loop"
        assert await running.end() == 0
