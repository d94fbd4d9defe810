"""The control process is killed, and what runs goes on until the next one takes over.

Source: reliability F16 (kill -9 with replicas running), F19 and F20 (one owner, one Tidegate).
"""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_workers import gateways_of
from tests.support.callers import Book, calling
from tests.support.running import (
    Running,
    app,
    configuration,
    descendants,
    is_alive,
    tidegate,
)

TWO = {"listen": ["127.0.0.1:0"], "workers": 2}
PLANS = [
    *[("GET", "web", "/sleep?ms=5", b"", kept) for kept in (True, False) * 3],
    *[("POST", "web", "/echo", b"x" * 20_000, kept) for kept in (True, False) * 2],
]


def file_of(folder: Path, gateway: dict[str, Any] = TWO, **top: Any) -> Path:
    services = {"web": app(scaling={"min": 2, "max": 2}), "idle": app(queue={"timeout": "60s"})}
    return configuration(folder, services, gateway=gateway, **top)


async def ready(running: Running) -> None:
    async def are_ready() -> bool:
        return len(await running.replicas("web", "ready")) == 2

    await running.until(are_ready)


async def served(book: Book, more: int) -> None:
    """So many more requests of those who call."""
    goal = book.served["web"] + more

    async def reached() -> bool:
        return book.served["web"] >= goal or bool(book.lost) or bool(book.wrong)

    await book.running.until(reached)


async def gone(running: Running, *pids: int) -> None:
    async def are_gone() -> bool:
        return not any(is_alive(pid) for pid in pids)

    await running.until(are_gone)


async def test_gateways_serve_what_runs_until_the_next_one_takes_over(tmp_path: Path) -> None:
    """F16: any method, kept and fresh connections; no replica is restarted."""
    file = file_of(tmp_path, orphan_timeout="60s")
    async with tidegate(file) as first, contextlib.AsyncExitStack() as later:
        await ready(first)
        former = gateways_of(first)
        replicas = {one["id"]: one["address"] for one in await first.replicas("web")}
        book = Book(first)
        async with calling(book, *PLANS):
            await served(book, 50)
            await first.kill()
            await served(book, 200)
            second = await later.enter_async_context(tidegate(file))
            assert second.gateway == first.gateway
            await ready(second)
            await served(book, 100)
            await gone(second, *former)
            await served(book, 100)
            now = {one["id"]: one["address"] for one in await second.replicas("web")}
        assert now == replicas
        assert (book.lost, book.wrong) == ({}, [])
        assert second.said("gateway-taken-over")
        assert len(gateways_of(second)) == 2


@pytest.mark.parametrize("concurrency", [0, 1])
async def test_who_waits_for_a_sleeping_service_is_served_by_the_next_one(
    tmp_path: Path, concurrency: int
) -> None:
    """Also with a hard limit, whose places nobody tells to a gateway that was taken over."""
    idle = app(queue={"timeout": "60s"}, concurrency=concurrency)
    services = {"web": app(scaling={"min": 2, "max": 2}), "idle": idle}
    file = configuration(tmp_path, services, gateway=TWO, orphan_timeout="60s")
    async with tidegate(file) as first, contextlib.AsyncExitStack() as later:
        await ready(first)
        await first.kill()
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(first.get("idle"), name="waits") for _ in range(10)]
            assert (await first.get("web")).status == 200
            assert not any(one.done() for one in waiting)
            await later.enter_async_context(tidegate(file))
        assert [one.result().status for one in waiting] == [200] * 10


async def test_who_waits_is_refused_in_time_when_nobody_comes(tmp_path: Path) -> None:
    services = {"web": app(scaling={"min": 1}), "idle": app(queue={"timeout": "500ms"})}
    file = configuration(tmp_path, services, gateway=TWO, orphan_timeout="8s")
    async with tidegate(file) as first:
        await first.get("web")
        left = descendants(first.process.pid)
        await first.kill()
        answer = await first.get("idle")
        assert (answer.status, answer.headers.get("Retry-After", "")) >= (503, "1")
        assert (await first.get("web")).status == 200
        await gone(first, *left)


async def test_gateways_without_a_control_process_end_on_sigterm(tmp_path: Path) -> None:
    """While one has it, the control process alone obeys a signal to the group."""
    file = file_of(tmp_path, orphan_timeout="50s")
    async with tidegate(file) as first:
        await ready(first)
        gateways, everything = gateways_of(first), descendants(first.process.pid)
        for pid in gateways:
            os.kill(pid, signal.SIGTERM)
        until = time.perf_counter() + 0.5
        while time.perf_counter() < until:
            assert (await first.get("web")).status == 200
        await first.kill()
        assert (await first.get("web")).status == 200
        for pid in gateways:
            os.kill(pid, signal.SIGTERM)
        await gone(first, *gateways)
        for pid in everything - set(gateways):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def test_a_second_one_refuses_to_start_beside_a_paused_one(tmp_path: Path) -> None:
    """F19, F20: the lock lasts as long as the process, however long that stands still; so there is
    none to be lost, and whoever goes on still has it."""
    file = file_of(tmp_path)
    async with tidegate(file) as first:
        await ready(first)
        replicas = await first.replicas("web")
        first.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(BaseExceptionGroup) as ended:
                async with tidegate(file):
                    pass
        finally:
            first.process.send_signal(signal.SIGCONT)
        assert "is running already" in repr(ended.value.exceptions)
        assert await first.replicas("web") == replicas
        assert (await first.get("idle")).status == 200
