"""`make agreement`: whether a simulation tells what really happens.

The same arrivals go to a real Tidegate with real replicas, and through the simulator. Service times
are those that were asked for; only how long each start and each stop took is measured, in that same
real run. Replica-seconds have to be within 10 %, cold starts equal, and the p95 of all waits within
20 %. Exits with 1 where one is not.
"""

import argparse
import os
import sys
from typing import Any, get_args

import uvloop

from config.scaling import PolicyName
from loadtests.agreement.agreement import Agreement, agreement, on_average, phases
from loadtests.agreement.compared import Row, Side
from loadtests.agreement.real import Real, run
from loadtests.agreement.trace import PARTS, Trace
from loadtests.report import percentile, print_table, save
from loadtests.system import NotReached

RUNTIMES = ("process", "docker")


def main() -> int:
    arguments = _arguments()
    trace = Trace(PARTS, arguments.minutes, policy=arguments.policy, later=arguments.later)
    results: dict[str, Any] = {}
    for runtime in RUNTIMES if arguments.runtime == "both" else (arguments.runtime,):
        print(f"\n{runtime}: {trace.seconds / 60:.1f} minutes", flush=True)
        before = os.getloadavg()[0]
        try:
            real = uvloop.run(run(runtime, trace))
        except NotReached as error:
            print(error, file=sys.stderr)
            return 1
        loads = [round(before, 1), round(os.getloadavg()[0], 1)]
        results[runtime] = {"load": loads, **_shown(trace, real, loads)}
    chosen = {"minutes": trace.rounds, "policy": trace.policy, "later": trace.later}
    print(f"\nwritten to {save('agreement', {**chosen, 'runtimes': results})}")
    return 0 if all(result["holds"] for result in results.values()) else 1


def _shown(trace: Trace, real: Real, loads: list[float]) -> dict[str, Any]:
    """What is written to the file, printed."""
    found = agreement(trace, real)
    starts = [one for lives in real.lives.values() for one in lives.starts]
    stops = [one for lives in real.lives.values() for one in lives.stops]
    late = percentile([answer.late for answer in real.answers], 0.99)
    print(
        f"load {loads[0]} to {loads[1]}; starts took {_range(starts)}, stops {_range(stops)};"
        f" p99 of the client's lateness {late * 1000:.0f} ms"
    )
    header = ("", "real", "simulated", "apart", "")
    print_table(header, [_cells(row) for row in found.whole])
    print()
    _show_services(found)
    others = _others(trace, real)
    return {
        "holds": found.holds,
        "rows": [_told(row) for row in found.whole],
        "services": {name: [_side(side) for side in pair] for name, pair in found.sides.items()},
        "starts": {name: list(lives.starts) for name, lives in real.lives.items()},
        "stops": {name: list(lives.stops) for name, lives in real.lives.items()},
        "late_p99": late,
        **others,
        "events": real.events,
    }


def _show_services(found: Agreement) -> None:
    header = (
        "real / simulated",
        "replica-seconds",
        "cold starts",
        "starts",
        "p50 wait",
        "p95 wait",
    )
    lines = [
        (
            name,
            f"{real.replica_seconds:.1f} / {told.replica_seconds:.1f}",
            f"{real.cold_starts:g} / {told.cold_starts:g}",
            f"{real.starts:g} / {told.starts:g}",
            f"{real.wait(0.5):.2f} / {told.wait(0.5):.2f}",
            f"{real.wait(0.95):.2f} / {told.wait(0.95):.2f}",
        )
        for name, (real, told) in found.sides.items()
    ]
    print_table(header, lines)


def _others(trace: Trace, real: Real) -> dict[str, Any]:
    """How much of it hangs on each single start, and on when the traffic began."""
    mean, sides = on_average(trace, real.lives), phases(trace, real.lives)
    spent, waits = [side.replica_seconds for side in sides], [side.wait(0.95) for side in sides]
    print(
        f"\nsimulated, all starts as long as the mean: replica-seconds {mean.replica_seconds:.0f},"
        f" cold starts {mean.cold_starts:g}, p95 wait {mean.wait(0.95):.2f} s"
        f"\nsimulated, begun at other moments between two ticks: replica-seconds"
        f" {min(spent):.0f} to {max(spent):.0f}, p95 wait {_range(waits)}"
    )
    return {
        "on_average": _side(mean),
        "phases": {"replica_seconds": spent, "p95_wait": waits},
    }


def _range(seconds: list[float]) -> str:
    return f"{min(seconds):.2f} to {max(seconds):.2f} s" if seconds else "not seen"


def _side(side: Side) -> dict[str, float]:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "longest": 1.0}
    return {
        "replica_seconds": side.replica_seconds,
        "cold_starts": side.cold_starts,
        "starts": side.starts,
        "actions": side.actions,
        **{name: side.wait(share) for name, share in shares.items()},
    }


def _told(row: Row) -> dict[str, Any]:
    return {
        "what": row.what,
        "real": row.real,
        "simulated": row.simulated,
        "apart": row.apart,
        "verdict": row.verdict,
    }


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        f"{row.real:.4g}",
        f"{row.simulated:.4g}",
        f"{row.apart:+.1%}",
        row.verdict,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make agreement", description=__doc__)
    parser.add_argument("--runtime", choices=[*RUNTIMES, "both"], default="both")
    parser.add_argument("--minutes", type=int, default=3, help="rounds of the trace")
    parser.add_argument("--policy", choices=get_args(PolicyName), default="tidegate")
    parser.add_argument("--later", type=float, default=0.0, help="seconds after the usual moment")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
