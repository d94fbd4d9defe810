"""Replicas that fail their liveness under load, on local processes."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.running import Running, app, configuration, descendants, is_alive, tidegate

LIVENESS = {"http": "/ready", "every": "200ms", "failures": 2}


def fleet(count: int, shared: Path, **changes: Any) -> dict[str, Any]:
    """Their liveness asks for something that they share: a file that must not be there."""
    return app(
        scaling={"min": count},
        env={"FAIL_READY_FILE": str(shared)},
        health={"liveness": LIVENESS},
        **changes,
    )


async def ready(running: Running, count: int) -> bool:
    return len(await running.replicas("web", "ready")) == count


async def ids(running: Running) -> set[str]:
    return {replica["id"] for replica in await running.replicas("web")}


async def test_one_that_fails_alone_is_replaced_and_what_it_is_at_is_finished(
    tmp_path: Path,
) -> None:
    file = configuration(tmp_path, {"web": fleet(1, tmp_path / "broken")})
    async with tidegate(file) as running:
        await running.until(lambda: ready(running, 1))
        first = await ids(running)
        statuses: Counter[int] = Counter()

        async def replaced() -> bool:
            statuses[(await running.get("web")).status] += 1
            return not first & await ids(running) and await ready(running, 1)

        async with asyncio.TaskGroup() as group:
            long = group.create_task(running.get("web", "/sleep?ms=5000"), name="a long request")

            async def under_way() -> bool:
                return bool((await running.service("web"))["in_flight"] >= 1)

            await running.until(under_way)
            assert (await running.get("web", "/toggle/ready")).body == b"False"
            await running.until(replaced)
        assert long.result().body == b"slept"
        assert set(statuses) == {200}
        metrics = (await running.api("/metrics")).body.decode()
        assert 'tidegate_evictions_total{reason="liveness",service="web"} 1.0' in metrics


async def test_a_liveness_that_asks_a_broken_dependency_does_not_end_the_service(
    tmp_path: Path,
) -> None:
    """Source: the liveness probe that asks the database, and restarts everybody when it is away."""
    broken = tmp_path / "broken"
    file = configuration(tmp_path, {"web": fleet(4, broken)})
    async with tidegate(file) as running:
        await running.until(lambda: ready(running, 4))
        first = await ids(running)
        broken.touch()

        async def held() -> bool:
            return bool(running.said("evictions-held"))

        await running.until(held)
        statuses: Counter[int] = Counter()
        loop = asyncio.get_running_loop()
        end = loop.time() + 6
        while loop.time() < end:
            statuses[(await running.get("web")).status] += 1
            assert len(await running.replicas("web", "ready")) >= 3
        assert set(statuses) == {200}
        # Without the hold all four would have gone within half a second, and then their successors.
        assert len(running.said("replica-evicted")) == 1
        assert len(first & await ids(running)) >= 3
        broken.unlink()

        async def resumed() -> bool:
            return bool(running.said("evictions-resumed")) and await ready(running, 4)

        await running.until(resumed)
        assert len(first & await ids(running)) >= 3


def process_of(running: Running, replica: str) -> int:
    """Its command: the process that was told its name and listens, so not the shell before it."""
    told = f"TIDEGATE_REPLICA={replica}".encode()
    found = []
    for pid in descendants(running.process.pid):
        with contextlib.suppress(OSError):  # it has just ended
            if told in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    [pid] = found
    return pid


async def test_one_that_hangs_is_found_by_its_liveness_and_nothing_is_left_of_it(
    tmp_path: Path,
) -> None:
    """Source: a stopped process, whose port the kernel still opens."""
    # One that is well answers within a second, also on a busy machine.
    liveness = {"http": "/live", "every": "200ms", "timeout": "1s", "failures": 3}
    service = app(
        scaling={"min": 2}, health={"liveness": liveness}, drain="200ms", stop_grace="200ms"
    )
    async with tidegate(configuration(tmp_path, {"web": service})) as running:
        await running.until(lambda: ready(running, 2))
        sick, well = sorted(await ids(running))
        pid = process_of(running, sick)
        os.kill(pid, signal.SIGSTOP)
        try:

            async def replaced() -> bool:
                present = await ids(running)
                return sick not in present and well in present and await ready(running, 2)

            await running.until(replaced)
        finally:
            if is_alive(pid):
                os.kill(pid, signal.SIGCONT)
        assert not is_alive(pid)
        assert len(running.said("replica-evicted")) == 1
        assert {(await running.get("web")).status for _ in range(10)} == {200}
