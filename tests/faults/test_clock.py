"""The clock on the wall jumps by hours (fault F24): all that counts is counted by the other one."""

import functools
import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.judge import NOTHING
from tests.faults.scenario import Stage, staged

JUMPS = {"+1h": 3600, "-1h": -3600, "+30d": 2592000, "-30d": -2592000, "+0": 0}


async def test_the_clock_jumps(ground: Ground) -> None:
    if not (found := library()):
        refuse = pytest.fail if os.environ.get("TIDEGATE_REQUIRE_SERVERS") == "1" else pytest.skip
        refuse("there is no libfaketime: install Debian's package faketime")
    offset = ground.folder / "offset"
    offset.write_text("+0\n")
    env = {
        "LD_PRELOAD": str(found),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    scaling = {"min": 2, "max": 5, "stable_window": "6s", "panic_window": "1s"}
    live = {"liveness": {"http": "/live", "every": "1s", "timeout": "1s"}}
    web = ground.service(scaling=scaling, health=live)
    async with staged(ground, "clock-jumps", NOTHING, {"web": web}, env=env) as stage:
        before = [one["id"] for one in await stage.running.replicas("web")]
        async with stage.loaded():
            for jump in JUMPS:
                offset.write_text(f"{jump}\n")
                await stage.running.until(functools.partial(has_jumped, stage, jump))
                await stage.calm(1)
        assert [one["id"] for one in await stage.running.replicas("web")] == before
        assert stage.watch.of("replica-failed", "replica-ejected") == []


async def has_jumped(stage: Stage, jump: str) -> bool:
    """Whether Tidegate dates what happens as that clock says."""
    reloaded = await stage.running.api("/v1/reload", "POST")
    assert reloaded.status == 200
    events = (await stage.running.api("/v1/events?follow=false")).body.decode()
    at = datetime.fromisoformat(events.rsplit('"at":"', 1)[1].split('"')[0])
    return abs(at.timestamp() - time.time() - JUMPS[jump]) < 60


def library() -> Path | None:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return found[0] if found else None
