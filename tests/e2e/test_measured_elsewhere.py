"""Services that no request reaches, on local processes: woken by a queue, scaled by their CPU."""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any

import yaml
from redis.asyncio import Redis

from tests.support.held_ports import held_port
from tests.support.running import Running, app, configuration, descendants, tidegate, write
from tests.support.servers import running_redis

# Listens on its port; burns a core while the file is there.
BURNER = """
import os, socket, sys, threading, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def serve():
    while True:
        server.accept()[0].close()
threading.Thread(target=serve, daemon=True).start()
while True:
    while os.path.exists(sys.argv[2]):
        sum(range(100_000))
    time.sleep(0.05)
"""


async def ready(running: Running, count: int) -> bool:
    return len(await running.replicas("web", "ready")) == count


async def sleeps(running: Running) -> bool:
    return not descendants(running.process.pid)


async def everything_said(running: Running) -> str:
    """All that an operator could read."""
    paths = ("/metrics", "/v1/services/web/decisions", "/v1/services")
    told = [(await running.api(path)).body.decode() for path in paths]
    return "\n".join([*told, *(str(line) for line in running.log)])


def by_queue(url: str, **changes: Any) -> dict[str, Any]:
    rule = {"metric": "redis", "url": url, "list": "jobs", "target": 5, "every": "100ms"}
    scaling = {"max": 4, "rules": [{**rule, **changes}], "idle": {"stop_after": "1s"}}
    return app(scaling={**scaling, "stable_window": "1s", "panic_window": "1s"})


async def test_a_redis_list_wakes_scales_holds_and_lets_sleep(tmp_path: Path) -> None:
    """Nobody sends a request. A Redis that is away takes nothing down."""
    with held_port() as port, contextlib.ExitStack() as redis:
        url = redis.enter_context(running_redis(tmp_path, port))
        file = configuration(tmp_path, {"web": by_queue(url)})
        async with tidegate(file) as running, Redis.from_url(url) as queue:
            assert not descendants(running.process.pid)
            await queue.rpush("jobs", *range(12))
            await running.until(lambda: ready(running, 3))
            await queue.rpush("jobs", *range(5))
            await running.until(lambda: ready(running, 4))
            metrics = (await running.api("/metrics")).body.decode()
            labels = '{metric="redis",rule="0",service="web"}'
            assert f"tidegate_scaling_source_value{labels} 17.0" in metrics
            assert f"tidegate_scaling_source_active{labels} 1.0" in metrics

            redis.close()
            await running.until(lambda: told(running, "metric-away"))
            for _ in range(60):  # three times stop_after
                assert await ready(running, 4)
                await asyncio.sleep(0.05)
            redis.enter_context(running_redis(tmp_path, port))  # and empty
            await running.until(lambda: told(running, "metric-back"))
            await running.until(lambda: sleeps(running))
            view = await running.service("web")
            assert (view["desired"], view["mode"]) == (0, "idle")
            reasons = [str(one) for one in running.said("scaled")]
            assert "web: 0 → 1 replicas: woken by redis, which is 12, more than 0" in reasons[0]
            assert "hunter2" not in await everything_said(running)


async def test_a_reload_takes_up_and_drops_such_a_rule(tmp_path: Path) -> None:
    with held_port() as port, running_redis(tmp_path, port) as url:
        file = configuration(tmp_path, {"web": app(scaling={"idle": {"stop_after": "1s"}})})
        async with tidegate(file) as running, Redis.from_url(url) as queue:
            await queue.rpush("jobs", "x")
            await change(running, by_queue(url))
            await running.until(lambda: ready(running, 1))
            await change(running, app(scaling={"idle": {"stop_after": "1s"}}))
            await running.until(lambda: sleeps(running))
            assert b"tidegate_scaling_source_value{" not in (await running.api("/metrics")).body


async def test_burning_processes_are_scaled_by_cpu(tmp_path: Path) -> None:
    """Up as long as they burn, and down to `min` when they do not; no request tells of it. The
    target is far below what one that burns gets of a busy machine."""
    flag = tmp_path / "burn"
    flag.touch()
    command = [sys.executable, "-I", "-S", "-c", BURNER, "$PORT", str(flag)]
    scaling = {
        "min": 1,
        "max": 2,
        "rules": [{"metric": "cpu", "target": "4%"}],
        "stable_window": "1s",
        "panic_window": "1s",
    }
    service = {"command": command, "scaling": scaling}
    async with tidegate(configuration(tmp_path, {"web": service})) as running:
        await running.until(lambda: ready(running, 2), within=60)
        (newest, *_) = running.said("scaled")[::-1]
        assert newest.startswith("web: 1 → 2 replicas: cpu ")
        flag.unlink()
        await running.until(lambda: ready(running, 1), within=60)


async def change(running: Running, web: dict[str, Any]) -> None:
    content = yaml.safe_load(running.file.read_text())
    write(running.file, {**content, "services": {"web": web}})
    assert (await running.api("/v1/reload", "POST")).status == 200


async def told(running: Running, kind: str) -> bool:
    return bool(running.said(kind))
