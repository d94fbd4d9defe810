"""What the gateway counts. Plain numbers; whoever wants labels adds them outside.

Pure. `level` is in flight plus queued; its time integral is exact, whatever the rate of events.
Every request is load; when there was the last that keeps a service awake is told apart.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

BOUNDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip


class Histogram:
    """Counts per bucket: `buckets[i]` are values up to BOUNDS[i], the last one all above."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(frozen=True, slots=True)
class HistogramStats:
    """A copy of a histogram: counts per bucket (not cumulative) and the sum in seconds."""

    buckets: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class ServiceStats:
    """One service that had traffic since this gateway started."""

    in_flight: int
    queued: int
    requests: dict[int, int]
    duration: HistogramStats
    queue_wait: HistogramStats
    rejected: dict[str, int]
    retries: dict[str, int]
    cold_start_waits: int
    endpoints: dict[str, int]


@dataclass(frozen=True, slots=True)
class GatewayStats:
    """A copy of all counts. `bounds` are the upper bounds of the histograms' buckets."""

    at: float
    services: dict[str, ServiceStats]
    unrouted: dict[int, int]
    connections: dict[str, int]
    bounds: tuple[float, ...] = BOUNDS


@dataclass(slots=True)
class Span:
    """What happened since the last report."""

    seconds: float
    busy_seconds: float
    requests: int
    rejected: int


@dataclass(slots=True, eq=False)
class Counters:
    """The counts of one service. `ignored` of `level` keep nobody awake."""

    at: float
    ignored: int = 0
    noticed_at: float = 0.0
    unnoticed: tuple[float, int, int] = (0.0, 0, 0)  # as it was after the last that was no activity
    since: float = 0.0
    level: int = 0
    busy: float = 0.0
    requests: int = 0
    refusals: int = 0
    reported_requests: int = 0
    reported_refusals: int = 0
    cold_start_waits: int = 0
    codes: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    rejected: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    retries: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    duration: Histogram = field(default_factory=Histogram)
    queue_wait: Histogram = field(default_factory=Histogram)

    def __post_init__(self) -> None:
        self.since = self.at
        self.unnoticed = self._state()

    def enter(self, now: float) -> None:
        """A request has come."""
        self.busy += self.level * (now - self.at)
        self.at = now
        self.level += 1
        self.requests += 1

    def leave(self, code: int, started: float, now: float) -> None:
        """A request has ended, in whatever way."""
        self.busy += self.level * (now - self.at)
        self.at = now
        self.level -= 1
        self.codes[code] += 1
        # Histogram.observe, written out: this line runs for every request.
        self.duration.buckets[bisect_left(BOUNDS, now - started)] += 1
        self.duration.total += now - started

    def answered(self, code: int) -> None:
        """Here, at once, and it changed nothing."""
        self.codes[code] += 1
        self.duration.observe(0.0)

    def withdraw(self, now: float) -> None:
        """A request of ours is another's now: no load here any more, and not counted here."""
        self.busy += self.level * (now - self.at)
        self.at = now
        self.level -= 1

    @contextmanager
    def unnoticing(self) -> Iterator[None]:
        """What comes or ends in it is no activity."""
        self.noticed_at = self._last_event()
        try:
            yield
        finally:
            self.unnoticed = self._state()

    def active_at(self, quiet: int, since: float, now: float) -> float:
        """When something last kept the service awake, before `span` is asked. `quiet` of those
        under way do not now, and the last of the quiet did until `since`."""
        self.noticed_at = now if self.level > quiet else max(self._last_event(), since)
        return self.noticed_at

    def _last_event(self) -> float:
        is_none = self._state() == self.unnoticed
        return self.noticed_at if is_none else max(self.noticed_at, self.at)

    def _state(self) -> tuple[float, int, int]:
        """Another one after whatever happened: clocks are coarse, and many things share a time."""
        return self.at, self.level, self.requests

    def reject(self, reason: str) -> None:
        self.rejected[reason] += 1
        self.refusals += 1

    def span(self, now: float) -> Span:
        """Since the last call, or since the service was first used."""
        self.busy += self.level * (now - self.at)
        self.at = now
        span = Span(
            seconds=now - self.since,
            busy_seconds=self.busy,
            requests=self.requests - self.reported_requests,
            rejected=self.refusals - self.reported_refusals,
        )
        self.busy, self.since, self.unnoticed = 0.0, now, self._state()
        self.reported_requests, self.reported_refusals = self.requests, self.refusals
        return span

    def copy(self, queued: int, endpoints: tuple[tuple[str, int], ...]) -> ServiceStats:
        return ServiceStats(
            in_flight=self.level - queued,
            queued=queued,
            requests=dict(self.codes),
            duration=_copy(self.duration),
            queue_wait=_copy(self.queue_wait),
            rejected=dict(self.rejected),
            retries=dict(self.retries),
            cold_start_waits=self.cold_start_waits,
            endpoints=dict(endpoints),
        )


def _copy(histogram: Histogram) -> HistogramStats:
    return HistogramStats(tuple(histogram.buckets), histogram.total)
