"""What the process driver promises beyond the contract of all drivers."""

import asyncio
import fcntl
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.model import Exit, Instance, InstanceStatus
from cluster.runtime import RuntimeFailure
from cluster.workload import Workload
from config.service import Resources
from runtimes.process import ProcessRuntime
from tests.support.process_table import marked, until
from tests.support.process_workloads import ProcessWorkloads, python, workload

_PRINT_ENV = "import json, os; print(json.dumps(dict(os.environ)))"


def _runtime(folder: Path, owner: str = "test") -> ProcessRuntime:
    return ProcessRuntime(owner, folder / "state", folder)


async def _end(runtime: ProcessRuntime) -> None:
    for instance in await runtime.instances():
        await runtime.stop(instance.id, grace=0)
    await runtime.close()


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[ProcessRuntime]:
    runtime = _runtime(tmp_path)
    await runtime.open()
    yield runtime
    await _end(runtime)


def _pid(instance: Instance) -> int:
    return int(instance.id.partition("-")[0])


async def _output(runtime: ProcessRuntime, instance: Instance) -> list[str]:
    """Its stdout, once it has ended."""
    async with asyncio.timeout(30):
        lines = runtime.logs(instance.id, tail=1000, follow=True)
        return [line.text async for line in lines if line.stream == "stdout"]


async def _ended(runtime: ProcessRuntime, replica: str) -> Exit:
    async with asyncio.timeout(30):
        async for _ in runtime.watch():
            for one in await runtime.instances():
                if one.replica == replica and one.exit is not None:
                    return one.exit
    raise AssertionError("the watch ended")


async def _collected(instance: Instance) -> int:
    """The wait status of our child that no runtime waits for any more."""
    return (await asyncio.to_thread(os.waitpid, _pid(instance), 0))[1]


async def test_a_replica_gets_its_variables_its_port_and_little_of_ours(
    runtime: ProcessRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_TIDEGATE", "x")
    monkeypatch.setenv("LANG", "C.UTF-8")
    wanted = {"GREETING": "héllo  'wörld'", "spring.profile-x": "a b", "EMPTY": ""}
    instance = await runtime.start("web-1", workload(*python(_PRINT_ENV), **wanted))
    env = json.loads("".join(await _output(runtime, instance)))
    assert instance.address is not None
    assert {name: env[name] for name in wanted} == wanted
    assert env["PORT"] == str(instance.address.port)
    assert (env["TIDEGATE_SERVICE"], env["TIDEGATE_REPLICA"]) == ("web", "web-1")
    assert (env["LANG"], env["PATH"]) == ("C.UTF-8", os.environ["PATH"])
    assert "SECRET_OF_TIDEGATE" not in env


async def test_a_replica_runs_in_the_given_folder_with_its_port_in_its_words(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    words = ("$PORT", "--bind=:${PORT}", "$PORTS", "a  b", "'", "*")
    source = "import os, sys; print(os.getcwd(), sys.argv[1:], sep='|')"
    instance = await runtime.start("web-1", workload(*python(source, *words)))
    assert instance.address is not None
    port = str(instance.address.port)
    seen = [port, f"--bind=:{port}", "$PORTS", "a  b", "'", "*"]
    assert await _output(runtime, instance) == [f"{tmp_path}|{seen}"]


async def test_a_program_may_be_named_relative_to_the_folder(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    (tmp_path / "serve").write_text("#!/bin/sh\necho served")
    (tmp_path / "serve").chmod(0o755)
    instance = await runtime.start("web-1", workload("./serve"))
    assert await _output(runtime, instance) == ["served"]


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        (
            workload("no-such-program"),
            "start-failed",
            'command "no-such-program" not found in PATH',
        ),
        (workload("./absent"), "start-failed", "does not exist"),
        (workload("./plain-file"), "start-failed", "chmod [+]x"),
        (workload("./folder"), "start-failed", "does not exist"),
        (workload(), "bad-workload", "needs a command"),
        (Workload("web", "r1", image="web:1"), "bad-workload", "needs a command"),
        (workload("echo", "a\0b"), "bad-workload", "NUL"),
        (workload("echo", **{"A=B": "c"}), "bad-workload", '"="'),
        (workload("echo", "x" * 3_000_000), "start-failed", "Argument list too long"),
    ],
)
async def test_what_cannot_be_started_fails_for_good_and_leaves_nothing(
    runtime: ProcessRuntime, tmp_path: Path, asked: Workload, code: str, words: str
) -> None:
    (tmp_path / "plain-file").write_text("not executable")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RuntimeFailure, match=words) as failure:
        await runtime.start("web-1", asked)
    assert (failure.value.code, failure.value.transient) == (code, False)
    assert await runtime.instances() == []
    assert [*(tmp_path / "state/logs").iterdir(), *(tmp_path / "state/replicas").iterdir()] == []


