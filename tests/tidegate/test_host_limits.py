"""What `host` comes to on this machine."""

import asyncio
import os
from pathlib import Path

import pytest

from cluster.starts import starts_of
from config.settings import Host
from gateway import gateway
from tests.gateway.websocket import ASK, KEY, switching
from tests.support.raw_http import Call, get, stage
from tidegate.front import Inside
from tidegate.host_limits import budget_of, levels_of, machine_memory

SILENT = 0.4  # seconds


@pytest.mark.parametrize(
    ("starts", "cores", "expected"), [("auto", 1, 8), ("auto", 2, 8), ("auto", 16, 64), (3, 16, 3)]
)
def test_starts_at_once(starts: object, cores: int, expected: int) -> None:
    assert starts_of(Host.model_validate({"starts": starts}), cores) == expected


def test_no_limit_of_starts() -> None:
    assert starts_of(Host(starts=0), 4) == 0


def test_memory_is_a_size_or_a_share_of_what_there_is() -> None:
    assert budget_of(Host()) is None
    assert budget_of(Host.model_validate({"memory": "6GiB"})) == 6 * 2**30
    half = budget_of(Host.model_validate({"memory": "50%"}))
    assert half == int(machine_memory() * 0.5)


def test_the_limit_of_the_container_that_we_run_in_counts(tmp_path: Path) -> None:
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert machine_memory(tmp_path) == physical
    (tmp_path / "memory.max").write_text("max\n")
    assert machine_memory(tmp_path) == physical
    (tmp_path / "memory.max").write_text("1048576\n")
    assert machine_memory(tmp_path) == 1048576


async def _tunnel(call: Call) -> None:
    await call.request()
    await call.send(switching(KEY))
    while await call.reader.read(100):
        pass


async def test_a_silent_tunnel_is_no_use_until_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its reports the service is idle: it may be put to sleep for others that need its room."""
    monkeypatch.setattr(gateway, "IDLE_FOR", 60.0)  # longer than any pause of the machine
    async with stage(_tunnel) as s:
        front, clock = Inside(s.gateway), asyncio.get_running_loop().time

        async def levels() -> int:
            return (await levels_of(front, clock))["web"]

        client = await s.client()
        await client.send(get("/", *ASK))
        assert (await client.head()).status == 101
        assert await levels() == 1
        monkeypatch.setattr(gateway, "IDLE_FOR", SILENT)
        async with asyncio.timeout(30):
            while await levels():  # noqa: ASYNC110 (nobody tells of silence)
                await asyncio.sleep(0.05)
        for _ in range(3):
            assert await levels() == 0
        assert s.stats().in_flight == 1
        await client.send(b"x")
        level = 0
        async with asyncio.timeout(30):
            while not level:
                looked, level = clock(), await levels()
                await asyncio.sleep(0.01)
        # Silent again is right only where the machine stood still for so long between the looks.
        is_awake = await levels() == 1
        assert is_awake or clock() - looked >= SILENT / 2, "two looks, one soon after the other"
