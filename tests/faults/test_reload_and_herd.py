"""Configuration that changes a hundred times, and a herd on a sleeping service (faults F21, F22,
F27)."""

import asyncio
import statistics

import yaml

from tests.faults.ground import Ground
from tests.faults.judge import NOTHING
from tests.faults.load import Load, running
from tests.faults.mode import LONG
from tests.faults.scenario import Stage, staged

RELOADS = 100
HERD = 10_000 if LONG else 2_000


async def test_a_hundred_reloads(ground: Ground) -> None:
    """Each one changes something, every tenth one is wrong and changes nothing."""
    web = ground.service(scaling={"min": 2, "max": 2})
    async with staged(ground, "reload", NOTHING, {"web": web}) as stage:
        before = [one["id"] for one in await stage.running.replicas("web")]
        async with stage.loaded():
            for number in range(RELOADS):
                await reload(stage, number)
        assert [one["id"] for one in await stage.running.replicas("web")] == before
        assert len(stage.watch.of("config-refused")) == RELOADS // 10
        assert len(stage.watch.of("config-reloaded")) == RELOADS - RELOADS // 10


async def reload(stage: Stage, number: int) -> None:
    content = yaml.safe_load(stage.running.file.read_text())
    is_wrong = number % 10 == 9
    text = dict(content)
    text["services"] = {
        "web": {**content["services"]["web"], "queue": {"size": 1000 + number}},
        # Another service comes, goes, and moves.
        f"other{number % 3}": stage.ground.service(hosts=[f"other{number}.localhost"]),
    }
    if is_wrong:
        text["services"]["web"]["nonsense"] = number
    stage.running.file.write_text(yaml.safe_dump(text, sort_keys=False))
    answer = await stage.running.api("/v1/reload", "POST")
    assert answer.status == (422 if is_wrong else 200), answer.body
    stage.running.file.write_text(yaml.safe_dump(content, sort_keys=False))


async def test_a_herd_on_a_sleeping_service(ground: Ground) -> None:
    """All are held and then served after one wake; another service hardly notices. It comes twice:
    the allocator keeps what the first one needed at once, and the second one must do with that."""
    patient = {"size": HERD, "timeout": "60s"}
    scaling = {"min": 0, "max": 3, "idle": {"stop_after": "2s"}}
    services = {
        "herd": ground.service(queue=patient, scaling=scaling, concurrency=100),
        "web": ground.service(scaling={"min": 1, "max": 1}),
    }
    gateway = {"listen": ["127.0.0.1:0"], "workers": 2, "limits": {"connections": 2 * HERD}}
    async with staged(ground, "herd-on-zero", NOTHING, services, gateway=gateway) as stage:
        stage.amount = f"{HERD:,}"
        first = Load(stage.running.gateway, "herd.localhost", "first")
        await first.burst(HERD)
        assert stage.judged(NOTHING, first).offences == []
        await asleep(stage)
        await stage.measure(steady=True)
        herd = Load(stage.running.gateway, "herd.localhost", "herd")
        beside = Load(stage.running.gateway, "web.localhost", "beside")
        loop = asyncio.get_running_loop()
        async with stage.loaded(), running(beside, 20):
            begun = loop.time()
            await herd.burst(HERD)
            stage.notes.append(f"{HERD} on zero, all answered in {loop.time() - begun:.1f} s")
        for load in (herd, beside):
            assert stage.judged(NOTHING, load).offences == []
        waits = [record.ended_at - record.sent_at for record in beside.records]
        stage.notes.append(
            f"the service beside it: median {statistics.median(waits) * 1000:.0f} ms, "
            f"longest {max(waits) * 1000:.0f} ms"
        )
        metrics = (await stage.running.api("/metrics")).body.decode()
        assert 'tidegate_cold_starts_total{service="herd"} 2.0' in metrics
        await asleep(stage)


async def asleep(stage: Stage) -> None:
    async def is_at_zero() -> bool:
        return not await stage.running.replicas("herd")

    await stage.running.until(is_at_zero, 60)
