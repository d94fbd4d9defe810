"""`tidegate upgrade` under load: nobody is refused, nothing is lost, and a failure changes nothing.

Source: reliability F18 (rolling upgrade of the gateway), F19 (never two that act).
"""

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_control_killed import PLANS, ready, served
from tests.support.callers import Book, calling
from tests.support.running import (
    Answer,
    Running,
    app,
    configuration,
    descendants,
    is_alive,
    tidegate,
)

UPGRADES = 5


def gateway(workers: int) -> dict[str, Any]:
    return {"listen": ["127.0.0.1:0"], "workers": workers}


def file_of(folder: Path, workers: int, **top: Any) -> Path:
    services = {"web": app(scaling={"min": 2, "max": 2}), "idle": app()}
    return configuration(folder, services, gateway=gateway(workers), orphan_timeout="15s", **top)


@contextlib.asynccontextmanager
async def upgradable(file: Path) -> AsyncIterator["Line"]:
    """One whose successors end with the block, too."""
    async with tidegate(file) as running:
        line = Line(running)
        try:
            yield line
        finally:
            await line.end()


class Line:
    """The control processes that follow each other."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.pid = running.process.pid

    async def upgrade(self) -> Answer:
        return await self.running.api("/v1/upgrade", "POST")

    async def succeed(self) -> None:
        """An upgrade, until the former process is gone."""
        former = self.pid
        answer = await self.upgrade()
        assert answer.status == 200, answer.body
        self.pid = answer.json["pid"]
        assert self.pid != former
        await self.gone(former)

    async def gone(self, *pids: int) -> None:
        async def are_gone() -> bool:
            return not any(is_alive(pid) for pid in pids)

        await self.running.until(are_gone)

    async def end(self) -> None:
        if self.pid != self.running.process.pid and is_alive(self.pid):
            started = descendants(self.pid)
            os.kill(self.pid, signal.SIGTERM)
            try:
                await self.gone(self.pid, *started)
            except BaseException:
                os.kill(self.pid, signal.SIGKILL)
                raise


async def names(running: Running) -> dict[str, str]:
    return {one["id"]: one["address"] for one in await running.replicas("web")}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("workers", [0, 1, 2])
async def test_no_request_is_lost_and_no_replica_restarted(tmp_path: Path, workers: int) -> None:
    async with upgradable(file_of(tmp_path, workers)) as line:
        running = line.running
        await ready(running)
        address, replicas = running.gateway, await names(running)
        book = Book(running)
        async with calling(book, *PLANS):
            await served(book, 50)
            for _ in range(UPGRADES):
                await line.succeed()
                assert (running.gateway, await names(running)) == (address, replicas)
                await served(book, 50)
        assert (book.lost, book.wrong) == ({}, [])
        assert (await running.get("idle")).status == 200
        print("served:", sum(book.served.values()))
