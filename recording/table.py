"""A recording as plain tables, for files and for other programs.

Pure. Histograms have one row for each bucket that is not empty, with the largest value that is in
it, and are sums of the whole period.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from cluster import sizes
from cluster.buckets import EDGES

if TYPE_CHECKING:
    from recording.reader import Recording

What = Literal["arrivals", "times", "sizes", "starts", "memory"]
Row = tuple[str | int | float, ...]

COLUMNS: Mapping[What, Sequence[str]] = {
    "arrivals": (
        "service", "time", "at", "seconds", "requests", "rejected", "failures", "busy_seconds",
        "replicas",
    ),
    "times": ("service", "level", "concurrency", "kind", "up_to_seconds", "count"),
    "sizes": ("service", "kind", "up_to_bytes", "count"),
    "starts": ("service", "time", "at", "seconds", "outcome"),
    "memory": ("service", "time", "at", "bytes"),
}  # fmt: skip
_TIMES = {
    "latencies": "latency",
    "service_times": "service_time",
    "occupied": "occupied",
    "waits": "wait",
    "cold_waits": "cold_wait",
}
_SIZES = {"request_sizes": "request", "answer_sizes": "answer"}


def rows(
    recording: "Recording", what: What, service: str | None, begin: float, end: float
) -> Iterator[Row]:
    """In the order of COLUMNS; moments and `service` as in recording.reader."""
    tables = {
        "arrivals": _arrivals, "times": _times, "sizes": _sizes, "starts": _starts,
        "memory": _memory,
    }  # fmt: skip
    return tables[what](recording, service, begin, end)


def _arrivals(
    recording: "Recording", service: str | None, begin: float, end: float
) -> Iterator[Row]:
    for one in recording.arrivals(service, begin, end):
        yield (
            one.service, _moment(one.at), one.at, one.seconds, one.requests, one.rejected,
            one.failures, round(one.busy_seconds, 6), round(one.replicas, 3),
        )  # fmt: skip


def _times(recording: "Recording", service: str | None, begin: float, end: float) -> Iterator[Row]:
    for one in recording.levels(service, begin, end):
        concurrency = round(one.concurrency, 3)
        for name, kind in _TIMES.items():
            for index, count in sorted(one.histograms.get(name, {}).items()):
                edge = round(EDGES[index], 6) if index < len(EDGES) else math.inf
                yield one.service, one.level, concurrency, kind, edge, count


def _sizes(recording: "Recording", service: str | None, begin: float, end: float) -> Iterator[Row]:
    totals: dict[tuple[str, str, int], int] = {}
    for one in recording.levels(service, begin, end):
        for name, kind in _SIZES.items():
            for index, count in one.histograms.get(name, {}).items():
                key = one.service, kind, index
                totals[key] = totals.get(key, 0) + count
    for (name, kind, index), count in sorted(totals.items()):
        yield name, kind, math.inf if index == sizes.LAST else sizes.most(index), count


def _starts(recording: "Recording", service: str | None, begin: float, end: float) -> Iterator[Row]:
    for one in recording.starts(service, begin, end):
        at = int(one.at)
        yield one.service, _moment(at), at, round(one.seconds, 6), one.outcome


def _memory(recording: "Recording", service: str | None, begin: float, end: float) -> Iterator[Row]:
    for one in recording.memory(service, begin, end):
        yield one.service, _moment(one.at), one.at, one.largest


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
