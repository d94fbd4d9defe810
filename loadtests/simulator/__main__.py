"""`make bench-simulator`: the scaling policies beside each other on recorded and generated traffic,
and what it takes to simulate 3 million requests.

The first table is virtual time and always the same. In it `beaten` says whether ours needs fewer
replica-seconds at an equal or lower p99 wait. The second one is CPU time of this machine, one core.
"""

import argparse
import logging
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, get_args

from config.scaling import PolicyName
from loadtests.report import print_table, save
from loadtests.simulator.scenes import FUNCTIONS, STARTS, WORK, functions, ruled_by, scenes
from simulation.assumptions import Assumptions
from simulation.detect import read
from simulation.dice import seeded
from simulation.distributions import distribution
from simulation.result import Outcome
from simulation.run import Story, simulate

TRACES = Path("traces")
HEADER = (
    "traffic", "start", "policy", "replica-s", "wait p95", "p99", "max", "delayed", "cold",
    "failed", "actions", "beaten",
)  # fmt: skip
Case = tuple[str, str, PolicyName]


def main() -> int:
    arguments = _arguments()
    logging.getLogger("tidegate").setLevel(logging.CRITICAL)
    results: dict[str, Any] = {}
    if not arguments.skip_policies:
        outcomes = _compared(arguments.traces, arguments.seed, arguments.jobs)
        print_table(HEADER, [_row(case, outcomes) for case in outcomes])
        results["policies"] = [
            {"case": case, **_plain(outcome)} for case, outcome in outcomes.items()
        ]
    if (folder := arguments.traces / FUNCTIONS).is_dir() and not arguments.skip_functions:
        results["functions"] = _functions(folder, arguments.seed)
    print(f"written to {save('simulator', results)}")
    return 0


def _compared(traces: Path, seed: int, jobs: int) -> dict[Case, Outcome]:
    cases: list[Case] = [
        (scene, start, policy)
        for scene, _ in scenes(traces, seed)
        for start in STARTS
        for policy in get_args(PolicyName)
    ]
    with ProcessPoolExecutor(jobs) as processes:
        lived = processes.map(partial(_lived, traces=traces, seed=seed), cases)
        return dict(zip(cases, lived, strict=True))


def _lived(case: Case, traces: Path, seed: int) -> Outcome:
    logging.getLogger("tidegate").setLevel(logging.CRITICAL)
    scene, start, policy = case
    traffic = dict(scenes(traces, seed))[scene]()
    assumed = Assumptions(start=distribution(STARTS[start]))
    return simulate(Story(ruled_by(policy), traffic, assumed, seed))


def _row(case: Case, outcomes: dict[Case, Outcome]) -> tuple[object, ...]:
    scene, start, policy = case
    one, ours = outcomes[case], outcomes[scene, start, "tidegate"]
    wait = one.wait
    return (
        scene, start, policy, f"{one.replica_seconds:.0f}", f"{wait.p95:.2f}", f"{wait.p99:.2f}",
        f"{wait.max:.2f}", f"{wait.delayed:.1%}", one.cold_starts, one.failed, one.actions,
        "" if policy == "tidegate" else _verdict(ours, one),
    )  # fmt: skip


def _verdict(ours: Outcome, theirs: Outcome) -> str:
    """To the hundredth of a second and to the second, as the table shows them."""
    cheaper = round(ours.replica_seconds) < round(theirs.replica_seconds)
    sooner = round(ours.wait.p99, 2) <= round(theirs.wait.p99, 2)
    if cheaper and sooner:
        return "yes"
    return "no: slower" if cheaper else "no: dearer" if sooner else "no"


def _functions(folder: Path, seed: int) -> dict[str, Any]:
    traffic = read(folder, seeded(seed, "traffic"), distribution(WORK))
    settings = functions(traffic)
    begin = time.process_time()
    outcome = simulate(Story(settings, traffic, seed=seed))
    seconds = time.process_time() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print()
    print_table(
        ("8 h of 500 functions", "requests", "CPU s", "us each", "memory MiB"),
        [("", outcome.requests, f"{seconds:.0f}", f"{seconds / outcome.requests * 1e6:.0f}",
          f"{memory:.0f}")],
    )  # fmt: skip
    return {"cpu_seconds": seconds, "memory_mib": memory, **_plain(outcome)}


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        **{name: getattr(outcome, name) for name in _SHOWN},
        "statuses": dict(outcome.statuses),
        "wait": asdict(outcome.wait),
    }


_SHOWN = (
    "requests", "failed", "cold_starts", "starts", "replica_seconds", "gigabyte_seconds",
    "actions", "turns",
)  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-simulator", description=__doc__)
    parser.add_argument("--traces", type=Path, default=TRACES, help="the folder with the traces")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes for the first table")
    parser.add_argument("--skip-policies", action="store_true")
    parser.add_argument("--skip-functions", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
