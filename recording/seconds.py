"""What one service did in one second of wall-clock time.

Pure. All counts are whole numbers, times too (microseconds): however they are divided among seconds
and added up again, nothing is lost and nothing is there twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cluster.messages import LoadReport
from recording.histogram import Counts, add

MICRO = 1_000_000
# What a report says of longer ago than that came late: its counts are told of that long.
LONGEST = 60.0

HISTOGRAMS = (
    "latencies", "service_times", "occupied", "waits", "cold_waits", "request_sizes",
    "answer_sizes",
)  # fmt: skip


@dataclass(slots=True)
class Second:
    """`busy` is the integral of in flight + queued, `in_flight` without the queued (as last seen in
    each report), in microseconds. `replicas` could be sent requests. Histograms by name."""

    requests: int = 0
    rejected: int = 0
    failures: int = 0
    busy: int = 0
    in_flight: int = 0
    replicas: int = 0
    request_bytes: int = 0
    answer_bytes: int = 0
    histograms: dict[str, Counts] = field(default_factory=dict)

    def add(self, report: LoadReport) -> None:
        """What belongs to the requests that ended, which cannot be divided."""
        recorded = report.recorded
        if recorded is None:
            return
        self.failures += recorded.failures
        self.request_bytes += recorded.request_bytes
        self.answer_bytes += recorded.answer_bytes
        for name, counts in (
            ("latencies", report.latencies),
            ("service_times", report.service_times),
            ("occupied", recorded.occupied),
            ("waits", report.waits),
            ("cold_waits", recorded.cold_waits),
            ("request_sizes", recorded.request_sizes),
            ("answer_sizes", recorded.answer_sizes),
        ):
            if counts:
                add(self.histograms.setdefault(name, {}), counts)


def divided(count: int, begin: float, end: float) -> Iterator[tuple[int, int]]:
    """A count that came evenly from `begin` to `end`, by second; the sum is the count."""
    begin = max(begin, end - LONGEST)
    first, last = int(begin), int(end)
    if last == end and last > first:
        last -= 1
    given = 0
    for second in range(first, last):
        until = round(count * (second + 1 - begin) / (end - begin))
        yield second, until - given
        given = until
    yield last, count - given
