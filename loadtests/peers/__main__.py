"""`make bench-peers`: Tidegate beside other proxies, each alone on one core, in one run.

The load and the origin (nginx) share the other core. Rounds are interleaved, so that a machine
that changes its speed changes it for all; ratios are medians of the rounds.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from loadtests.peers.cases import CASES, Case
from loadtests.peers.ground import Ground, ground
from loadtests.peers.install import Missing, install
from loadtests.peers.machine import many_open_files
from loadtests.peers.measure import Reading, measured
from loadtests.peers.proxies import PROXIES, Standing, standing
from loadtests.peers.table import show
from loadtests.report import save
from loadtests.system import NotReached


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    many_open_files()
    try:
        install(arguments.only)
        results = _run(arguments)
    except (Missing, NotReached, ChildProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\nwritten to {save('peers', results)}")
    return 0


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-peers-")))
        here = stack.enter_context(ground(folder))
        proxies = [stack.enter_context(standing(PROXIES[name], here)) for name in arguments.only]
        return {
            name: _case(CASES[name], proxies, here, arguments.rounds, arguments.seconds)
            for name in arguments.cases
        }


def _case(
    case: Case, proxies: list[Standing], here: Ground, rounds: int, seconds: float
) -> dict[str, Any]:
    print(f"\n{case.name}: {case.about}; {case.connections} connections", flush=True)
    read: dict[str, list[Reading]] = {proxy.name: [] for proxy in proxies}
    for count in range(rounds):
        for proxy in proxies[count % len(proxies) :] + proxies[: count % len(proxies)]:
            read[proxy.name].append(measured(proxy, case, seconds, here.folder))
    return show(read)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--only", type=_names(PROXIES), default=[*PROXIES], metavar="NAME,…")
    parser.add_argument("--cases", type=_names(CASES), default=[*CASES], metavar="NAME,…")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    return parser.parse_args()


def _names(known: dict[str, Any]) -> Any:
    def names(text: str) -> list[str]:
        found = text.split(",")
        unknown = [name for name in found if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return found

    return names


if __name__ == "__main__":
    sys.exit(main())
