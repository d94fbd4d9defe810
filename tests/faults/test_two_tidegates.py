"""Two Tidegates beside each other: with one owner the second does not start, with two they do not
touch each other's replicas (fault F19)."""

import asyncio
import os
import signal
import sys

from tests.faults.ground import Ground, owner_of, until_ready
from tests.faults.judge import NOTHING
from tests.faults.load import Load, running
from tests.faults.scenario import staged
from tests.support.running import tidegate


async def test_a_second_one_with_the_same_owner_does_not_start(ground: Ground) -> None:
    web = ground.service(scaling={"min": 2, "max": 2})
    async with staged(ground, "same-owner", NOTHING, {"web": web}) as stage:
        before = await stage.running.replicas("web")
        async with stage.loaded():
            second = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tidegate", "run", "--config", str(stage.running.file)),
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(30):
                _, told = await second.communicate()
            assert second.returncode == 1
            assert owner_of(stage.running.file) in told.decode()
        after = await stage.running.replicas("web")
        assert [one["id"] for one in after] == [one["id"] for one in before]


async def test_two_owners_leave_each_other_alone(ground: Ground, other_ground: Ground) -> None:
    """The other one starts, is killed, starts again and ends, with the same names of services."""
    web = ground.service(scaling={"min": 2, "max": 2})
    file = other_ground.file({"web": other_ground.service(scaling={"min": 2, "max": 2})})
    async with staged(ground, "two-owners", NOTHING, {"web": web}) as stage:
        before = {one["id"]: one["address"] for one in await stage.running.replicas("web")}
        async with stage.loaded():
            async with tidegate(file) as other:
                await until_ready(other, 2)
                await other.end(signal.SIGKILL)
            async with tidegate(file) as other:
                load = Load(other.gateway, "web.localhost", "other")
                (victim, *_) = await until_ready(other, 2)
                async with running(load, 20):
                    os.kill(await other_ground.pid(other, victim), signal.SIGTERM)
                    await stage.calm(1)
                await until_ready(other, 2)
                assert await other.end() == 0
        after = {one["id"]: one["address"] for one in await stage.running.replicas("web")}
        assert after == before
        assert await other_ground.present(owner_of(file)) == []
