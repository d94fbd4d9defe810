"""Little load is packed on few replicas, so that the others fall idle and can go.

microsoft/azure-container-apps#831: there the round robin of one sequential client keeps all of
them alive.
"""

import asyncio
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.support.running import Running, app, configuration, tidegate

WORKERS = 3
REQUESTS = 60


async def asked(running: Running) -> str:
    """Who answered a request on a connection of its own: the kernel picks any gateway process."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as client:
        headers = {"Host": "web.localhost"}
        url = f"http://{running.gateway}/env?name=TIDEGATE_REPLICA"
        async with client.get(url, headers=headers) as answer:
            assert answer.status == 200
            return (await answer.read()).decode()


@pytest.mark.parametrize("concurrency", [0, 1], ids=["no limit", "one at a time"])
async def test_one_sequential_client_keeps_one_replica_and_the_others_go(
    tmp_path: Path, concurrency: int
) -> None:
    rules = [{"metric": "concurrency", "target": 10}]
    scaling = {"rules": rules, "stable_window": "2s", "panic_window": "1s", "max_down_rate": 10}
    service = app(concurrency=concurrency, scaling=scaling)
    gateway = {"listen": ["127.0.0.1:0"], "workers": WORKERS}
    async with tidegate(configuration(tmp_path, {"web": service}, gateway=gateway)) as running:
        await running.api("/v1/services/web/scale", "POST", json={"replicas": 3})

        async def three() -> bool:
            return len(await running.replicas("web", "ready")) == 3

        await running.until(three)
        served = Counter([await asked(running) for _ in range(REQUESTS)])
        assert served.total() == REQUESTS
        ((busiest, count),) = served.most_common(1)
        assert count == REQUESTS, f"one was enough: {served}"

        await running.api("/v1/services/web/scale", "DELETE")
        left: list[str] = []
        async with asyncio.timeout(30):
            while left != [busiest]:
                assert await asked(running) == busiest
                left = [replica["id"] for replica in await running.replicas("web")]


async def test_two_clients_at_once_keep_two_of_four(tmp_path: Path) -> None:
    """As many as are busy at once, whichever processes they come through."""
    gateway = {"listen": ["127.0.0.1:0"], "workers": 1}
    service = app(concurrency=1, scaling={"min": 4})
    async with tidegate(configuration(tmp_path, {"web": service}, gateway=gateway)) as running:

        async def four() -> bool:
            return len(await running.replicas("web", "ready")) == 4

        await running.until(four)
        served: Counter[str] = Counter()

        async def client() -> None:
            for _ in range(REQUESTS):
                served[await asked(running)] += 1

        async with asyncio.TaskGroup() as group:
            for number in range(2):
                group.create_task(client(), name=f"client {number}")
        assert len(served) == 2
