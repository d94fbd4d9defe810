"""One load on one proxy: what the clients saw, and what it cost the proxy's processes."""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtests.footprint import cpu_seconds, memory
from loadtests.peers.cases import CASES, Case
from loadtests.peers.crowds import crowd
from loadtests.peers.held import idle
from loadtests.peers.paced import paced
from loadtests.peers.proxies import Standing
from loadtests.peers.wrk import Loaded, load

# More than this, the paced client is not sure to send in time while it shares its core.
FASTEST_PACE = 4000.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Requests a second, microseconds, KiB; `failed` counts requests."""

    rate: float
    p50: float
    p99: float
    cpu: float
    rss: int
    pss: int
    failed: int

    def values(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Load:
    """A case with what this run adds: how long, and for a paced one how many a second."""

    case: Case
    seconds: float
    folder: Path
    pace: float = 0.0

    def on(self, standing: Standing) -> Reading:
        """Processor time is of all the proxy's processes together. Raises ChildProcessError."""
        with contextlib.ExitStack() as stack:
            if self.case.idle:
                stack.enter_context(idle(standing.port, self.case.idle))
            if self.case.crowd:
                stack.enter_context(crowd(self.case.crowd, standing.port))
            before = cpu_seconds(standing.pid)
            seen = self._seen(standing)
            return _reading(seen, cpu_seconds(standing.pid) - before, standing.pid)

    def _seen(self, standing: Standing) -> Loaded:
        if self.case.half:
            return paced(standing.port, self.pace, self.seconds)
        scheme, port = ("https", standing.tls) if self.case.tls else ("http", standing.port)
        url = f"{scheme}://127.0.0.1:{port}{self.case.path}"
        return load(url, self.case.script, self.case.connections, self.seconds, self.folder)


def half_of_the_slowest(proxies: Sequence[Standing], folder: Path) -> float:
    """Requests a second that every one of them has time for."""
    short = Load(CASES["varied"], 1.0, folder)
    return min(min(short.on(proxy).rate for proxy in proxies) / 2, FASTEST_PACE)


def _reading(seen: Loaded, cpu: float, pid: int) -> Reading:
    held = memory(pid)
    return Reading(
        rate=seen.requests / seen.seconds,
        p50=seen.p50,
        p99=seen.p99,
        cpu=cpu / max(1, seen.requests) * 1e6,
        rss=held.rss,
        pss=held.pss,
        failed=seen.failed,
    )
