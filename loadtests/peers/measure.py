"""One load on one proxy: what the clients saw, and what it cost the proxy's processes."""

from dataclasses import asdict, dataclass
from pathlib import Path

from loadtests.footprint import cpu_seconds, memory
from loadtests.peers.cases import Case
from loadtests.peers.proxies import Standing
from loadtests.peers.wrk import Loaded, load


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


def measured(standing: Standing, case: Case, seconds: float, folder: Path) -> Reading:
    """Processor time is of all the proxy's processes together."""
    scheme, port = ("https", standing.tls) if case.tls else ("http", standing.port)
    before = cpu_seconds(standing.pid)
    url = f"{scheme}://127.0.0.1:{port}{case.path}"
    seen = load(url, case.script, case.connections, seconds, folder)
    return _reading(seen, cpu_seconds(standing.pid) - before, standing.pid)


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
