"""What a process may not gain, and as whom it runs: real processes, seen from inside."""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.model import Instance
from cluster.runtime import RuntimeFailure
from cluster.workload import Workload
from runtimes import process_privileges
from runtimes.process import ProcessRuntime
from runtimes.process_privileges import Identities, Identity, identity_of
from tests.support.process_workloads import workload

NOBODY = pwd.getpwnam("nobody")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may run as somebody else")

_TELL = (
    "import json, os; print(json.dumps({'uids': os.getresuid(), 'gids': os.getresgid(), "
    "'groups': os.getgroups(), 'env': dict(os.environ), "
    "'no_new_privs': 'NoNewPrivs:\\t1' in open('/proc/self/status').read()}))"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Which others may enter; those of pytest are its user's own."""
    with tempfile.TemporaryDirectory(prefix="tidegate-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
async def runtime(folder: Path) -> AsyncIterator[ProcessRuntime]:
    runtime = ProcessRuntime("test", folder / "state", folder)
    await runtime.open()
    yield runtime
    for instance in await runtime.instances():
        await runtime.stop(instance.id, grace=0)
    await runtime.close()


def telling(user: str | None = None, **env: str) -> Workload:
    return replace(workload("/usr/bin/python3", "-I", "-S", "-c", _TELL, **env), user=user)


async def told(runtime: ProcessRuntime, instance: Instance) -> dict[str, object]:
    lines = [line async for line in runtime.logs(instance.id, follow=True)]
    found: dict[str, object] = json.loads(lines[0].text)
    return found


async def test_a_replica_can_gain_no_privileges(runtime: ProcessRuntime) -> None:
    assert (await told(runtime, await runtime.start("a", telling())))["no_new_privs"] is True


async def test_we_ourselves_keep_what_we_could_gain(runtime: ProcessRuntime) -> None:
    """A gateway worker that we start later may have port 80 as a file capability of Python."""

    def ours() -> str:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(line for line in lines if line.startswith("NoNewPrivs"))

    before = ours()
    await runtime.start("a", workload("sleep", "100"))
    assert ours() == before


async def test_a_command_run_beside_it_can_gain_none_either(runtime: ProcessRuntime) -> None:
    sleeper = await runtime.start("a", workload("sleep", "100"))
    check = ("grep", "-q", "^NoNewPrivs:.1", "/proc/self/status")
    assert await runtime.execute(sleeper.id, check, timeout=10) == 0


@needs_root
async def test_a_setuid_program_does_not_make_it_root(
    runtime: ProcessRuntime, folder: Path
) -> None:
    mighty = folder / "id"
    shutil.copy("/usr/bin/id", mighty)
    mighty.chmod(0o4755)
    started = await runtime.start("a", replace(workload(str(mighty), "-u"), user="nobody"))
    lines = [line.text async for line in runtime.logs(started.id, follow=True)]
    assert lines == [str(NOBODY.pw_uid)]


@needs_root
@pytest.mark.parametrize(
    ("user", "uid", "gid"),
    [
        ("nobody", NOBODY.pw_uid, NOBODY.pw_gid),
        (f"{NOBODY.pw_uid}", NOBODY.pw_uid, NOBODY.pw_gid),
        ("nobody:daemon", NOBODY.pw_uid, 1),
        ("54321:54322", 54321, 54322),
        ("54321", 54321, 54321),
    ],
)
async def test_it_runs_as_its_user_alone(
    runtime: ProcessRuntime, user: str, uid: int, gid: int
) -> None:
    facts = await told(runtime, await runtime.start("a", telling(user)))
    assert facts["uids"] == [uid] * 3
    assert facts["gids"] == [gid] * 3
    assert facts["groups"] == [gid]


@needs_root
async def test_it_finds_the_home_of_its_user_unless_told_otherwise(
    runtime: ProcessRuntime,
) -> None:
    plain = await told(runtime, await runtime.start("a", telling("nobody")))
    other = await told(runtime, await runtime.start("b", telling("nobody", HOME="/srv")))
    for facts, home in ((plain, NOBODY.pw_dir), (other, "/srv")):
        env = facts["env"]
        assert isinstance(env, dict)
        assert (env["USER"], env["LOGNAME"], env["HOME"]) == ("nobody", "nobody", home)


@needs_root
async def test_a_command_run_beside_it_runs_as_its_user(runtime: ProcessRuntime) -> None:
    sleeper = await runtime.start("a", replace(workload("sleep", "100"), user="nobody"))
    words = f'test "$(id -u)" = {NOBODY.pw_uid}'
    assert await runtime.execute(sleeper.id, ("sh", "-c", words), timeout=10) == 0


@needs_root
async def test_it_can_neither_read_nor_enter_our_state(
    runtime: ProcessRuntime, folder: Path
) -> None:
    sleeper = await runtime.start("a", replace(workload("sleep", "100"), user="nobody"))
    for path in (folder / "state", folder / "state" / "replicas"):
        assert await runtime.execute(sleeper.id, ("ls", str(path)), timeout=10) != 0


@pytest.mark.parametrize("user", ["no-such-user", "root:no-such-group"])
def test_who_is_not_there_is_named(user: str) -> None:
    with pytest.raises(RuntimeFailure, match=f'there is no .* "{user.partition(":")[2] or user}"'):
        identity_of(user)


def test_only_root_may_run_as_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 1000)
    with pytest.raises(RuntimeFailure, match="only root may") as failure:
        identity_of("4242")
    assert failure.value.code == "bad-workload"
    assert identity_of("1000:1000") is None


def test_as_we_are_is_nobody_else() -> None:
    assert identity_of(None) is None
    assert identity_of("54321") in (None, Identity(54321, 54321, (54321,)))


@needs_root
def test_a_wrong_user_starts_nothing(folder: Path) -> None:
    """As a whole program, so that the renunciation is that of a fresh process."""
    code = (
        "import asyncio, sys; from pathlib import Path; from dataclasses import replace\n"
        "from runtimes.process import ProcessRuntime\n"
        "from tests.support.process_workloads import workload\n"
        "async def main():\n"
        "    runtime = ProcessRuntime('t', Path(sys.argv[1]) / 'other', Path('/'))\n"
        "    await runtime.open()\n"
        "    try: await runtime.start('a', replace(workload('sleep', '9'), user='no-such-user'))\n"
        "    except Exception as error: print(type(error).__name__)\n"
        "    print(len(await runtime.instances()))\n"
        "    await runtime.close()\n"
        "asyncio.run(main())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=30
    )
    assert run.stdout.split() == ["RuntimeFailure", "0"], run.stderr


async def test_users_are_looked_up_beside_the_loop_and_not_for_each_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A directory service that does not answer must not hold up everybody else."""
    threads = list[str]()

    def slow(user: str) -> Identity:
        threads.append(threading.current_thread().name)
        if user == "new" and len(threads) == 1:
            raise RuntimeFailure("bad-workload", "there is no such user")
        return Identity(len(threads), 1, (1,))

    monkeypatch.setattr(process_privileges, "identity_of", slow)
    identities = Identities()
    assert await identities.of(None) is None
    with pytest.raises(RuntimeFailure):
        await identities.of("new")
    assert [await identities.of("new") for _ in range(3)] == [Identity(2, 1, (1,))] * 3
    monkeypatch.setattr(process_privileges, "_BELIEVED_FOR", 0.0)
    assert [(await identities.of("other")) for _ in range(2)] == [
        Identity(3, 1, (1,)),
        Identity(4, 1, (1,)),
    ]
    assert threading.current_thread().name not in threads
