"""Results of simulations as programs read them, and how they compare.

Pure. Times are seconds, memory is GiB-seconds, shares are of 1.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from simulation.result import Outcome
from simulation.trials import Result

REFUSED = 503


@dataclass(frozen=True, slots=True)
class Prices:
    """Of an hour of a replica that is awake, and of an hour of a GiB, in any currency."""

    replica_hour: float | None = None
    gib_hour: float | None = None

    @property
    def are_given(self) -> bool:
        return self.replica_hour is not None or self.gib_hour is not None

    def of(self, outcome: Outcome) -> float | None:
        """None where no price is given."""
        if not self.are_given:
            return None
        return outcome.price(self.replica_hour or 0.0, self.gib_hour or 0.0)


def numbers(outcome: Outcome, prices: Prices) -> dict[str, float | int | None]:
    """One outcome, flat."""
    wait = outcome.wait
    refused = outcome.statuses.get(REFUSED, 0)
    return {
        "requests": outcome.requests,
        "wait_p50": wait.p50,
        "wait_p95": wait.p95,
        "wait_p99": wait.p99,
        "wait_max": wait.max,
        "wait_mean": wait.mean,
        "delayed": wait.delayed,
        "cold_starts": outcome.cold_starts,
        "starts": outcome.starts,
        "refused": refused,
        "other_failures": outcome.failed - refused,
        "replica_seconds": outcome.replica_seconds,
        "frozen_seconds": outcome.frozen_seconds,
        "gib_seconds": outcome.gigabyte_seconds,
        "actions": outcome.actions,
        "turns": outcome.turns,
        "cost": prices.of(outcome),
    }


def relative(value: float | None, first: float | None) -> float | None:
    """How much more than the first, as a share of it; None where that says nothing."""
    if value is None or not first:
        return None
    return value / first - 1


def as_json(results: Sequence[Result], prices: Prices) -> list[dict[str, Any]]:
    """One mapping for each result, with what it has over time."""
    rows = [numbers(result.outcome, prices) for result in results]
    return [
        {
            "variant": result.label,
            **row,
            "statuses": {str(code): n for code, n in sorted(result.outcome.statuses.items())},
            "relative": _relations(row, rows[0]),
            "waits": [list(point) for point in result.waits],
            "series": [asdict(sample) for sample in result.outcome.series],
        }
        for result, row in zip(results, rows, strict=True)
    ]


_COMPARED = ("wait_p95", "wait_p99", "replica_seconds", "gib_seconds", "cost")


def _relations(
    row: Mapping[str, float | None], first: Mapping[str, float | None]
) -> dict[str, float | None]:
    return {name: relative(row[name], first[name]) for name in _COMPARED}


def tables(results: Sequence[Result], prices: Prices) -> dict[str, str]:
    """The same as CSV, by what each table is of."""
    return {
        "variants": variants_csv(results, prices),
        "series": _csv(_series(results)),
        "waits": _csv(_waits(results)),
    }


def variants_csv(results: Sequence[Result], prices: Prices) -> str:
    return _csv({"variant": one.label, **numbers(one.outcome, prices)} for one in results)


def _series(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    for result in results:
        for sample in result.outcome.series:
            yield {"variant": result.label, **asdict(sample)}


def _waits(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    for result in results:
        for seconds, share in result.waits:
            yield {"variant": result.label, "seconds": seconds, "share_at_least": share}


def _csv(rows: Iterator[dict[str, Any]]) -> str:
    text, writer = io.StringIO(), None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    return text.getvalue()
