"""Replicas that answer wrongly or not at all, that run out of memory, or never come up (faults F1,
F2, F4, F6, F7, F10)."""

import asyncio
import contextlib
import re
from typing import Any

import pytest

from tests.faults import ground as grounds
from tests.faults.ground import Ground, until_ready, until_some
from tests.faults.judge import NOTHING, ONLY_REFUSALS, ONLY_UNSAFE, Bar, either, silent
from tests.faults.load import Load, running
from tests.faults.mode import LONG
from tests.faults.scenario import Stage, staged

THREE = {"min": 3, "max": 3}
# Ejected for longer than the scenario lasts: what it costs is counted once.
EJECTING = {"outliers": {"failures": 5, "eject_for": "120s"}}
RESPONSE = "3s"  # those that are well answer sooner, also on a busy machine


@pytest.mark.parametrize("sickness", ["error", "silent", "reset", "cut"])
async def test_a_replica_that_fails_its_requests(ground: Ground, sickness: str) -> None:
    """Nothing but the traffic shows it: its probe goes on to pass."""
    ejected: list[tuple[str, float]] = []

    def bar(stage: Stage) -> Bar:
        return silent(*ejected[0]) if sickness == "silent" and ejected else ONLY_UNSAFE

    web = ground.service(scaling=THREE, health=EJECTING, timeouts={"response": RESPONSE})
    async with staged(ground, f"answers-{sickness}", bar, {"web": web}) as stage:
        loop = asyncio.get_running_loop()
        async with stage.loaded():
            victim = (await until_some(stage.running))[0]
            at = loop.time()
            await grounds.tell(stage.running, victim, f"/fault/{sickness}")
            heard = await stage.watch.first("replica-ejected", since=at, replica=victim)
            stage.detected.append(heard.at - at)
            await stage.calm(0.5)  # until its gateway processes have heard it as well
            ejected.append((victim, loop.time()))
            await stage.calm(1)
        spread = {record.replica for record in stage.load.records if record.sent_at > heard.at}
        assert victim not in spread
        await grounds.tell(stage.running, victim, "/fault/none")


async def test_a_replica_that_runs_out_of_memory(docker_ground: Ground) -> None:
    web = docker_ground.service(scaling=THREE, resources={"memory": "64MiB"})
    async with staged(docker_ground, "out-of-memory", ONLY_UNSAFE, {"web": web}) as stage:
        loop = asyncio.get_running_loop()
        async with stage.loaded():
            victim = (await until_some(stage.running))[0]
            begun = loop.time()
            await grounds.tell(stage.running, victim, "/fault/memory")
            heard = await stage.watch.first("replica-failed", since=begun, replica=victim)
            assert "out of memory" in heard.message
            again = await stage.watch.first("replica-ready", since=heard.at)
            stage.replaced.append(again.at - heard.at)
            await until_ready(stage.running, 3)
        metrics = (await stage.running.api("/metrics")).body.decode()
        assert 'tidegate_evictions_total{reason="out-of-memory",service="web"} 1.0' in metrics


ILL_AFTER = 5 if LONG else 1


async def test_services_that_cannot_run_hurt_no_other(ground: Ground) -> None:
    """A crash at start, a crash after a while, and a port that never opens: each of their requests
    is answered with the reason, and the healthy service beside them loses none."""
    deaf = {"startup": {"tcp": True, "deadline": "2s"}}
    services = {
        "web": ground.service(scaling={"min": 2, "max": 2}),
        "exits": ground.service(env={"START": "exit"}),
        "deaf": ground.service(env={"START": "deaf"}, health=deaf),
        "ill": ground.service(env={"START": "ill", "EXIT_AFTER": str(ILL_AFTER)}),
    }
    sick = ("exits", "deaf", "ill")
    async with staged(ground, "cannot-run", NOTHING, services) as stage:
        loads = {name: other_load(stage, name) for name in sick}
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(stage.loaded())
            for load in loads.values():
                await stack.enter_async_context(running(load, 20))
            for name in ("exits", "deaf"):
                await until_trouble(stage, name)
            await until_failures(stage, "ill", 3)
        for name in sick:
            bar = ONLY_REFUSALS if name != "ill" else either(ONLY_REFUSALS, ONLY_UNSAFE)
            verdict = stage.judged(bar, loads[name])
            assert verdict.offences == []
            stage.notes.append(f"{name}: {verdict.requests} requests, {dict(verdict.outcomes)}")
            await until_failures(stage, name, 1)
        slowest = max(
            record.ended_at - record.sent_at for record in loads["exits"].records[len(sick) :]
        )
        stage.notes.append(f"longest wait for the reason of exits: {slowest:.1f} s")
        await stop_all(stage, sick)


def other_load(stage: Stage, name: str) -> Load:
    return Load(stage.running.gateway, f"{name}.localhost", name)


async def until_trouble(stage: Stage, name: str) -> None:
    async def has_trouble() -> bool:
        view: dict[str, Any] = await stage.running.service(name)
        return view["trouble"] is not None

    await stage.running.until(has_trouble)


async def until_failures(stage: Stage, name: str, count: int) -> None:
    """An event and a metric say so."""

    async def are_told() -> bool:
        metrics = (await stage.running.api("/metrics")).body.decode()
        found = re.findall(rf'tidegate_evictions_total\{{[^}}]*service="{name}"\}} (\d+)', metrics)
        told = [one for one in stage.watch.of("replica-failed") if one.replica.startswith(name)]
        return sum(map(int, found)) >= count and len(told) >= count

    await stage.running.until(are_told)


async def stop_all(stage: Stage, names: tuple[str, ...]) -> None:
    for name in names:
        await stage.running.api(f"/v1/services/{name}/scale", "POST", json={"replicas": 0})
