"""A service that is recorded: each request is there once, and nothing suffers from it."""

import asyncio
import csv
import io
import sys
from pathlib import Path

import pytest
import yaml

from recording.reader import Recording
from recording.schema import NAME
from tests.e2e.test_full_disk import fill, small_disk
from tests.e2e.test_upgrade import upgradable
from tests.support.running import Running, app, configuration, tidegate, write

__all__ = ["small_disk"]

pytestmark = pytest.mark.timeout(240)

RECORDED = {"record": True, "scaling": {"max": 1}}


def file_of(folder: Path, workers: int = 1, **services: dict[str, object]) -> Path:
    gateway = {"listen": ["127.0.0.1:0"], "workers": workers}
    return configuration(folder, {name: app(**one) for name, one in services.items()},
                         gateway=gateway)  # fmt: skip


async def ask(running: Running, count: int, service: str = "web", path: str = "/") -> None:
    answers = await asyncio.gather(*(running.get(service, path) for _ in range(count)))
    assert {answer.status for answer in answers} == {200}


async def exported(file: Path, *arguments: str) -> list[dict[str, str]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidegate", "record", "export", "--config", str(file), *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return list(csv.DictReader(io.StringIO(out.decode())))


def total(rows: list[dict[str, str]], name: str = "requests") -> int:
    return sum(int(row[name]) for row in rows)


@pytest.mark.parametrize("workers", [0, 1, 3])
async def test_each_request_is_in_the_table_once(tmp_path: Path, workers: int) -> None:
    file = file_of(tmp_path, workers, web=RECORDED, other={})
    async with tidegate(file) as running:
        await ask(running, 40)
        await ask(running, 5, "other")
        await running.request("POST", "web", "/echo", data=b"x" * 3000)
        await ask(running, 30)
        assert await running.end() == 0
    arrivals = await exported(file)
    assert {row["service"] for row in arrivals} == {"web"}
    assert total(arrivals) == 71
    times = await exported(file, "--what", "times")
    assert total([row for row in times if row["kind"] == "occupied"], "count") == 71
    sizes = await exported(file, "--what", "sizes")
    uploads = {row["up_to_bytes"]: int(row["count"]) for row in sizes if row["kind"] == "request"}
    assert uploads == {"0": 70, "4095": 1}
    (start,) = await exported(file, "--what", "starts")
    assert (start["service"], start["outcome"]) == ("web", "ready")
    assert 0 < float(start["seconds"]) < 30


async def test_a_restart_goes_on_where_the_former_one_ended(tmp_path: Path) -> None:
    file = file_of(tmp_path, web=RECORDED)
    for _ in range(2):
        async with tidegate(file) as running:
            await ask(running, 10)
            assert await running.end() == 0
    assert total(await exported(file)) == 20
    assert len(await exported(file, "--what", "starts")) == 2


async def test_an_upgrade_records_what_both_have_served(tmp_path: Path) -> None:
    file = file_of(tmp_path, web=RECORDED)
    async with upgradable(file) as line:
        await ask(line.running, 10)
        await line.succeed()
        await ask(line.running, 10)
    assert total(await exported(file)) == 20


async def test_a_reload_begins_and_ends_it_and_it_is_read_meanwhile(tmp_path: Path) -> None:
    file = file_of(tmp_path, web={"record": False})
    content = yaml.safe_load(file.read_text())
    async with tidegate(file) as running:
        await ask(running, 5)
        for record, count in ((True, 10), (False, 20)):
            content["services"]["web"]["record"] = record
            write(file, content)
            answer = await running.api("/v1/reload", "POST")
            assert (answer.status, answer.json["restart_needed"]) == (200, [])
            await ask(running, count)
            if record:
                await running.until(lambda: _counts(tmp_path, 10))
        assert await running.end() == 0
    assert total(await exported(file)) == 10


async def test_on_a_full_disk_it_is_told_once_and_all_is_served(
    tmp_path: Path, small_disk: Path
) -> None:
    file = configuration(tmp_path, {"web": app(**RECORDED)}, state_dir=str(small_disk / "state"))
    async with tidegate(file) as running:
        await ask(running, 10)
        filler = fill(small_disk)

        async def told() -> bool:
            return bool(running.said("recording-failed"))

        await running.until(told)
        await ask(running, 10)
        (said,) = running.said("recording-failed")
        assert "disk" in said
        filler.unlink()
        assert await running.end() == 0
    with Recording(small_disk / "state" / NAME) as recording:
        assert sum(one.requests for one in recording.arrivals()) == 20


async def test_a_broken_file_is_told_once_and_all_is_served(tmp_path: Path) -> None:
    file = file_of(tmp_path, web=RECORDED)
    (tmp_path / "state").mkdir(mode=0o700)
    broken = tmp_path / "state" / NAME
    broken.write_bytes(b"this is no database, whatever it is called" * 100)
    async with tidegate(file) as running:
        await ask(running, 10)

        async def told() -> bool:
            return bool(running.said("recording-failed"))

        await running.until(told)
        await ask(running, 10)
        broken.unlink()
        await running.until(lambda: _counts(tmp_path, 20))
        assert len(running.said("recording-failed")) == 1
        assert await running.end() == 0
    assert total(await exported(file)) == 20


async def _counts(folder: Path, count: int) -> bool:
    try:
        with Recording(folder / "state" / NAME) as recording:
            return sum(one.requests for one in recording.arrivals()) == count
    except FileNotFoundError:
        return False
