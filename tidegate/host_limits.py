"""What `host` of the configuration comes to on this machine."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cluster.host import HostMemory
from cluster.starts import Starts, starts_of
from config.settings import Host
from tidegate.front import Front

_CGROUP = Path("/sys/fs/cgroup")


class HostLimits:
    """Takes the settings over, at the start and on reload."""

    def __init__(self, starts: Starts, memory: HostMemory) -> None:
        self._memory = memory
        self._starts = starts

    def configure(self, host: Host) -> None:
        self._starts.configure(starts_of(host, len(os.sched_getaffinity(0))))
        self._memory.configure(budget_of(host))


async def levels_of(gateway: Front, clock: Callable[[], float]) -> Mapping[str, int]:
    """Requests that keep a service awake, in flight and queued: counted now, not as reported last.
    What is silent is none, as for its idle time."""
    await gateway.refresh()
    services = gateway.stats(clock()).services
    return {name: seen.in_flight + seen.queued - seen.quiet for name, seen in services.items()}


def budget_of(host: Host) -> int | None:
    """Bytes for all replicas."""
    if isinstance(host.memory, float):
        return int(host.memory * machine_memory())
    return host.memory


def machine_memory(cgroup: Path = _CGROUP) -> int:
    """Bytes that there are: of the machine, or of the container that Tidegate runs in."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(whole, int((cgroup / "memory.max").read_text()))
    except (OSError, ValueError):  # no such limit: the file is absent, or says "max"
        return whole
