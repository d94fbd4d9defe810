"""No descriptor is left, and no room on the disk (faults F15, F25, F42)."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.test_workers import gateways_of
from tests.faults.ground import Ground, until_ready
from tests.faults.judge import NOTHING, ONLY_REFUSALS
from tests.faults.scenario import Stage, staged
from tests.support.running import cpu_seconds

DESCRIPTORS = 128  # of each process
CROWD = 400  # clients that hold a connection and ask for nothing
SECONDS = 2.0


async def test_descriptors_run_out(ground: Ground) -> None:
    """Who comes then is refused or waits; nobody spins, and operators still get in."""
    web = ground.service(scaling={"min": 2, "max": 2})
    async with staged(
        ground, "no-descriptors", ONLY_REFUSALS, {"web": web}, descriptors=DESCRIPTORS
    ) as stage:
        async with stage.loaded(60):
            async with crowd(stage):
                before = sum(map(cpu_seconds, gateways_of(stage.running)))
                await asyncio.sleep(SECONDS)
                used = sum(map(cpu_seconds, gateways_of(stage.running))) - before
                assert (await stage.running.api("/healthz")).status == 200
            stage.notes.append(f"while exhausted: {used / SECONDS:.0%} of a core")
            assert used / SECONDS < 0.9, "it spins"
            await stage.calm(1)
        late = [one for one in stage.load.records if one.sent_at > stage.load.records[-20].sent_at]
        assert {one.status for one in late} == {200}, "it has not recovered"


@contextlib.asynccontextmanager
async def crowd(stage: Stage) -> AsyncIterator[None]:
    host, _, port = stage.running.gateway.rpartition(":")
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(CROWD)]
    try:
        yield
    finally:
        for _, writer in opened:
            writer.transport.abort()


@contextlib.contextmanager
def small_disk(place: Path, mib: int) -> Iterator[Path]:
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tidegate-test", str(place)]
    made = subprocess.run(words, check=False, capture_output=True, text=True, timeout=20)
    if made.returncode:
        pytest.skip(f"no disk of one's own can be mounted here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, timeout=20)


def fill(disk: Path) -> Path:
    """Until not one more byte fits."""
    file = disk / "filler"
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        for size in (2**16, 2**10, 1):
            with contextlib.suppress(OSError):
                while filler.write(b"x" * size) == size:
                    pass
    return file


async def test_the_disk_for_state_and_logs_is_full(ground: Ground) -> None:
    """What runs goes on and can be scaled down; once there is room, it scales up again."""
    with small_disk(ground.folder / "disk", 2) as disk:
        web = ground.service(scaling={"min": 2, "max": 5}, env=talking(ground))
        state = str(disk / "state")
        async with (
            staged(ground, "disk-full", NOTHING, {"web": web}, state_dir=state) as stage,
            stage.loaded(),
        ):
            filler = fill(disk)
            await scale(stage, 4)
            await stage.calm(2)
            told = stage.watch.of("replica-failed")
            stage.notes.append(f"a start on a full disk: {told[0].message if told else 'works'}")
            filler.unlink()
            await until_ready(stage.running, 4)
            await scale(stage, 2)
            await until_ready(stage.running, 2)


async def scale(stage: Stage, count: int) -> None:
    answer = await stage.running.api("/v1/services/web/scale", "POST", json={"replicas": count})
    assert answer.status == 200, answer.body


def talking(ground: Ground) -> dict[str, str]:
    """Output of a process goes to a file of its own on that disk, and a program that does not bear
    an error there fails (docs/reliability.md); a container's goes to the engine."""
    return {"TALK": "1"} if ground.name == "docker" else {}
