"""A container that ends before we hold it: what killed it was counted before we began to count."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.model import Exit
from runtimes import docker_ends
from runtimes.docker_ends import Ends, Held

ID = "c" * 64
Told = list[tuple[str, Exit | None]]


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[bytes]"]:
    """In the place of a container's main process; nobody reaps it before the test is over."""
    monkeypatch.setattr(docker_ends, "holds", lambda id, pid: True)
    monkeypatch.setattr(docker_ends, "kills_of_all", lambda: 7)
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


async def ends_of(process: "subprocess.Popen[bytes]", *, killed_first: bool) -> Told:
    told: Told = []
    heard = asyncio.Event()

    def hear(container: Held, exit: Exit | None) -> None:
        told.append((container.id, exit))
        heard.set()

    ends = Ends(hear)
    facts: dict[str, Any] = {"Id": ID, "State": {"Running": True, "Pid": process.pid}, "Config": {}}
    if killed_first:
        await killed(process)
    ends.hold(facts)
    if not killed_first:
        await killed(process)
    async with asyncio.timeout(20):
        await heard.wait()
    ends.close()
    return told


async def killed(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    async with asyncio.timeout(20):
        while "\nState:\tZ" not in status_of(process.pid):  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.005)


def status_of(pid: int) -> str:
    with open(f"/proc/{pid}/status") as status:
        return status.read()


@pytest.mark.parametrize("group", [None, True])
async def test_who_ended_before_is_left_to_the_engine_unless_its_group_tells(
    process: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch, group: bool | None
) -> None:
    monkeypatch.setattr(docker_ends, "out_of_memory", lambda id: group)
    [(id, exit)] = await ends_of(process, killed_first=True)
    assert id == ID
    assert exit == (Exit(-9, oom=True) if group else None)


async def test_whose_group_told_of_it_before_has_run_out_of_memory_by_nobodys_count(
    process: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kill was counted before we looked; its group is gone by the time it has ended."""
    told = iter([True, None])
    monkeypatch.setattr(docker_ends, "out_of_memory", lambda id: next(told))
    assert await ends_of(process, killed_first=False) == [(ID, None)]


async def test_who_ends_later_and_was_not_counted_has_not_run_out_of_memory(
    process: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter([False, None])
    monkeypatch.setattr(docker_ends, "out_of_memory", lambda id: next(told))
    assert await ends_of(process, killed_first=False) == [(ID, Exit(-9))]
