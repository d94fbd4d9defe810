"""The control process is killed under load (fault F16): its gateway processes go on serving what
runs, until the one that is started next takes over."""

import os
import signal

import pytest

from tests.faults.ground import Ground, until_ready
from tests.faults.judge import NOTHING
from tests.faults.scenario import WORKERS, staged
from tests.support.raw_http import free_port
from tests.support.running import tidegate


@pytest.mark.xfail(reason="gateway processes end with the control process", strict=True)
async def test_kill_9_of_the_control_process(docker_ground: Ground) -> None:
    gateway = {"listen": [f"127.0.0.1:{free_port()}"], "workers": WORKERS}
    web = docker_ground.service(scaling={"min": 2, "max": 2})
    async with staged(
        docker_ground, "kill-9-control", NOTHING, {"web": web}, gateway=gateway
    ) as stage:
        before = {one["id"]: one["address"] for one in await stage.running.replicas("web")}
        async with stage.loaded():
            os.kill(stage.running.process.pid, signal.SIGKILL)
            await stage.running.process.wait()
            await stage.calm(2)
            async with tidegate(stage.running.file) as again:
                await until_ready(again, 2)
                await stage.calm(2)
                after = {one["id"]: one["address"] for one in await again.replicas("web")}
                assert after == before
                assert again.said("replica-started") == []
