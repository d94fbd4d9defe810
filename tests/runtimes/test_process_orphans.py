"""No replica outlives Tidegate by accident, and with nothing running nothing of ours runs."""

import asyncio
import contextlib
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cluster.runtime import RuntimeFailure
from runtimes import process_guard
from runtimes.process import ProcessRuntime
from tests.support.process_table import guards, marked, until, until_gone
from tests.support.process_workloads import workload

_ROOT = Path(__file__).resolve().parents[2]
_TREE = 'sh -c "sleep 300; true" & exec sleep 300'
_STUBBORN = "trap '' TERM; while :; do sleep 300; done"

# Stands for a whole Tidegate, in a process of its own, so that it can be killed.
_TIDEGATE = """
import asyncio, os, signal, sys
from pathlib import Path
from runtimes import process_guard
from runtimes.process import ProcessRuntime
from tests.support.process_table import guards, until
from tests.support.process_workloads import workload

async def main(folder, plan, *commands):
    process_guard._TOO_SHORT = 0
    runtime = ProcessRuntime("orphans", Path(folder), orphan_grace=1)
    await runtime.open()
    number = 0
    while plan == "starting" or number < len(commands):
        command = commands[number % len(commands)]
        await runtime.start(f"r{number}", workload("/bin/sh", "-c", command, MARK=folder))
        number += 1
        print("started", number, flush=True)
        if number % 30 == 0:
            for instance in await runtime.instances():
                await runtime.stop(instance.id, 0)
    if plan == "guard-killed":
        await until(lambda: guards(folder), "a guard")
        former = guards(folder)
        os.kill(former[0], signal.SIGKILL)
        # One look for both: the former dies some time after the signal was sent.
        await until(lambda: set(guards(folder)) - set(former), "another guard")
    if plan == "adopted":
        await runtime.close()
        runtime = ProcessRuntime("orphans", Path(folder), orphan_grace=1)
        await runtime.open()
        assert len(await runtime.instances()) == len(commands)
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[ProcessRuntime]:
    runtime = ProcessRuntime("orphans", tmp_path)
    await runtime.open()
    yield runtime
    for instance in await runtime.instances():
        await runtime.stop(instance.id, grace=0)
    await runtime.close()


async def _kill_tidegate(folder: Path, plan: str, last_word: str, *commands: str) -> None:
    """Runs one with these replicas until it says the word, and kills it then and there."""
    tidegate = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _TIDEGATE, str(folder), plan, *commands),
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    assert tidegate.stdout is not None
    while (line := await tidegate.stdout.readline()).strip() != last_word.encode():
        assert line, "it ended by itself"
    tidegate.kill()
    await tidegate.wait()


@pytest.mark.parametrize("plan", ["wait", "guard-killed", "adopted"])
async def test_killing_us_ends_every_replica_with_its_children(tmp_path: Path, plan: str) -> None:
    await _kill_tidegate(tmp_path, plan, "ready", _TREE, _STUBBORN, "exec sleep 300")
    await until_gone(str(tmp_path))


@pytest.mark.parametrize("moment", [1, 2, 17, 40])
async def test_killing_us_in_the_middle_of_starts_leaves_nothing(
    tmp_path: Path, moment: int
) -> None:
    await _kill_tidegate(tmp_path, "starting", f"started {moment}", "exec sleep 300", _TREE)
    await until_gone(str(tmp_path))


async def test_with_the_last_replica_the_guard_goes(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    assert not guards(str(tmp_path))
    for replica in ("a", "b"):
        await runtime.start(replica, workload("/bin/sleep", "300"))
    await until(lambda: len(guards(str(tmp_path))) == 1, "one guard for both")
    first, second = await runtime.instances()
    await runtime.stop(first.id, grace=5)
    assert len(guards(str(tmp_path))) == 1
    await runtime.stop(second.id, grace=5)
    assert not marked(str(tmp_path))


async def test_with_the_last_replica_ended_by_itself_the_guard_goes(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    instance = await runtime.start("a", workload("/bin/sleep", "300"))
    await until(lambda: guards(str(tmp_path)), "a guard")
    os.kill(int(instance.id.partition("-")[0]), signal.SIGKILL)
    await until(lambda: not marked(str(tmp_path)), "no guard for a dead replica")
    assert len(await runtime.instances()) == 1


async def test_a_start_that_fails_leaves_no_guard(runtime: ProcessRuntime, tmp_path: Path) -> None:
    (tmp_path / "replicas").rmdir()
    with pytest.raises(RuntimeFailure, match="cannot start a process"):
        await runtime.start("a", workload("/bin/sleep", "300", MARK=str(tmp_path)))
    await until(lambda: not marked(str(tmp_path)), "no process and no guard")
    assert list((tmp_path / "logs").iterdir()) == []


async def test_a_start_that_cannot_be_watched_is_undone(
    runtime: ProcessRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await runtime.start("a", workload("/bin/sleep", "300"))

    def refuse(pid: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(RuntimeFailure, match="too many open files") as failure:
        await runtime.start("b", workload("/bin/sleep", "300", MARK=f"{tmp_path}/b"))
    assert failure.value.transient
    assert not marked(f"{tmp_path}/b")
    assert [one.replica for one in await runtime.instances()] == ["a"]


async def test_when_a_leader_ends_the_rest_of_its_group_is_killed(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    command = 'sh -c "sleep 300; true" & exit 0'
    await runtime.start("a", workload("/bin/sh", "-c", command, MARK=str(tmp_path)))
    await until(lambda: not marked(str(tmp_path)), "the child is gone too")


async def test_a_replica_has_no_descriptor_of_ours(runtime: ProcessRuntime) -> None:
    instance = await runtime.start("a", workload("/bin/sleep", "300"))
    folder = f"/proc/{instance.id.partition('-')[0]}/fd"

    def runs_with_its_own_only() -> bool:
        with contextlib.suppress(FileNotFoundError):  # of one that it has just closed
            targets = {name: os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}
            return sorted(targets) == ["0", "1", "2"] and targets["0"] == "/dev/null"
        return False

    await until(runs_with_its_own_only, "it has its three standard ones")


async def test_a_guard_that_cannot_run_is_not_started_again_and_again(
    runtime: ProcessRuntime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(process_guard, "PROGRAM", "import sys; sys.stdin.readline(); sys.exit(9)")
    monkeypatch.setattr(process_guard, "_TOO_SHORT", 60.0)  # on a busy machine it may take long
    await runtime.start("a", workload("/bin/sleep", "300"))
    await until(lambda: "guard ended at once" in caplog.text, "an error in the log")
    assert caplog.text.count("process guard") == 1
