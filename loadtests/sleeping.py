"""`make bench-sleeping`: what thousands of configured services cost while nobody uses them.

Measured from outside on one Tidegate: from its exec to the first answer of a service that had to be
woken, the memory of all its processes once that service sleeps again, and the CPU it takes to do
nothing. The same with a single service shows what each of the many adds.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from loadtests.client import Place, WrongAnswer, get
from loadtests.footprint import Memory, cpu_seconds, memory
from loadtests.report import print_table, save
from loadtests.system import NotReached, free_ports, running, states, wait_until
from tests.support import replica_app

ANSWERED_WITHIN = 120.0
ASLEEP_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one Tidegate with so many services."""

    services: int
    first_answer_seconds: float
    memory: Memory
    idle_cpu_percent: float


def main() -> int:
    arguments = _arguments()
    try:
        costs = [measured(count, arguments.idle) for count in (1, arguments.services)]
    except NotReached as error:
        print(error, file=sys.stderr)
        return 1
    _print(costs)
    print(f"written to {save('sleeping', {'costs': [asdict(cost) for cost in costs]})}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-sleeping", description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds of idling to measure")
    return parser.parse_args()


def measured(services: int, idle: float) -> Cost:
    """Start, wake one, let it sleep again, and watch for `idle` seconds. Raises NotReached."""
    print(f"{services} services")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gateway, admin = free_ports(2)
        config = folder / "tidegate.yaml"
        config.write_text(yaml.safe_dump(_config(services, folder, gateway, admin)))
        name = _name(services // 2)
        began = time.perf_counter()
        process = stack.enter_context(running(config, folder / "tidegate.log"))
        asyncio.run(_first_answer(process, Place("127.0.0.1", gateway), name))
        answered = time.perf_counter() - began
        url = f"http://127.0.0.1:{admin}"
        wait_until(lambda: states(url, name) == [], "the service sleeps again", ASLEEP_WITHIN)
        busy = cpu_seconds(process.pid)
        time.sleep(idle)
        share = (cpu_seconds(process.pid) - busy) / idle
        return Cost(services, round(answered, 3), memory(process.pid), round(share * 100, 3))


async def _first_answer(process: subprocess.Popen[bytes], place: Place, name: str) -> None:
    """Ask every 5 ms until somebody answers. Raises NotReached."""
    deadline = time.perf_counter() + ANSWERED_WITHIN
    while process.poll() is None and time.perf_counter() < deadline:
        with contextlib.suppress(OSError, EOFError, WrongAnswer):
            await get(place, f"{name}.localhost")
            return
        await asyncio.sleep(0.005)
    raise NotReached(f"no answer from {name}; Tidegate's exit code: {process.returncode}")


def _name(number: int) -> str:
    return f"service-{number:05}"


def _config(services: int, folder: Path, gateway: int, admin: int) -> dict[str, Any]:
    return {
        "owner": f"bench-sleeping-{os.getpid()}",
        "state_dir": str(folder / "state"),
        "gateway": {"listen": [f"127.0.0.1:{gateway}"]},
        "admin": {"listen": f"127.0.0.1:{admin}"},
        "runtime": "process",
        "services": dict(_services(services)),
    }


def _services(services: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(services):
        yield (
            _name(number),
            {
                "command": [sys.executable, "-I", "-S", replica_app.__file__],
                "scaling": {"idle": {"stop_after": "500ms"}},
            },
        )


def _print(costs: list[Cost]) -> None:
    rows = [
        (
            cost.services,
            f"{cost.first_answer_seconds:.2f} s",
            cost.memory.processes,
            f"{cost.memory.rss / 1024:.1f} MiB",
            f"{cost.memory.pss / 1024:.1f} MiB",
            f"{cost.idle_cpu_percent:g} %",
        )
        for cost in costs
    ]
    print_table(("services", "first answer", "processes", "RSS", "PSS", "idle CPU"), rows)
    one, many = costs
    each = (many.memory.pss - one.memory.pss) / max(1, many.services - one.services)
    print(f"each sleeping service adds {each:.2f} KiB")


if __name__ == "__main__":
    sys.exit(main())
