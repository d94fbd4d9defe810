"""`make bench-autoscaler`: the scaling policies beside each other, and what deciding costs.

The first table is virtual time and always the same: scale actions, actions that take the one before
back, replica-seconds above and below ceil(load / target), and seconds in which there was load and
no replica. The second one is CPU time of this machine.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, get_args

from config.scaling import PolicyName
from loadtests.autoscaler.round import measured
from loadtests.autoscaler.shapes import SHAPES
from loadtests.autoscaler.world import Tally, judged
from loadtests.report import print_table, save

POLICIES: Sequence[PolicyName] = get_args(PolicyName)
HEADER = ("in an hour", "policy", "actions", "back", "over", "under", "no replica")


def main() -> int:
    arguments = _arguments()
    tallies = {
        (shape, policy): judged(policy, SHAPES[shape]) for shape in SHAPES for policy in POLICIES
    }
    rows = [
        (shape if policy == POLICIES[0] else "", policy, *_cells(tally))
        for (shape, policy), tally in tallies.items()
    ]
    print_table(HEADER, rows)
    results: dict[str, Any] = {
        "shapes": [
            {"shape": shape, "policy": policy, **asdict(tally)}
            for (shape, policy), tally in tallies.items()
        ]
    }
    if arguments.services:
        cost = measured(arguments.services, arguments.rounds)
        print()
        print_table(
            ("one round, CPU", "median ms", "largest ms", "their reports ms"),
            [
                (
                    f"{cost.services} active services",
                    f"{cost.round_ms:.1f}",
                    f"{cost.largest_ms:.1f}",
                    f"{cost.reports_ms:.1f}",
                )
            ],
        )
        results["round"] = asdict(cost)
    print(f"written to {save('autoscaler', results)}")
    return 0


def _cells(tally: Tally) -> tuple[int, ...]:
    seconds = (tally.over, tally.under, tally.waiting)
    return tally.actions, tally.turns, *(round(each) for each in seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-autoscaler", description=__doc__)
    parser.add_argument("--services", type=int, default=10_000, help="0: no second table")
    parser.add_argument("--rounds", type=int, default=15)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
