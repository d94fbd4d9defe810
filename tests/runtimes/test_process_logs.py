"""Logs of processes: bounded by the guard, told without gaps, in files that outlive nobody."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.runtime import LogLine
from cluster.workload import Workload
from runtimes.process import ProcessRuntime
from runtimes.process_guard_program import bound
from runtimes.process_logs import ReplicaLogs
from tests.support.process_table import until
from tests.support.process_workloads import python, workload

LIMIT = 64 * 1024


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[ProcessRuntime]:
    runtime = ProcessRuntime("logs", tmp_path, log_limit=LIMIT)
    await runtime.open()
    yield runtime
    for instance in await runtime.instances():
        await runtime.stop(instance.id, grace=0)
    await runtime.close()


def _sizes(folder: Path) -> dict[str, int]:
    """What each log takes of the disk, in bytes."""
    sizes = {}
    for path in (folder / "logs").iterdir():
        with contextlib.suppress(FileNotFoundError):  # what the guard writes gets another name
            sizes[path.name] = path.stat().st_blocks * 512
    return sizes


def chatty(folder: Path, lines: int, then: str = "") -> Workload:
    """Says that it is up, and all else only when `followed` listens: it is fast, and we may be
    late."""
    source = (
        "import os, sys, time\nprint('up', flush=True)\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
        f"for n in range(1, {lines + 1}): print('line', n)\n{then}"
    )
    return workload(*python(source, str(folder / "go")))


async def followed(
    runtime: ProcessRuntime, instance: str, folder: Path
) -> AsyncGenerator[str, None]:
    async with asyncio.timeout(50):
        await until(lambda: _sizes(folder)["a.stdout"], "it is up")
        lines = runtime.logs(instance, tail=1, follow=True)
        assert (await anext(lines)).text == "up"
        (folder / "go").touch()
        async for line in lines:
            yield line.text


async def test_a_chatty_replica_cannot_fill_the_disk(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    then = "print('done', flush=True)\ntime.sleep(300)"
    instance = await runtime.start("a", chatty(tmp_path, 200_000, then))

    def is_bounded() -> bool:
        return max(_sizes(tmp_path).values()) <= 2 * LIMIT and "a.stdout.1" in _sizes(tmp_path)

    async with contextlib.aclosing(followed(runtime, instance.id, tmp_path)) as lines:
        async for line in lines:
            if line == "done":
                break
    await until(is_bounded, "its logs are below their bounds")
    told = runtime.logs(instance.id, tail=1)
    assert [line.text async for line in told] == ["done"]


async def test_a_follower_hears_the_last_line_of_a_replica_whose_log_was_moved(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    instance = await runtime.start("a", chatty(tmp_path, 50_000))
    async with contextlib.aclosing(followed(runtime, instance.id, tmp_path)) as lines:
        told = [line async for line in lines]
    assert told[-1] == "line 50000"


async def test_a_line_without_an_end_is_told_at_the_end(runtime: ProcessRuntime) -> None:
    source = "import sys; sys.stdout.write('whole\\npart')"
    instance = await runtime.start("a", workload(*python(source)))
    async with asyncio.timeout(30):
        told = [line.text async for line in runtime.logs(instance.id, follow=True)]
    assert told == ["whole", "part"]
    assert [line.text async for line in runtime.logs(instance.id)] == ["whole", "part"]


async def test_a_follower_hears_the_last_line_though_the_replica_is_removed(
    runtime: ProcessRuntime,
) -> None:
    script = "trap 'echo bye; exit' TERM; echo up; while :; do sleep 300 & wait; done"
    instance = await runtime.start("a", workload("/bin/sh", "-c", script))
    lines = runtime.logs(instance.id, follow=True)
    async with asyncio.timeout(30):
        assert (await anext(lines)).text == "up"
        await runtime.stop(instance.id, grace=10)
        assert [line.text async for line in lines] == ["bye"]


async def test_closing_ends_a_follower(runtime: ProcessRuntime) -> None:
    instance = await runtime.start("a", workload("/bin/sh", "-c", "echo up; exec sleep 300"))
    lines = runtime.logs(instance.id, follow=True)
    async with asyncio.timeout(30):
        assert (await anext(lines)).text == "up"
        await runtime.close()
        assert [line async for line in lines] == []
        await runtime.open()


# One step of a log's life: lines are written, the guard looks at it, or a follower reads.
STEPS = st.lists(st.sampled_from(["write", "bound", "read"]), max_size=40)


@given(steps=STEPS, width=st.integers(1, 60))
def test_a_follower_hears_each_line_once_and_in_order_whenever_the_log_is_moved(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], width: int
) -> None:
    asyncio.run(_live(tmp_path_factory.mktemp("log"), steps, width))


async def _live(folder: Path, steps: list[str], width: int) -> None:
    limit = 100  # bytes; a write is shorter, so that nothing is ever cut away
    logs = ReplicaLogs(folder, "a")
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    numbers = itertools.count()
    written: list[str] = []
    told: list[LogLine] = []
    with logs.opened():
        path = folder / "a.stdout"

        def write() -> None:
            text = f"{next(numbers)}".rjust(width, ".")
            written.append(text)
            with path.open("a") as file:
                file.write(f"{text}\n")

        async def follow() -> None:
            lines = logs.tell(0, follow=True, ended=ended, wall_clock=lambda: 0.0)
            async for line in lines:
                told.append(line)  # noqa: PERF401 - it is read while it grows

        async with asyncio.TaskGroup() as group:
            group.create_task(follow())
            await asyncio.sleep(0)
            for step in steps:
                if step == "write":
                    write()
                elif step == "bound":
                    # Twice in a row without a reader would take away what it has not read.
                    await _read_all(told, written)
                    bound(path, limit)
                else:
                    await _read_all(told, written)
            ended.set_result(0)
    assert [line.text for line in told] == written


async def _read_all(told: list[LogLine], written: list[str]) -> None:
    await until(lambda: len(told) >= len(written), "the follower has caught up")


@pytest.mark.parametrize(
    ("size", "log", "first"),
    [(100, 100, None), (10_000, 10_000, None), (10_001, 0, 0), (20_000, 0, 0), (50_000, 0, 36_864)],
)
def test_a_full_log_is_moved_and_of_one_far_too_long_the_end(
    tmp_path: Path, size: int, log: int, first: int | None
) -> None:
    path = tmp_path / "a.stdout"
    content = bytes(number % 251 + 1 for number in range(size))
    path.write_bytes(content)
    bound(path, 10_000)
    moved = tmp_path / "a.stdout.1"
    assert path.stat().st_size == log
    if first is None:
        assert not moved.exists()
    else:
        assert moved.read_bytes() == bytes(first) + content[first:]
        assert moved.stat().st_blocks * 512 <= 20_480


@pytest.mark.parametrize("read", [1, 100, 9_000])
async def test_a_follower_of_a_log_far_too_long_loses_whole_lines_and_hears_the_end(
    tmp_path: Path, read: int
) -> None:
    logs = ReplicaLogs(tmp_path, "a")
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    lines = [f"line {number}" for number in range(10_000)]
    with logs.opened():
        path = tmp_path / "a.stdout"
        path.write_text("".join(f"{line}\n" for line in lines[:read]) + "lin")
        follower = logs.tell(1, follow=True, ended=ended, wall_clock=lambda: 0.0)
        assert (await anext(follower)).text == lines[read - 1]
        path.write_text("".join(f"{line}\n" for line in lines))
        bound(path, 10_000)
        with path.open("a") as file:
            file.write("after")
        ended.set_result(0)
        told = [line.text async for line in follower]
    assert told[-1] == "after"
    told.pop()
    first = lines.index(told[0])
    assert told == lines[first:]
    assert first <= max(read, 9_200)


async def test_a_follower_that_missed_a_move_hears_the_end_of_what_was_moved_last(
    tmp_path: Path,
) -> None:
    logs = ReplicaLogs(tmp_path, "a")
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    with logs.opened():
        path = tmp_path / "a.stdout"
        path.write_text("".join(f"former {number}\n" for number in range(2_000)))
        follower = logs.tell(1, follow=True, ended=ended, wall_clock=lambda: 0.0)
        assert (await anext(follower)).text == "former 1999"
        bound(path, 10_000)
        lines = [f"line {number}" for number in range(1_500)]
        path.write_text("".join(f"{line}\n" for line in lines))
        bound(path, 10_000)
        ended.set_result(0)
        told = [line.text async for line in follower]
    assert told == lines[lines.index(told[0]) :]


@pytest.mark.parametrize(
    ("out", "err", "tail", "told"),
    [
        (5, 0, 3, "o2 o3 o4"),
        (0, 5, 3, "e2 e3 e4"),
        (5, 5, 4, "o3 o4 e3 e4"),
        (5, 1, 4, "o2 o3 o4 e0"),
        (1, 5, 4, "o0 e2 e3 e4"),
        (5, 5, 1, "o4"),
        (2, 2, 100, "o0 o1 e0 e1"),
        (2, 2, 0, ""),
    ],
)
async def test_the_tail_is_shared_by_both_streams(
    tmp_path: Path, out: int, err: int, tail: int, told: str
) -> None:
    logs = ReplicaLogs(tmp_path, "a")
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    with logs.opened():
        (tmp_path / "a.stdout").write_text("".join(f"o{n}\n" for n in range(out)))
        (tmp_path / "a.stderr").write_text("".join(f"e{n}\n" for n in range(err)))
        lines = logs.tell(tail, follow=False, ended=ended, wall_clock=lambda: 0.0)
        assert " ".join([line.text async for line in lines]) == told


async def test_the_tail_reaches_back_into_what_was_moved(tmp_path: Path) -> None:
    logs = ReplicaLogs(tmp_path, "a")
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    with logs.opened():
        (tmp_path / "a.stdout.1").write_text("1\n2\n3\n")
        (tmp_path / "a.stdout").write_text("4\r\n5")
        lines = logs.tell(4, follow=False, ended=ended, wall_clock=lambda: 0.0)
        assert [line.text async for line in lines] == ["2", "3", "4", "5"]


def test_a_replica_id_that_is_no_file_name_stays_in_its_folder(tmp_path: Path) -> None:
    with ReplicaLogs(tmp_path, "../a/b").opened():
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "..%2Fa%2Fb.stderr",
            "..%2Fa%2Fb.stdout",
        ]
