"""`make bench-wake`: what a client waits for a sleeping service, and what the engine alone needs.

Per round, in turn: the engine starts the same container or process by itself until its port opens;
a client asks for it through Tidegate while it sleeps at zero; the engine thaws one; a client asks
for a frozen one. All in one run, so that both meet the same machine.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiodocker
import yaml

from loadtests.alone import Containers, Engine, Processes, container_of, gone, paused
from loadtests.client import Place, get
from loadtests.report import print_table, save, summary
from loadtests.system import NotReached, free_ports, states, tidegate
from tests.support import replica_app
from tests.support.docker_engine import App, app_image

SLEEPER, FREEZER = "sleeper", "freezer"
SETTLE_WITHIN = 30.0
APP_PORT = 8080


@dataclass(slots=True)
class Samples:
    """Seconds, one of each per round."""

    start_alone: list[float] = field(default_factory=list)
    start_through: list[float] = field(default_factory=list)
    thaw_alone: list[float] = field(default_factory=list)
    thaw_through: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bench:
    """A running Tidegate with a service that sleeps at zero and one that freezes."""

    owner: str
    gateway: Place
    admin: str
    engine: Engine
    is_clean: Callable[[], Awaitable[bool]]
    is_frozen: Callable[[], Awaitable[bool]]

    async def wake(self) -> float:
        """A GET that starts a replica, once nothing of the former one is left."""
        await self._settled(SLEEPER, [])
        await _until(self.is_clean)
        return await get(self.gateway, f"{SLEEPER}.localhost")

    async def thaw(self) -> float:
        """A GET that thaws a replica, once the engine has frozen it."""
        await self._settled(FREEZER, ["frozen"])
        await _until(self.is_frozen)
        return await get(self.gateway, f"{FREEZER}.localhost")

    async def _settled(self, service: str, wanted: list[str]) -> None:
        def settled() -> bool:
            return states(self.admin, service) == wanted

        await _until(lambda: asyncio.to_thread(settled))


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Look every 20 ms. Raises TimeoutError after SETTLE_WITHIN seconds."""
    async with asyncio.timeout(SETTLE_WITHIN):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


def main() -> int:
    arguments = _arguments()
    results: dict[str, Any] = {}
    for runtime in arguments.runtimes.split(","):
        print(f"{runtime}: {arguments.rounds} rounds")
        try:
            results[runtime] = asyncio.run(_measure(runtime, arguments.rounds))
        except NotReached as error:
            print(error, file=sys.stderr)
            return 1
    print(f"written to {save('wake', results)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-wake", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--runtimes", default="process,docker", help="which, with commas")
    return parser.parse_args()


async def _measure(runtime: str, rounds: int) -> dict[str, Any]:
    samples = Samples()
    async with _bench(runtime) as bench:
        await get(bench.gateway, f"{FREEZER}.localhost")
        for number in range(rounds):
            await _round(bench, samples, swapped=bool(number % 2))
            if sys.stdout.isatty():
                print(f"  {number + 1}", end="\r", flush=True)
    return _told(samples)


async def _round(bench: Bench, samples: Samples, *, swapped: bool) -> None:
    """Each of the four once; every other round the other way about, so that order tells nothing."""
    steps = [
        (bench.engine.start, samples.start_alone),
        (bench.wake, samples.start_through),
        (bench.engine.thaw, samples.thaw_alone),
        (bench.thaw, samples.thaw_through),
    ]
    for measure, seconds in reversed(steps) if swapped else steps:
        seconds.append(await measure())


def _told(samples: Samples) -> dict[str, Any]:
    start = _compared(samples.start_alone, samples.start_through)
    thaw = _compared(samples.thaw_alone, samples.thaw_through)
    rows = [
        _row("engine alone: create, start, port open", start["alone"]),
        _row("through Tidegate: GET from zero", start["through"]),
        ("  added by Tidegate, median of rounds", start["added_median_ms"], "", "", ""),
        _row("engine alone: thaw and GET", thaw["alone"]),
        _row("through Tidegate: GET while frozen", thaw["through"]),
        ("  added by Tidegate, median of rounds", thaw["added_median_ms"], "", "", ""),
    ]
    print_table(("milliseconds", "median", "p95", "min", "max"), rows)
    return {"from_zero": start, "from_frozen": thaw}


def _compared(alone: list[float], through: list[float]) -> dict[str, Any]:
    differences = [b - a for a, b in zip(alone, through, strict=True)]
    return {
        "alone": summary(alone),
        "through": summary(through),
        "added_median_ms": round(statistics.median(differences) * 1000, 2),
        "seconds": {"alone": alone, "through": through},
    }


def _row(what: str, told: dict[str, float]) -> tuple[object, ...]:
    return what, *(told[f"{key}_ms"] for key in ("median", "p95", "min", "max"))


@contextlib.asynccontextmanager
async def _bench(runtime: str) -> AsyncIterator[Bench]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        owner = f"bench-wake-{os.getpid()}"
        gateway, admin = free_ports(2)
        app = stack.enter_context(app_image()) if runtime == "docker" else None
        service = _service(app)
        config = folder / "tidegate.yaml"
        config.write_text(yaml.safe_dump(_config(runtime, owner, folder, gateway, admin, service)))
        url = f"http://127.0.0.1:{admin}"
        stack.enter_context(tidegate(config, url, folder / "tidegate.log"))
        place = Place("127.0.0.1", gateway)
        if app is None:
            yield Bench(owner, place, url, Processes(service["command"]), _always, _always)
            return
        async with aiodocker.Docker() as docker:
            await get(place, f"{SLEEPER}.localhost")
            like = await container_of(docker, owner, SLEEPER)
            engine = Containers(docker, like, APP_PORT)
            yield Bench(
                owner, place, url, engine,
                lambda: gone(docker, owner, SLEEPER), lambda: paused(docker, owner, FREEZER),
            )  # fmt: skip


async def _always() -> bool:
    return True


def _service(app: App | None) -> dict[str, Any]:
    if app is None:
        return {"command": [sys.executable, "-I", "-S", replica_app.__file__]}
    return {"image": app.image, "volumes": list(app.volumes), "port": APP_PORT}


def _config(
    runtime: str, owner: str, folder: Path, gateway: int, admin: int, service: dict[str, Any]
) -> dict[str, Any]:
    quickly_to_zero = {"idle": {"stop_after": "300ms"}}
    quickly_frozen = {"idle": {"freeze_after": "300ms", "stop_after": "1h"}}
    return {
        "owner": owner,
        "state_dir": str(folder / "state"),
        "gateway": {"listen": [f"127.0.0.1:{gateway}"]},
        "admin": {"listen": f"127.0.0.1:{admin}"},
        "runtime": runtime,
        "defaults": {"stop_grace": "2s", "drain": "2s"},
        "services": {
            SLEEPER: {**service, "scaling": quickly_to_zero},
            FREEZER: {**service, "scaling": quickly_frozen},
        },
    }


if __name__ == "__main__":
    sys.exit(main())
