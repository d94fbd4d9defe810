"""`make bench-pauses`: how long the garbage collector stops the gateway.

One gateway process with 10,000 kept connections, each of which has asked once, under as much load
as it bears: first on kept connections, then on new ones. What it does at its start does not count.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from loadtests.peers.cases import CASES
from loadtests.peers.ground import ground
from loadtests.peers.held import idle
from loadtests.peers.machine import many_open_files
from loadtests.peers.proxies import PROXIES, standing
from loadtests.peers.wrk import load
from loadtests.report import percentile, print_table, save
from loadtests.system import NotReached

WATCH = Path(__file__).with_name("watch")
SHARES = (0.5, 0.99, 0.999)

Pause = tuple[float, int]  # milliseconds, objects freed


def main() -> int:
    arguments = _arguments()
    many_open_files()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-pauses-")))
        pauses = folder / "pauses"
        pauses.mkdir()
        _watch(pauses)
        try:
            since, requests = _loaded(folder, arguments.connections, arguments.seconds)
        except (NotReached, ChildProcessError, OSError) as error:
            print(error, file=sys.stderr)
            return 1
        gateway = max(pauses.iterdir(), key=lambda file: file.stat().st_size)
        found = _read(gateway, since)
    told = {f"generation {number}": _summary(found[number]) for number in sorted(found)}
    told["all"] = _summary([pause for kind in found.values() for pause in kind])
    print(f"{arguments.connections:,} kept connections, {requests:,} requests")
    print_table(
        ["", "pauses", "p50 ms", "p99 ms", "p99.9 ms", "longest ms", "objects freed"],
        [[name, *facts.values()] for name, facts in told.items()],
    )
    print(f"\nwritten to {save('pauses', {'requests': requests, **told})}")
    return 0


def _watch(folder: Path) -> None:
    """Have every Python that is started from now on note its pauses there."""
    path = [str(WATCH), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ |= {"PYTHONPATH": os.pathsep.join(path), "PAUSES_TO": str(folder)}


def _loaded(folder: Path, connections: int, seconds: float) -> tuple[float, int]:
    """When it began, and the requests that were answered. Raises NotReached, ChildProcessError or
    OSError."""
    with ground(folder) as here, standing(PROXIES["tidegate"], here) as gateway:
        url = f"http://127.0.0.1:{gateway.port}/"
        since = time.perf_counter()
        with idle(gateway.port, connections):
            kept, new = CASES["varied"], CASES["connect"]
            done = [load(url, case.script, 64, seconds, folder) for case in (kept, new)]
    return since, connections + sum(one.requests for one in done)


def _read(file: Path, since: float) -> dict[int, list[Pause]]:
    """Those since then, by generation."""
    found: defaultdict[int, list[Pause]] = defaultdict(list)
    for line in file.read_text().splitlines():
        generation, begun, seconds, collected = line.split()
        if float(begun) >= since:
            found[int(generation)].append((float(seconds) * 1000, int(collected)))
    return found


def _summary(pauses: list[Pause]) -> dict[str, float]:
    times = [milliseconds for milliseconds, _ in pauses]
    facts: dict[str, float] = {"pauses": len(pauses)}
    facts |= {f"p{share * 100:g}": round(percentile(times, share), 3) for share in SHARES}
    return {**facts, "max": round(max(times), 3), "freed": sum(freed for _, freed in pauses)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-pauses", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=5, help="of each load")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
