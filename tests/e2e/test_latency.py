"""A service whose only rule is its latency, on real processes, under load in an open loop."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.running import Running, app, configuration, tidegate

TARGET = 0.3  # seconds, of the 95th percentile
SLOTS, WORK = 4, 50  # requests at once in one replica, milliseconds of each: 80 a second
RATE = 96.0  # requests a second: more than one replica bears, less than two
ENOUGH = 2
LOOKED_AT = 3.0  # seconds


class Load:
    """Sends at its rate whatever comes back, as independent clients do."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.answers: list[tuple[float, float, int]] = []  # when sent, how long it took, status
        self._loop = asyncio.get_running_loop()

    async def send(self) -> None:
        began = next_at = self._loop.time()
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._one())
                next_at += 1 / RATE
                await asyncio.sleep(max(0.0, next_at - self._loop.time()))
                assert self._loop.time() - began < 60

    async def _one(self) -> None:
        sent = self._loop.time()
        answer = await self.running.get("web", f"/sleep?ms={WORK}")
        self.answers.append((sent, self._loop.time() - sent, answer.status))

    def percentile(self, since: float, until: float = math.inf) -> float:
        """Of requests sent in that time, as clients saw it."""
        took = sorted(took for sent, took, _ in self.answers if since <= sent < until)
        return took[math.ceil(0.95 * len(took)) - 1] if took else math.inf

    def lately(self) -> float:
        """Of those sent not long ago, which a request of the target has had the time to answer."""
        now = self._loop.time() - 2 * TARGET
        return self.percentile(now - LOOKED_AT, now)


@contextlib.asynccontextmanager
async def loaded(running: Running) -> AsyncIterator[Load]:
    load = Load(running)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(load.send(), name="load")
        try:
            yield load
        finally:
            sending.cancel()


async def test_a_service_scales_until_its_latency_is_within_the_target(tmp_path: Path) -> None:
    """No number but the target is given: what a replica bears is found out."""
    rule = {"metric": "latency", "percentile": 95, "target": "300ms"}
    service = app(env={"SLOTS": str(SLOTS)}, scaling={"rules": [rule], "max": 6})
    async with tidegate(configuration(tmp_path, {"web": service})) as running:
        began = asyncio.get_running_loop().time()
        async with loaded(running) as load:

            async def is_within() -> bool:
                ready = await running.replicas("web", "ready")
                return len(ready) >= ENOUGH and load.lately() <= TARGET

            await running.until(is_within)
            view = await running.service("web")
            decisions = (await running.api("/v1/services/web/decisions?limit=50")).json
        overloaded = load.percentile(began + 2, began + 5)
        assert overloaded > TARGET, "one replica must have been too few for this to show anything"
        assert {status for _, _, status in load.answers} == {200}
        assert ENOUGH <= view["desired"] <= ENOUGH + 2
        ups = [one for one in decisions["decisions"] if one["replicas"] > one["before"] > 0]
        assert all("latency p95" in one["reason"] for one in ups)
        assert ups


async def test_the_waits_of_a_queue_bring_replicas(tmp_path: Path) -> None:
    """The hard limit makes requests wait in the gateway, which alone knows how long: here in two
    processes, whose reports are put together."""
    rule = {"metric": "queue_wait", "percentile": 95, "target": "100ms"}
    service = app(concurrency=SLOTS, scaling={"rules": [rule], "max": 6})
    gateway = {"listen": ["127.0.0.1:0"], "workers": 2}
    async with tidegate(configuration(tmp_path, {"web": service}, gateway=gateway)) as running:
        async with loaded(running) as load:

            async def is_within() -> bool:
                ready = await running.replicas("web", "ready")
                return len(ready) >= ENOUGH and load.lately() <= 0.1 + 3 * WORK / 1000

            await running.until(is_within)
            explained = (await running.api("/v1/services/web/explain")).json
        assert {status for _, _, status in load.answers} == {200}
        (rule_seen, _) = explained["rules"]
        assert rule_seen["rule"] == "queue_wait"
