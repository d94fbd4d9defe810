"""What the gateway counts. Plain numbers; whoever wants labels adds them outside.

Pure. `level` is in flight plus queued; its time integral is exact, whatever the rate of events.
Every request is load; when there was the last that keeps a service awake is told apart.

One look-up a request is all that times cost: what is answered in one piece, and was sent as soon as
it came, has one time, which is its duration, its latency and its service time.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import add

from cluster.buckets import BOUNDS, EDGES, Sparse, coarse, sparse

_NOTHING = [0] * (len(EDGES) + 1)  # never changed


class Histogram:
    """Counts per bucket: `buckets[i]` are values up to EDGES[i], the last one all above.

    Most services have most of them empty: those take no memory.
    """

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets = _NOTHING
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        if self.buckets is _NOTHING:
            self.buckets = [*_NOTHING]
        self.buckets[bisect_left(EDGES, seconds)] += 1
        self.total += seconds


@dataclass(frozen=True, slots=True)
class HistogramStats:
    """A copy of a histogram: counts per bucket of BOUNDS (not cumulative), the sum in seconds."""

    buckets: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class ServiceStats:
    """One service that had traffic since this gateway started. `quiet` of those in flight and
    queued keep it awake no more."""

    in_flight: int
    queued: int
    requests: dict[int, int]
    duration: HistogramStats
    queue_wait: HistogramStats
    rejected: dict[str, int]
    retries: dict[str, int]
    cold_start_waits: int
    endpoints: dict[str, int]
    quiet: int = 0


@dataclass(frozen=True, slots=True)
class GatewayStats:
    """A copy of all counts. `bounds` are the upper bounds of the histograms' buckets; `shedding`
    is how many processes refuse clients because memory is short."""

    at: float
    services: dict[str, ServiceStats]
    unrouted: dict[int, int]
    connections: dict[str, int]
    bounds: tuple[float, ...] = BOUNDS
    shedding: int = 0


@dataclass(slots=True)
class Span:
    """What happened since the last report."""

    seconds: float
    busy_seconds: float
    requests: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Times:
    """What has been added to the fine histograms since the last report, as it is reported."""

    latencies: Sparse = ()
    service_times: Sparse = ()
    waits: Sparse = ()


UNTIMED = Times()


@dataclass(slots=True, eq=False)
class Counters:
    """The counts of one service. `ignored` of `level` keep nobody awake.

    `whole` are the durations of requests that have no other time; `others` those of all others.
    Of these `begun` has the latency where it is the service time, `late` and `served` have both
    where they differ. `queue_wait` is of requests that had to wait, `wake_wait` of those that
    waited for a wake; `held` is how many found no place when they came.
    `ignored` of `level` keep nobody awake.
    """

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
    held: int = 0
    whole: Histogram = field(default_factory=Histogram)
    others: Histogram = field(default_factory=Histogram)
    begun: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)
    served: Histogram = field(default_factory=Histogram)
    queue_wait: Histogram = field(default_factory=Histogram)
    wake_wait: Histogram = field(default_factory=Histogram)
    _told: tuple[Sequence[int], ...] = (_NOTHING, _NOTHING, _NOTHING)

    def __post_init__(self) -> None:
        self.since = self.at
        self.unnoticed = self._state()
        self.whole.buckets, self.others.buckets = [*_NOTHING], [*_NOTHING]

    def enter(self, now: float) -> None:
        """A request has come."""
        self.busy += self.level * (now - self.at)
        self.at = now
        self.level += 1
        self.requests += 1

    def leave(self, code: int, started: float, now: float, whole: bool = False) -> None:
        """A request has ended, in whatever way. `whole`: its duration is its latency too."""
        self.busy += self.level * (now - self.at)
        self.at = now
        self.level -= 1
        self.codes[code] += 1
        # Histogram.observe, written out: these lines run for every request.
        histogram = self.whole if whole else self.others
        histogram.buckets[bisect_left(EDGES, now - started)] += 1
        histogram.total += now - started

    def answer(self, latency: float, service_time: float, *, woken: bool) -> None:
        """The first byte of an answer that is not whole, or whose request was not sent at once.
        How long a wake took is no latency."""
        if latency == service_time:
            self.begun.observe(latency)
            return
        self.served.observe(service_time)
        if not woken:
            self.late.observe(latency)

    def wait(self, seconds: float, *, woken: bool) -> None:
        """A request has waited for a replica, or in vain."""
        (self.wake_wait if woken else self.queue_wait).observe(seconds)

    def answered(self, code: int) -> None:
        """Here, at once, and it changed nothing."""
        self.codes[code] += 1
        self.others.observe(0.0)

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

    def times(self) -> Times:
        """Since the last call. Requests that did not wait have a wait of nothing."""
        both = [*map(add, self.whole.buckets, self.begun.buckets)]
        present = (
            [*map(add, both, self.late.buckets)],
            [*map(add, both, self.served.buckets)],
            self._waits(),
        )
        told, self._told = self._told, present
        return Times(*(sparse(now, then) for now, then in zip(present, told, strict=True)))

    def _waits(self) -> list[int]:
        waits = [*self.queue_wait.buckets]
        waits[0] += self.requests - self.held
        return waits

    def copy(
        self, queued: int, endpoints: tuple[tuple[str, int], ...], silent: int = 0
    ) -> ServiceStats:
        return ServiceStats(
            in_flight=self.level - queued,
            queued=queued,
            requests=dict(self.codes),
            duration=_copy(self.whole, self.others),
            queue_wait=_copy(self.queue_wait, self.wake_wait),
            rejected=dict(self.rejected),
            retries=dict(self.retries),
            cold_start_waits=self.cold_start_waits,
            endpoints=dict(endpoints),
            quiet=min(self.level, self.ignored + silent),
        )


def _copy(one: Histogram, other: Histogram) -> HistogramStats:
    buckets = [*map(add, one.buckets, other.buckets)]
    return HistogramStats(coarse(buckets), one.total + other.total)
