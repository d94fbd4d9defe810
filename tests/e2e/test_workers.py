"""The gateway in a process of its own, as by default."""

import asyncio
import contextlib
import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.support.running import (
    Running,
    app,
    configuration,
    descendants,
    is_alive,
    tidegate,
)

IN_A_PROCESS = {"listen": ["127.0.0.1:0"], "workers": 1}


def gateways_of(running: Running) -> list[int]:
    """Processes that run the gateway, by their numbers."""
    found = []
    for pid in descendants(running.process.pid):
        with contextlib.suppress(OSError):  # it has just ended
            if b"tidegate.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return sorted(found)


async def test_it_serves_wakes_and_counts(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app()}, gateway=IN_A_PROCESS)
    async with tidegate(file) as running:
        assert len(gateways_of(running)) == 1
        answer = await running.get("web")
        assert (answer.status, "Server-Timing" in answer.headers) == (200, True)
        assert (await running.get("nobody")).status == 404
        metrics = (await running.api("/metrics")).body.decode()
        assert 'tidegate_requests_total{code="200",service="web"} 1.0' in metrics
        assert 'tidegate_requests_total{code="404",service=""} 1.0' in metrics


async def test_a_killed_gateway_is_replaced_and_refuses_nobody(tmp_path: Path) -> None:
    """Only what was in it is lost: its sockets live on in the control process."""
    file = configuration(tmp_path, {"web": app()}, gateway=IN_A_PROCESS)
    async with tidegate(file) as running:
        await running.get("web")
        (first,) = gateways_of(running)
        os.kill(first, signal.SIGKILL)
        answers = await asyncio.gather(*(running.get("web") for _ in range(50)))
        assert Counter(answer.status for answer in answers) == {200: 50}
        (second,) = gateways_of(running)
        assert second != first
        metrics = (await running.api("/metrics")).body.decode()
        # The first one's count may have died with it; its successor's fifty are exact.
        counted = re.search(r'requests_total\{code="200",service="web"\} (\d+)', metrics)
        assert counted
        assert int(counted[1]) in (50, 51)
        assert running.said("gateway-died")


async def test_a_drain_waits_for_requests_in_the_gateway(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app()}, gateway=IN_A_PROCESS)
    async with tidegate(file) as running:
        await running.get("web")
        started = descendants(running.process.pid)
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(running.get("web", "/sleep?ms=4000"), name="slow")

            async def in_flight() -> bool:
                return bool((await running.service("web"))["in_flight"])

            await running.until(in_flight)
            assert await running.end() == 0
        assert slow.result().status == 200
        assert not any(is_alive(pid) for pid in started)


async def test_idle_replicas_leave_only_the_gateway(tmp_path: Path) -> None:
    services = {"web": app(scaling={"idle": {"stop_after": "1s"}})}
    file = configuration(tmp_path, services, gateway=IN_A_PROCESS)
    async with tidegate(file) as running:
        await running.get("web")

        async def only_the_gateway() -> bool:
            return sorted(descendants(running.process.pid)) == gateways_of(running)

        await running.until(only_the_gateway)


async def test_the_gateway_ends_with_the_control_process_where_it_shall(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app()}, gateway=IN_A_PROCESS, orphan_timeout=0)
    async with tidegate(file) as running:
        await running.get("web")
        started = descendants(running.process.pid)
        await running.kill()

        async def all_gone() -> bool:
            return not any(is_alive(pid) for pid in started)

        await running.until(all_gone)


async def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app()}, gateway=IN_A_PROCESS)
    async with tidegate(file) as running:
        other = tmp_path / "other"
        other.mkdir()
        taken = {"listen": [running.gateway], "workers": 1}
        second = configuration(other, {"web": app()}, gateway=taken)
        with pytest.raises(BaseExceptionGroup) as ended:
            async with tidegate(second):
                pass
        assert "Address already in use" in repr(ended.value.exceptions)
        assert "gateway.listen" in repr(ended.value.exceptions)


async def test_a_reload_reaches_the_gateway(tmp_path: Path) -> None:
    file = configuration(tmp_path, {"web": app()}, gateway=IN_A_PROCESS)
    async with tidegate(file) as running:
        assert (await running.get("api")).status == 404
        file.write_text(file.read_text().replace("  web:", "  api:"))
        assert (await running.api("/v1/reload", "POST")).status == 200
        assert (await running.get("api")).status == 200
        assert (await running.get("web")).status == 404