async def test_the_end_of_a_replica_tells_its_last_words(runtime: ProcessRuntime) -> None:
    await runtime.start("web-1", workload(*python("import no_such_module_x")))
    ended = await _ended(runtime, "web-1")
    assert str(ended) == (
        "exited with code 1: ModuleNotFoundError: No module named 'no_such_module_x'"
    )


async def test_a_signal_that_ends_a_replica_is_its_negative_code(runtime: ProcessRuntime) -> None:
    await runtime.start("web-1", workload("/bin/sh", "-c", "kill -SEGV $$"))
    assert (await _ended(runtime, "web-1")).code == -signal.SIGSEGV


async def test_fifty_starts_at_once_get_fifty_ports(runtime: ProcessRuntime) -> None:
    async with asyncio.TaskGroup() as group:
        starts = [
            group.create_task(runtime.start(f"web-{number}", workload("/bin/sleep", "300")))
            for number in range(50)
        ]
    addresses = {start.result().address for start in starts}
    assert len(addresses) == 50
    async with asyncio.TaskGroup() as group:
        for start in starts:
            group.create_task(runtime.stop(start.result().id, grace=5))
    assert await runtime.instances() == []


async def test_a_command_beside_a_replica_has_its_world(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    instance = await runtime.start("web-1", workload("/bin/sleep", "300", GREETING="hi"))
    assert instance.address is not None
    check = f'test "$GREETING" = hi && test $0 = {instance.address.port} && test "$PWD" = "$1"'
    command = ["/bin/sh", "-c", check, "$PORT", str(tmp_path)]
    assert await runtime.execute(instance.id, command, timeout=20) == 0
    assert await runtime.execute(instance.id, ["no-such-program"], timeout=20) == 127


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_command_that_is_given_up_is_killed_with_its_children(
    runtime: ProcessRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    loop, ahead = asyncio.get_running_loop(), 0.0
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead)
    instance = await runtime.start("web-1", workload("/bin/sleep", "300"))
    mark = f"{tmp_path}/given-up"
    command = ["/bin/sh", "-c", 'trap "" TERM; sh -c "sleep 300; true" "$0" & wait', mark]
    async with asyncio.TaskGroup() as group:
        work = group.create_task(_timed_out(runtime, instance, command))
        await until(lambda: len(marked(mark)) == 2, "it runs with its child")
        if cancelled:
            work.cancel()
        else:
            ahead = 300.0  # it has run for so long, and not for less than it takes to begin
    await until(lambda: not marked(mark), "both are gone")


async def _timed_out(runtime: ProcessRuntime, instance: Instance, command: list[str]) -> None:
    with pytest.raises(RuntimeFailure, match="took over 300 s"):
        await runtime.execute(instance.id, command, timeout=300)


async def test_a_second_tidegate_in_one_state_folder_is_refused(
    runtime: ProcessRuntime, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeFailure, match="another Tidegate uses") as failure:
        await _runtime(tmp_path).open()
    assert failure.value.code == "engine-unavailable"
    await runtime.open()


async def test_a_guard_that_looks_for_the_next_tidegate_does_not_keep_it_out(
    tmp_path: Path,
) -> None:
    """However long the machine holds it up meanwhile."""
    runtime = _runtime(tmp_path)
    (tmp_path / "state").mkdir()
    async with asyncio.TaskGroup() as group:
        with (tmp_path / "state/lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            opening = group.create_task(runtime.open())
            await asyncio.wait([opening], timeout=0.5)  # longer than another Tidegate is waited for
    await runtime.close()


async def test_wishes_that_a_process_cannot_heed_are_told_once(
    runtime: ProcessRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    asked = replace(workload("/bin/sleep", "300"), volumes=("/a:/b",), resources=Resources(cpu=1))
    await runtime.start("web-1", asked)
    await runtime.start("web-2", asked)
    assert caplog.text.count("does not heed volumes, resources") == 1


async def test_a_frozen_replica_is_adopted_as_frozen_and_its_port_is_not_given_again(
    tmp_path: Path,
) -> None:
    former = _runtime(tmp_path)
    await former.open()
    kept = await former.start("web-1", workload("/bin/sleep", "300"))
    await former.freeze(kept.id)
    await former.close()
    runtime = _runtime(tmp_path)
    await runtime.open()
    try:
        assert await runtime.instances() == [replace(kept, status=InstanceStatus.FROZEN)]
        another = await runtime.start("web-2", workload("/bin/sleep", "300"))
        assert another.address != kept.address
        await runtime.thaw(kept.id)
        await runtime.stop(kept.id, grace=20)
    finally:
        await _end(runtime)


async def test_a_process_that_was_given_the_id_of_a_kept_replica_is_left_alone(
    tmp_path: Path,
) -> None:
    former = _runtime(tmp_path)
    await former.open()
    kept = await former.start("web-1", workload("/bin/sleep", "300"))
    await former.close()
    record = tmp_path / "state/replicas/web-1.json"
    facts = json.loads(record.read_text())
    record.write_text(json.dumps(facts | {"ticks": facts["ticks"] - 1}))
    runtime = _runtime(tmp_path)
    await runtime.open()
    try:
        assert await runtime.instances() == []
        assert not record.exists()
        os.kill(_pid(kept), 0)
    finally:
        os.kill(_pid(kept), signal.SIGKILL)
        await _collected(kept)
        await runtime.close()


async def test_a_replica_that_nobody_kept_is_adopted_too(tmp_path: Path) -> None:
    """Its Tidegate was killed, and the guard with it."""
    former = _runtime(tmp_path)
    await former.open()
    kept = await former.start("web-1", workload("/bin/sleep", "300"))
    await former.close()
    record = tmp_path / "state/replicas/web-1.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"kept": False}))
    runtime = _runtime(tmp_path)
    await runtime.open()
    assert [one.id for one in await runtime.instances()] == [kept.id]
    await runtime.stop(kept.id, grace=5)
    await runtime.close()


async def test_an_unreadable_record_is_cleared_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state/replicas").mkdir(parents=True)
    (tmp_path / "state/replicas/web-1.json").write_text('{"pid": 1')
    runtime = _runtime(tmp_path)
    await runtime.open()
    assert await runtime.instances() == []
    assert "unreadable replica record" in caplog.text
    assert not list((tmp_path / "state/replicas").iterdir())
    assert (tmp_path / "state/unreadable/web-1.json").read_text() == '{"pid": 1'
    await runtime.close()


async def test_what_ended_before_a_close_leaves_no_files(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    await runtime.open()
    await runtime.start("job-1", ProcessWorkloads().exits())
    await _ended(runtime, "job-1")
    await runtime.close()
    state = tmp_path / "state"
    assert [*(state / "logs").iterdir(), *(state / "replicas").iterdir()] == []
