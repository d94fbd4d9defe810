"""The control process is killed under load (fault F16): its gateway processes go on serving what
runs, until the one that is started next takes over."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import pytest

from tests.faults.ground import Ground, until_ready
from tests.faults.judge import NOTHING
from tests.faults.scenario import LONG, WORKERS, staged
from tests.support.raw_http import free_port
from tests.support.running import Running, tidegate

AWAY = 5.0 if LONG else 1.0  # seconds without a control process


@pytest.mark.xfail(reason="gateway processes end with the control process", strict=True)
async def test_kill_9_of_the_control_process(docker_ground: Ground) -> None:
    gateway = {"listen": [f"127.0.0.1:{free_port()}"], "workers": WORKERS}
    web = docker_ground.service(scaling={"min": 2, "max": 2})
    async with staged(
        docker_ground, "kill-9-control", NOTHING, {"web": web}, gateway=gateway
    ) as stage:
        before = {one["id"]: one["address"] for one in await stage.running.replicas("web")}
        async with taken_over(stage.running), stage.loaded():
            os.kill(stage.running.process.pid, signal.SIGKILL)
            await stage.running.process.wait()
            await asyncio.sleep(AWAY)
            async with tidegate(stage.running.file) as again:
                await until_ready(again, 2)
                await stage.calm(2)
                after = {one["id"]: one["address"] for one in await again.replicas("web")}
                assert after == before
                assert again.said("replica-started") == []


@contextlib.asynccontextmanager
async def taken_over(killed: Running) -> AsyncIterator[None]:
    """Whatever happens in the block, what the killed one has left is taken away after it."""
    try:
        yield
    finally:
        async with tidegate(killed.file) as successor:
            assert await successor.end() == 0
