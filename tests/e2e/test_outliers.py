"""A replica that passes its probes and serves badly, under load: every request is counted.

Fault F7 (readiness passes, requests fail or are reset) and a slow one among its siblings. Three
processes; one of them is told by a file what to do instead.
"""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import Running, app, configuration, tidegate

RATE = 100.0  # requests a second
METHODS = ("GET", "POST")


class Load:
    """Sends at its rate whatever comes back, GET and POST by turns. What it could not send in time
    itself is not made up for: that would be a herd."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.sent = 0
        self.answers: list[tuple[float, float, str, int]] = []  # sent at, took, method, status
        self.slept: list[float] = []  # when those were sent that a slow one has answered
        self._answered = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def send(self) -> None:
        began = next_at = self._loop.time()
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._one(METHODS[self.sent % 2]))
                self.sent += 1
                next_at = max(next_at + 1 / RATE, self._loop.time())
                await asyncio.sleep(max(0.0, next_at - self._loop.time()))
                assert self._loop.time() - began < 60

    async def _one(self, method: str) -> None:
        sent = self._loop.time()
        answer = await self.running.request(method, "web")
        self.answers.append((sent, self._loop.time() - sent, method, answer.status))
        if answer.body == b"slept":
            self.slept.append(sent)
        self._answered.set()

    def statuses(self, method: str | None = None, since: float = 0.0) -> Counter[int]:
        return Counter(
            status for sent, _, of, status in self.answers if sent >= since and method in (None, of)
        )

    def sent_in_spite(self, enough: int, *methods: str) -> int:
        """How many have failed that were sent when so many were known to have failed. What was on
        its way by then is more where the machine is busy."""
        failed = sorted(
            (sent + took, sent)
            for sent, took, method, status in self.answers
            if status >= 500 and method in methods
        )
        return sum(sent > failed[enough - 1][0] for _, sent in failed[enough:])

    async def more(self, count: int) -> float:
        """Until so many that are sent from now on are answered; when that began."""
        began = self._loop.time()
        await self.until(lambda: self.statuses(since=began).total() >= count)
        return began

    async def until(self, condition: Callable[[], bool]) -> None:
        """Looks after each answer."""
        async with asyncio.timeout(30):
            while not condition():
                self._answered.clear()
                await self._answered.wait()


@contextlib.asynccontextmanager
async def loaded(running: Running) -> AsyncIterator[Load]:
    """At the end each request that was sent has its answer."""
    load = Load(running)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(load.send(), name="load")
        try:
            yield load
            sent = load.sent
            await load.until(lambda: len(load.answers) >= sent)
        finally:
            sending.cancel()


class Replicas:
    """Those of one service, and what each is told to do instead."""

    def __init__(self, running: Running, folder: Path, ports: list[str]) -> None:
        self.running = running
        self.folder = folder
        self.ports = ports

    def tell(self, port: str, path: str | None) -> None:
        file = self.folder / port
        if path is None:
            file.unlink()
        else:
            # At once as a whole: it is read for every request.
            draft = self.folder / f"{port}.new"
            draft.write_text(path)
            draft.rename(file)

    async def ejected(self) -> list[str]:
        return [
            replica["address"].rpartition(":")[2]
            for replica in await self.running.replicas("web")
            if replica["ejected"]
        ]

    async def until_ejected(self, *ports: str) -> None:
        async def are() -> bool:
            return sorted(await self.ejected()) == sorted(ports)

        await self.running.until(are)


@contextlib.asynccontextmanager
async def serving(
    folder: Path, outliers: dict[str, Any], *, count: int = 3, workers: int = 0, **changes: Any
) -> AsyncIterator[Replicas]:
    instead = folder / "instead"
    instead.mkdir()
    service = app(
        **{
            "env": {"INSTEAD": str(instead)},
            "scaling": {"min": count, "max": count},
            "balance": "round_robin",
            "health": {"readiness": {"http": "/ready", "every": "200ms"}, "outliers": outliers},
            **changes,
        }
    )
    gateway = {"listen": ["127.0.0.1:0"], "workers": workers}
    async with tidegate(configuration(folder, {"web": service}, gateway=gateway)) as running:

        async def are_ready() -> bool:
            return len(await running.replicas("web", "ready")) == count

        await running.until(are_ready)
        found = await running.replicas("web")
        yield Replicas(running, instead, [one["address"].rpartition(":")[2] for one in found])


@pytest.mark.parametrize("workers", [0, 2])
async def test_one_that_answers_500_costs_a_few_requests_and_returns(
    tmp_path: Path, workers: int
) -> None:
    outliers = {"failures": 5, "eject_for": "8s"}  # to be seen on a busy machine, too
    async with (
        serving(tmp_path, outliers, workers=workers, slow_start="1s") as replicas,
        loaded(replicas.running) as load,
    ):
        running, bad = replicas.running, replicas.ports[1]
        await load.more(60)
        assert set(load.statuses()) == {200}
        replicas.tell(bad, "/status/500")
        await replicas.until_ejected(bad)
        # In a row, as several gateways tell it; what was on its way when it left comes on top.
        assert load.statuses()[500] >= 5
        assert load.sent_in_spite(5, *METHODS) <= 10
        told = (await running.service("web"))["replicas"][1]
        assert told["state"] == "ready"
        assert told["reason"] == (
            "ejected for 8 s: 5 requests in a row failed (last: an answer 5xx)"
        )
        assert (await running.service("web"))["ready"] == 2
        metrics = (await running.api("/metrics")).body
        assert b'tidegate_ejections_total{service="web"} 1.0' in metrics
        assert b'tidegate_ejected{service="web"} 1.0' in metrics
        replicas.tell(bad, None)
        await replicas.until_ejected()
        assert set(load.statuses(since=await load.more(200))) == {200}
        assert b"tidegate_ejected{" not in (await running.api("/metrics")).body
        assert len(running.said("replica-ejected")) == 1
        assert len(running.said("replica-returned")) == 1
        assert running.said("replica-condemned") == []


async def test_one_that_resets_fails_no_get_and_few_posts(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, {"failures": 5, "eject_for": "60s"}) as replicas,
        loaded(replicas.running) as load,
    ):
        replicas.tell(replicas.ports[0], "/drop")
        await replicas.until_ejected(replicas.ports[0])
        await load.more(60)
        assert set(load.statuses("GET")) == {200}
        assert load.sent_in_spite(5, "POST") <= 10
        assert set(load.statuses("POST")) <= {200, 502}


@pytest.mark.parametrize("workers", [0, 2])
async def test_one_that_fails_more_often_than_its_siblings_leaves(
    tmp_path: Path, workers: int
) -> None:
    outliers = {
        "failures": 0, "error_rate": "50%", "min_requests": 20, "window": "2s", "eject_for": "60s",
    }  # fmt: skip
    async with (
        serving(tmp_path, outliers, workers=workers) as replicas,
        loaded(replicas.running) as load,
    ):
        # What all do alike is no replica's fault, however often it happens.
        for port in replicas.ports:
            replicas.tell(port, "/status/500")
        await load.more(round(RATE * 4))
        assert replicas.running.said("replica-ejected") == []
        for port in replicas.ports[:2]:
            replicas.tell(port, None)
        await replicas.until_ejected(replicas.ports[2])
        assert set(load.statuses(since=await load.more(60))) == {200}
        (event,) = replicas.running.said("replica-ejected")
        assert "requests failed" in event
        assert "of its siblings'" in event


@pytest.mark.parametrize("workers", [0, 2])
async def test_one_that_is_slow_among_its_siblings_leaves(tmp_path: Path, workers: int) -> None:
    outliers = {"slow": 5, "min_requests": 20, "window": "2s", "eject_for": "60s"}
    async with (
        serving(tmp_path, outliers, workers=workers) as replicas,
        loaded(replicas.running) as load,
    ):
        # A dependency that makes all slow.
        for port in replicas.ports:
            replicas.tell(port, "/sleep?ms=400")
        await load.more(round(RATE * 4))
        assert replicas.running.said("replica-ejected") == []
        for port in replicas.ports[:2]:
            replicas.tell(port, None)
        await replicas.until_ejected(replicas.ports[2])
        since = await load.more(60)
        slow = [sent for sent in load.slept if sent >= since]
        assert len(slow) < 10, "a third of all would be"
        assert set(load.statuses()) == {200}
        (event,) = replicas.running.said("replica-ejected")
        told = re.search(r"its answers begin after ([0-9.]+) (ms|s)", event)
        assert told, event
        assert float(told[1]) * {"ms": 1, "s": 1000}[told[2]] >= 400


@pytest.mark.parametrize("path", ["/status/500", "/sleep?ms=400"])
async def test_one_alone_serves_whatever_it_does(tmp_path: Path, path: str) -> None:
    outliers = {
        "failures": 5, "error_rate": "50%", "slow": 2, "min_requests": 5, "window": "1s",
        "max_ejected": "100%",
    }  # fmt: skip
    async with (
        serving(tmp_path, outliers, count=1) as replicas,
        loaded(replicas.running) as load,
    ):
        replicas.tell(replicas.ports[0], path)
        await load.more(200)
        assert replicas.running.said("replica-ejected") == []
        assert set(load.statuses()) <= {200, 500}


async def test_of_two_that_both_fail_both_serve_in_the_end(tmp_path: Path) -> None:
    """An answer 500 on purpose: the one that was out is back as soon as the other is seen to do the
    same, and nobody leaves any more."""
    outliers = {"failures": 5, "max_ejected": "100%", "eject_for": "60s"}
    async with (
        serving(tmp_path, outliers, count=2) as replicas,
        loaded(replicas.running) as load,
    ):
        one, other = replicas.ports
        replicas.tell(one, "/status/500")
        await replicas.until_ejected(one)
        replicas.tell(other, "/status/500")
        await replicas.until_ejected()
        await load.more(100)
        assert await replicas.ejected() == []
        assert len(replicas.running.said("replica-ejected")) == 1
        # The other is well again, and alone with that.
        replicas.tell(other, None)
        await replicas.until_ejected(one)
        assert set(load.statuses(since=await load.more(60))) == {200}
