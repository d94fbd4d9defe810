"""What a Tidegate holds: compared before and after a fault, and once more after its end.

A number is not looked at once but until it is what it should be, with a deadline: connections end
and memory is given back a moment later.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.faults.ground import Ground, owner_of
from tests.faults.mode import LONG
from tests.support.running import Running, cpu_seconds, descendants

SETTLED_WITHIN = 40.0 if LONG else 15.0
STEADY = 5.0  # seconds; the engine's client closes idle connections after two to four
MORE_DESCRIPTORS = 3  # under way: a request of the admin API's, a probe, a call to the engine
MORE_TASKS = 2  # a request of the admin API's, a look that is under way
MORE_MEMORY = 1.10
MORE_MIB = 8.0  # caches fill once; a leak of a request's worth shows in the soak
IDLE_CPU = 0.05


@dataclass(frozen=True, slots=True)
class Held:
    """Of the control process and its gateway processes, not of replicas."""

    descriptors: int
    tasks: int
    mib: float
    processes: int
    state_files: tuple[str, ...]
    replicas: int

    def as_facts(self) -> dict[str, object]:
        return {**asdict(self), "state_files": len(self.state_files)}


async def held(ground: Ground, running: Running) -> Held:
    pids = own_processes(running)
    pooled = sum([await _pooled(running, pid) for pid in pids])
    return Held(
        descriptors=sum(len(sockets_and_files(pid)) for pid in pids) - pooled,
        tasks=await tasks(running),
        mib=round(sum(map(mib, pids)), 1),
        processes=len(descendants(running.process.pid)),
        state_files=tuple(state_files(ground.folder)),
        replicas=len(await ground.present(owner_of(running.file))),
    )


async def steady(ground: Ground, running: Running) -> Held:
    """What it holds once that becomes less no more: the baseline for what comes."""
    loop = asyncio.get_running_loop()
    least, since = await held(ground, running), loop.time()
    while loop.time() - since < STEADY:
        await asyncio.sleep(0.2)
        now = await held(ground, running)
        if now.descriptors < least.descriptors or now.mib < least.mib:
            least, since = now, loop.time()
    return least


async def tasks(running: Running) -> int:
    """Of the control process, as it tells itself."""
    metrics = (await running.api("/metrics")).body
    return int(float(metrics.partition(b"\ntidegate_tasks ")[2].split()[0]))


def own_processes(running: Running) -> list[int]:
    """The control process and its gateway processes; no guard and no replica."""
    found = [running.process.pid]
    for pid in descendants(running.process.pid):
        with contextlib.suppress(OSError):
            if b"tidegate.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def sockets_and_files(pid: int) -> list[str]:
    """What its descriptors stand for, one each."""
    found = []
    with contextlib.suppress(OSError):
        for descriptor in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(descriptor.path))
    return found


async def _pooled(running: Running, pid: int) -> int:
    """How many of its connections lead to replicas that are there: they wait to be used again."""
    services = (await running.api("/v1/services")).json["services"]
    places = {one["address"] for service in services for one in service["replicas"]}
    sockets = set(sockets_and_files(pid))
    return sum(f"socket:[{inode}]" in sockets for inode, place in _connections() if place in places)


def _connections() -> Iterator[tuple[str, str]]:
    """(inode, the other side) of every IPv4 connection of this machine."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        facts = line.split()
        address, _, port = facts[2].partition(":")
        place = socket.inet_ntoa(bytes.fromhex(address)[::-1])
        yield facts[9], f"{place}:{int(port, 16)}"


def mib(pid: int) -> float:
    """Resident memory."""
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0


def state_files(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in (folder / "state").rglob("*"))


async def leaks(ground: Ground, running: Running, before: Held) -> list[str]:
    """What is more than it was, also after a while; empty when all is as before."""

    async def look() -> list[str]:
        return compared(before, await held(ground, running))

    return await _until_none(look)


def compared(before: Held, after: Held) -> list[str]:
    found = []
    if after.descriptors > before.descriptors + MORE_DESCRIPTORS:
        found.append(f"descriptors: {before.descriptors} before, {after.descriptors} after")
    if after.tasks > before.tasks + MORE_TASKS:
        found.append(f"tasks: {before.tasks} before, {after.tasks} after")
    if after.mib > max(before.mib * MORE_MEMORY, before.mib + MORE_MIB):
        found.append(f"memory: {before.mib} MiB before, {after.mib} MiB after")
    if new := temporary(set(after.state_files) - set(before.state_files)):
        found.append(f"files in the state folder: {sorted(new)}")
    return found


def temporary(files: set[str]) -> set[str]:
    """Those that only a write in progress would leave."""
    return {file for file in files if file.endswith((".tmp", "~")) or "/tmp" in file}


async def drift(ground: Ground, running: Running, *, at_rest: bool = True) -> list[str]:
    """Where Tidegate's picture and what runs differ, also after a while. `at_rest`: nothing may be
    in flight either."""

    async def look() -> list[str]:
        services = (await running.api("/v1/services")).json["services"]
        found = [
            f"{one['name']}: {one['desired']} wanted, {len(one['replicas'])} known, "
            f"{one['ready']} ready, {one['in_flight']} in flight"
            for one in services
            if not one["trouble"] and not (_is_settled(one) and _is_quiet(one) >= at_rest)
        ]
        known = sum(len(one["replicas"]) for one in services)
        present = await ground.present(owner_of(running.file))
        if len(present) != known:
            found.append(f"{known} replicas known, but there are {present}")
        return found

    return await _until_none(look)


def _is_settled(service: dict[str, object]) -> bool:
    replicas = service["replicas"]
    assert isinstance(replicas, list)
    states = {one["state"] for one in replicas}
    return len(replicas) == service["desired"] and states <= {"ready", "frozen"}


def _is_quiet(service: dict[str, object]) -> bool:
    return not service["in_flight"] and not service["queued"]


async def idle_cpu(running: Running, seconds: float = 1.0) -> float:
    """The share of one core that it uses while nothing is asked of it, once it uses as little as
    it may, or the last one that was seen."""
    loop, pids = asyncio.get_running_loop(), own_processes(running)
    until = loop.time() + SETTLED_WITHIN
    while True:
        begun, before = loop.time(), sum(map(cpu_seconds, pids))
        await asyncio.sleep(seconds)
        used = (sum(map(cpu_seconds, pids)) - before) / (loop.time() - begun)
        if used <= IDLE_CPU or loop.time() > until:
            return used


async def left(ground: Ground, owner: str) -> list[str]:
    """What is there of an owner after its Tidegate has ended."""

    async def look() -> list[str]:
        return await ground.present(owner)

    return await _until_none(look)


async def _until_none(look: Callable[[], Awaitable[list[str]]]) -> list[str]:
    found: list[str] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLED_WITHIN):
            while found := await look():  # noqa: ASYNC110 - there is no event to await
                await asyncio.sleep(0.1)
    return found
