"""`make bench-knative`: Knative's own performance suite as a scenario, on real processes.

A program of 100 ms under 1,000, 2,000 and 3,000 requests a second, from zero (load-test); and 25
sleeping services that are asked at once (scale-from-zero), beside 25 of the same programs started
by the engine alone. knative/serving test/performance: p95 within 115 ms, no error at all.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import uvloop
import yaml

from loadtests.alone import Processes
from loadtests.client import Place, get
from loadtests.knative import hundred_ms
from loadtests.knative.openloop import Load
from loadtests.report import percentile, print_table, save
from loadtests.system import NotReached, free_ports, get_json, states, tidegate

STEPPED = "steps"
SLEEPERS = 25
SETTLE_WITHIN = 60.0
COMMAND = [sys.executable, "-I", "-S", hundred_ms.__file__]

Row = dict[str, Any]


def main() -> int:
    arguments = _arguments()
    try:
        with _running() as (place, admin):
            steps = uvloop.run(_steps(place, admin, arguments.rates, arguments.seconds))
            wakes = uvloop.run(_wakes(place, admin, arguments.rounds))
    except (NotReached, TimeoutError) as error:
        print(error or "a service did not fall asleep in time", file=sys.stderr)
        return 1
    _show(steps, wakes)
    print(f"\nwritten to {save('knative', {'steps': steps, 'wakes': wakes})}")
    return 0


async def _steps(place: Place, admin: str, rates: list[int], seconds: float) -> list[Row]:
    """From zero, one rate after the other, without a pause."""
    loop = asyncio.get_running_loop()
    load = Load(place, f"{STEPPED}.localhost")
    began: list[float] = []
    replicas: list[int] = []
    for rate in rates:
        began.append(loop.time())
        await load.at(rate, seconds)
        found = await asyncio.to_thread(states, admin, STEPPED)
        replicas.append(found.count("ready"))
    await load.finish()
    for failure in set(load.failed):
        print(f"failed: {failure!r}", file=sys.stderr)
    return [
        _step(load, rate, ready, begin, begin + seconds)
        for rate, ready, begin in zip(rates, replicas, began, strict=True)
    ]


def _step(load: Load, rate: int, ready: int, begin: float, end: float) -> Row:
    """Once scaled: its second half."""
    whole = [waited for due, waited in load.waited if begin <= due < end]
    scaled = [waited for due, waited in load.waited if (begin + end) / 2 <= due < end]
    return {
        "rate": rate,
        "answered": len(whole),
        "replicas": ready,
        "p95_ms": _ms(percentile(whole, 0.95)),
        "max_ms": _ms(max(whole)),
        "scaled_p50_ms": _ms(percentile(scaled, 0.5)),
        "scaled_p95_ms": _ms(percentile(scaled, 0.95)),
        "scaled_p99_ms": _ms(percentile(scaled, 0.99)),
        "failed_in_all": len(load.failed),
    }


async def _wakes(place: Place, admin: str, rounds: int) -> Row:
    """The p95 of 25 at once: through Tidegate and by the engine alone, in turn."""
    through: list[float] = []
    alone: list[float] = []
    engine = Processes(COMMAND)
    for number in range(rounds):
        steps: list[Callable[[], Awaitable[None]]] = [
            lambda: _all_at_once(lambda index: engine.start(), alone),
            lambda: _woken(place, admin, through),
        ]
        for step in steps if number % 2 else reversed(steps):
            await step()
    ratios = [ours / theirs for ours, theirs in zip(through, alone, strict=True)]
    return {
        "rounds": rounds,
        "alone_p95_ms": _ms(statistics.median(alone)),
        "through_p95_ms": _ms(statistics.median(through)),
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
    }


async def _woken(place: Place, admin: str, p95s: list[float]) -> None:
    await _asleep(admin)
    # 100 ms of each are the program's own.
    await _all_at_once(lambda index: _get(place, index), p95s)


async def _get(place: Place, index: int) -> float:
    return await get(place, f"sleeper-{index}.localhost") - hundred_ms.AFTER


async def _all_at_once(start: Callable[[int], Awaitable[float]], p95s: list[float]) -> None:
    seconds = await asyncio.gather(*(start(index) for index in range(SLEEPERS)))
    p95s.append(percentile(seconds, 0.95))


async def _asleep(admin: str) -> None:
    def replicas() -> int:
        return sum(len(one["replicas"]) for one in get_json(f"{admin}/v1/services")["services"])

    async with asyncio.timeout(SETTLE_WITHIN):
        while True:
            if not await asyncio.to_thread(replicas):
                return
            await asyncio.sleep(0.1)


def _show(steps: list[Row], wakes: Row) -> None:
    titles = ["rps", "answered", "replicas", "p95 ms", "max ms"]
    titles += ["scaled: p50 ms", "p95 ms", "p99 ms", "failed in all"]
    print_table(titles, [list(step.values()) for step in steps])
    print(
        f"\n{SLEEPERS} sleeping services asked at once, {wakes['rounds']} rounds: p95"
        f" {wakes['through_p95_ms']} ms; the engine alone {wakes['alone_p95_ms']} ms;"
        f" ratio {wakes['ratio']}"
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


@contextlib.contextmanager
def _running() -> Iterator[tuple[Place, str]]:
    with tempfile.TemporaryDirectory(prefix="bench-knative-") as name:
        folder = Path(name)
        gateway, admin = free_ports(2)
        config = folder / "tidegate.yaml"
        config.write_text(yaml.safe_dump(_config(folder, gateway, admin)))
        url = f"http://127.0.0.1:{admin}"
        with tidegate(config, url, folder / "tidegate.log"):
            yield Place("127.0.0.1", gateway), url


def _config(folder: Path, gateway: int, admin: int) -> dict[str, Any]:
    # As Knative's defaults: 100 requests in a pod at most, 70 of them wanted.
    knative = {"max": 50, "rules": [{"metric": "concurrency", "target": 70}]}
    sleepers = {
        f"sleeper-{index}": {"command": COMMAND, "scaling": {"idle": {"stop_after": "300ms"}}}
        for index in range(SLEEPERS)
    }
    idle = {"idle": {"stop_after": "2s"}}
    return {
        "owner": f"bench-knative-{os.getpid()}",
        "state_dir": str(folder / "state"),
        "gateway": {"listen": [f"127.0.0.1:{gateway}"]},
        "admin": {"listen": f"127.0.0.1:{admin}"},
        "services": {
            STEPPED: {"command": COMMAND, "concurrency": 100, "scaling": {**knative, **idle}},
            **sleepers,
        },
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-knative", description=__doc__)
    parser.add_argument("--rates", type=int, nargs="+", default=[1000, 2000, 3000])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each rate")
    parser.add_argument("--rounds", type=int, default=10, help="of 25 wakes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
