"""`make bench-peers`: Tidegate beside other proxies, each alone on one core, in one run.

The load and the origin (nginx) share the other core. Rounds are interleaved, so that a machine
that changes its speed changes it for all; ratios are medians of the rounds.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from loadtests.peers.cases import CASES, Case
from loadtests.peers.ground import Ground, ground
from loadtests.peers.held import HOLDINGS, Grown, Holding, grown
from loadtests.peers.install import Missing, install
from loadtests.peers.machine import many_open_files
from loadtests.peers.measure import Load, Reading, half_of_the_slowest
from loadtests.peers.proxies import PROXIES, Standing, standing
from loadtests.peers.table import show, show_grown
from loadtests.peers.versions import version
from loadtests.report import save
from loadtests.system import NotReached

T = TypeVar("T")
EVERY_CASE = [*CASES, *HOLDINGS]


def main() -> int:
    arguments = _arguments()
    # A shell's background job inherits that interrupts are ignored: not so here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    many_open_files()
    os.nice(arguments.nice)
    try:
        install(arguments.only)
        versions = {name: version(name) for name in arguments.only}
        print(", ".join(f"{name} {number}" for name, number in versions.items()))
        results = {"versions": versions, "seconds": arguments.seconds, "rounds": arguments.rounds}
        results["cases"] = _run(arguments)
    except (Missing, NotReached, ChildProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\nwritten to {save('peers', results)}")
    return 0


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    loads = [CASES[name] for name in arguments.cases if name in CASES]
    holdings = [HOLDINGS[name] for name in arguments.cases if name in HOLDINGS]
    told: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-peers-")))
        here = stack.enter_context(ground(folder))
        if loads:
            with contextlib.ExitStack() as up:
                proxies = [
                    up.enter_context(standing(PROXIES[name], here)) for name in arguments.only
                ]
                for case in loads:
                    told[case.name] = _loaded(case, proxies, here, arguments)
        for holding in holdings:
            told[holding.name] = _held(holding, here, arguments)
    return told


def _loaded(
    case: Case, proxies: list[Standing], here: Ground, arguments: argparse.Namespace
) -> dict[str, Any]:
    print(f"\n{case.name}: {case.about}; {case.connections} connections", flush=True)
    able = _able(case, proxies)
    if not able:
        return {}
    pace = 0.0
    if case.half:
        pace = arguments.pace or half_of_the_slowest(able, here.folder)
    if pace:
        print(f"{pace:.0f} requests a second")
    load = Load(case, arguments.seconds, here.folder, pace)
    read: dict[str, list[Reading]] = {proxy.name: [] for proxy in able}
    for count in range(arguments.rounds):
        for proxy in _rotated(able, count):
            read[proxy.name].append(load.on(proxy))
    return {"pace": pace, **show(read)}


def _able(case: Case, proxies: list[Standing]) -> list[Standing]:
    able = [proxy for proxy in proxies if proxy.tls or not case.tls]
    for proxy in proxies:
        if proxy not in able:
            print(f"{proxy.name} is left out: {proxy.why_no_tls}")
    return able


def _held(holding: Holding, here: Ground, arguments: argparse.Namespace) -> dict[str, Any]:
    print(f"\n{holding.name}: {holding.about}; PSS of a freshly started proxy", flush=True)
    read: dict[str, list[Grown]] = {}
    for count in range(arguments.rounds):
        for name in _rotated(arguments.only, count):
            with standing(PROXIES[name], here) as proxy:
                try:
                    read.setdefault(name, []).append(grown(holding, proxy.port, proxy.pid))
                except OSError as error:
                    print(f"{name} is left out: {error}")
    return {**show_grown({name: read[name] for name in arguments.only if name in read})}


def _rotated(those: list[T], count: int) -> list[T]:
    """Nobody always comes after the same one."""
    start = count % len(those)
    return those[start:] + those[:start]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--only", type=_names(PROXIES), default=[*PROXIES], metavar="NAME,…")
    parser.add_argument("--cases", type=_names(EVERY_CASE), default=EVERY_CASE, metavar="NAME,…")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--pace", type=float, help="requests a second of `half`, if not half")
    parser.add_argument("--nice", type=int, default=0, help="below 0 (root): ahead of other work")
    return parser.parse_args()


def _names(known: Collection[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = text.split(",")
        unknown = [name for name in found if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return found

    return names


if __name__ == "__main__":
    sys.exit(main())
