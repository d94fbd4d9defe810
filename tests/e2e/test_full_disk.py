"""A disk without room (F15, F44) and a log that nobody takes (F42): what runs is served on."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import orjson
import pytest

from tests.support.running import DEADLINE, app, configuration, tidegate


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with a megabyte of room."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root mounts a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True, timeout=10
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=10)


def fill(folder: Path) -> Path:
    """To the last byte."""
    file = folder / "filler"
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 512)
    return file


async def test_on_a_full_disk_what_runs_is_served_and_what_cannot_start_says_why(
    tmp_path: Path, small_disk: Path
) -> None:
    services = {"web": app(), "other": app()}
    file = configuration(tmp_path, services, state_dir=str(small_disk / "state"))
    async with tidegate(file) as running:
        assert (await running.get("web")).status == 200
        filler = fill(small_disk)
        refused = await running.get("other")
        assert refused.status == 503
        assert "No space left on device" in refused.json["detail"]
        assert (await running.get("web")).status == 200

        async def no_draft_stays() -> bool:
            return not list((small_disk / "state").rglob("*.new"))

        await running.until(no_draft_stays)
        filler.unlink()

        async def serves() -> bool:
            return (await running.get("other")).status == 200

        await running.until(serves)
        assert await running.end() == 0


async def test_on_a_full_disk_it_starts_again_and_adopts(tmp_path: Path, small_disk: Path) -> None:
    file = configuration(tmp_path, {"web": app()}, state_dir=str(small_disk / "state"))
    async with tidegate(file, "--keep-replicas") as running:
        assert (await running.get("web")).status == 200
        (first,) = await running.replicas("web")
        await running.end()
    filler = fill(small_disk)
    async with tidegate(file) as running:
        assert (await running.get("web")).status == 200
        served = [one["id"] for one in await running.replicas("web", "ready")]
        assert served == [first["id"]]
    filler.unlink()


async def test_a_log_that_nobody_reads_holds_nobody_up(tmp_path: Path) -> None:
    gateway = {"listen": ["127.0.0.1:0"], "workers": 0, "access_log": "json"}
    file = configuration(tmp_path, {"web": app()}, gateway=gateway)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidegate", "run", "--config", str(file), "--log-format", "json"),
        stderr=asyncio.subprocess.PIPE,
        limit=2**12,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(DEADLINE), aiohttp.ClientSession() as client:
            while (said := orjson.loads(await process.stderr.readline())).get("kind") != "ready":
                pass
            for _ in range(600):  # lines of about 300 bytes: more than the pipe and its reader take
                async with client.get(
                    f"http://{said['listen'][0]}/", headers={"Host": "web.localhost"}
                ) as answer:
                    assert answer.status == 200
            process.stderr._transport.close()  # type: ignore[attr-defined]  # and now for good
            for _ in range(10):
                async with client.get(
                    f"http://{said['listen'][0]}/", headers={"Host": "web.localhost"}
                ) as answer:
                    assert answer.status == 200
            process.terminate()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
