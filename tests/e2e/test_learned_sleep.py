"""What sleep has learned outlives a whole Tidegate: an orderly end, and an upgrade."""

import asyncio
from pathlib import Path
from typing import Any

from tests.e2e.test_upgrade import upgradable
from tests.support.running import Running, app, configuration, tidegate

LEARNED = {"idle": {"policy": "learned", "stop_after": "100ms"}}
CALLS = 3


def file_of(folder: Path) -> Path:
    web = app(scaling={**LEARNED, "min": 0}, stop_grace="1s")
    return configuration(folder, {"web": web, "plain": app()}, orphan_timeout="60s")


async def learned(running: Running) -> int:
    explained = await running.api("/v1/services/web/explain")
    sleep: dict[str, Any] = explained.json["sleep"]
    return int(sleep.get("calls", 0))


async def called(running: Running) -> None:
    """Until that is known."""
    before = await learned(running)

    async def is_known() -> bool:
        return await learned(running) > before

    assert (await running.get("web")).status == 200
    await running.until(is_known)
    await asyncio.sleep(0.2)  # one that comes sooner than `stop_after` is the same call


async def test_an_orderly_end_keeps_what_was_learned_a_moment_ago(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    async with tidegate(file) as running:
        for _ in range(CALLS):
            await called(running)
        assert await running.end() == 0
    kept = tmp_path / "state" / "habits"
    assert [one.name for one in kept.iterdir()] == ["web.json"]
    async with tidegate(file) as running:
        assert await learned(running) == CALLS


async def test_an_upgrade_hands_it_over(tmp_path: Path) -> None:
    async with upgradable(file_of(tmp_path)) as line:
        for _ in range(CALLS):
            await called(line.running)
        await line.succeed()
        assert await learned(line.running) == CALLS
