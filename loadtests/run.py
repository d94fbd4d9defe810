"""`make loadtest`: locust without its page against the quickstart, and what came of it.

Starts Tidegate when none answers, and stops what it started. Exits with 1 when a request failed.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.report import print_table, save
from loadtests.system import NotReached, answers, by_service, tidegate

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "examples" / "quickstart" / "tidegate.yaml"
ADMIN = os.environ.get("TIDEGATE_ADMIN", "http://127.0.0.1:9900")
COLD_STARTS = "tidegate_cold_starts_total"


def main() -> int:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if answers(f"{ADMIN}/healthz"):
            print(f"Using the Tidegate that answers at {ADMIN}.")
        else:
            print("Starting Tidegate on the quickstart.")
            try:
                stack.enter_context(tidegate(QUICKSTART, ADMIN, folder / "tidegate.log"))
            except NotReached as error:
                print(error, file=sys.stderr)
                return 1
        before = by_service(ADMIN, COLD_STARTS)
        code, entries = _locust(folder)
        after = by_service(ADMIN, COLD_STARTS)
    if not entries:
        print("locust reported no request at all.", file=sys.stderr)
        return code or 1
    cold = {name: after[name] - before.get(name, 0.0) for name in sorted(after)}
    _report(entries, cold)
    return code


def _locust(folder: Path) -> tuple[int, list[dict[str, Any]]]:
    shape, duration = os.environ.get("SHAPE", "steady"), os.environ.get("DURATION", "30")
    print(f"Load: {shape}, {duration} s.")
    stats = folder / "stats"
    options = ["--headless", "--only-summary", "--loglevel", "WARNING", "--json-file", str(stats)]
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", *options]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    written = stats.with_suffix(".json")
    return done.returncode, json.loads(written.read_text()) if written.exists() else []


def _report(entries: Sequence[dict[str, Any]], cold: dict[str, float]) -> None:
    rows = [_row(entry["name"], [entry]) for entry in sorted(entries, key=lambda e: e["name"])]
    total = _row("all", entries)
    print_table(("request", "requests", "failures", "p50 ms", "p95 ms", "p99 ms"), [*rows, total])
    print("cold starts: " + ", ".join(f"{name} {count:g}" for name, count in cold.items()))
    print(f"written to {save('loadtest', {'requests': [*rows, total], 'cold_starts': cold})}")


def _row(name: str, entries: Sequence[dict[str, Any]]) -> tuple[object, ...]:
    times: dict[float, int] = {}
    for entry in entries:
        for milliseconds, count in entry["response_times"].items():
            times[float(milliseconds)] = times.get(float(milliseconds), 0) + count
    requests = sum(entry["num_requests"] for entry in entries)
    failures = sum(entry["num_failures"] for entry in entries)
    return (name, requests, failures, *(_quantile(times, share) for share in (0.5, 0.95, 0.99)))


def _quantile(times: dict[float, int], share: float) -> float:
    """Milliseconds; locust rounds to two digits."""
    rank, seen = share * sum(times.values()), 0
    for milliseconds in sorted(times):
        seen += times[milliseconds]
        if seen >= rank:
            return milliseconds
    return 0.0


if __name__ == "__main__":
    sys.exit(main())
