"""The load of one service, put together from the reports of all gateway workers.

Pure. A request that was rejected was demand too: it counts as one request-second. A worker that
is busy reports about once a second, each in its own time; the seconds since its last report are
late news, not silence. So every worker has its own windows, which end where its own news ends, and
the load is their sum: a constant load is seen as that constant, however the reports fall.

What is in flight is load, whatever it does. Whether it keeps the service awake is another matter:
a tunnel in which nothing moves does not, nor does a request that the operator has excluded.

What waits for the first replica after a wake is a backlog: how long it waits tells how slow the
start is, and nothing about a load. Who decides may have it left out.
"""

import math
from dataclasses import replace

from autoscaler.rules import Means
from autoscaler.window import Window
from cluster.messages import LoadReport

# A worker with traffic reports every second; this much later its silence is taken for silence.
REPORT_IS_LATE = 2.0
# For so long nothing is concluded from a silence that came while there was something in flight.
SILENCE_IS_NEWS = 60.0
# What was in flight in a worker that told nothing for so long is gone with it.
SOURCE_IS_GONE = 10.0
SHORTEST_WINDOW = 1.0  # one bucket
_NOTHING = 1e-9  # what rounding leaves of nothing


class Source:
    """What one worker has told."""

    __slots__ = ("_busy", "_held", "_requests", "at", "is_busy", "last")

    def __init__(self, first: LoadReport, longest: float) -> None:
        self._held: Window | None = None
        self._busy = Window(longest)
        self._requests = Window(longest)
        self._note(first)

    def _note(self, report: LoadReport) -> None:
        """What each look asks for is worked out once."""
        self.last, self.at = report, report.at
        self.is_busy = report.keeping_awake > 0

    def resize(self, longest: float) -> None:
        self._busy.resize(longest)
        self._requests.resize(longest)
        if self._held is not None:
            self._held.resize(longest)

    def record(self, report: LoadReport) -> None:
        self._busy.record(report.busy_seconds + report.rejected, report.at, report.span)
        self._requests.record(report.requests, report.at, report.span)
        self._note(report)

    def hold(self, busy_seconds: float, report: LoadReport, longest: float) -> None:
        """So much of what was just recorded only waited for the first replica."""
        if self._held is None:
            self._held = Window(longest)
        self._held.record(busy_seconds, report.at, report.span)

    def let_go(self) -> None:
        self._held = None

    @property
    def has_held(self) -> bool:
        return self._held is not None

    def held(self, window: float, now: float) -> float:
        """The part of the mean concurrency that was held."""
        return 0.0 if self._held is None else self._held.mean(self.edge(now), window)

    def means(self, window: float, now: float) -> tuple[float, float]:
        """Concurrency and requests per second."""
        edge = self.edge(now)
        return self._busy.mean(edge, window), self._requests.mean(edge, window)

    def of_one(self, metric: str, windows: tuple[float, float], now: float) -> tuple[float, float]:
        kept = self._requests if metric == "rps" else self._busy
        return kept.two_means(self.edge(now), *windows)

    def edge(self, now: float) -> float:
        """Where the news ends: news that is on its way is no silence."""
        at = self.at
        is_on_its_way = now - at < REPORT_IS_LATE and (self.is_busy or not self.last.is_silent)
        return at if is_on_its_way and at < now else now


class Load:
    """Means over windows of up to `longest` seconds, and what is in flight right now."""

    __slots__ = (
        "_expected", "_first", "_longest", "_served_at", "_served_from", "_sources",
        "_woken_at", "last_activity",
    )  # fmt: skip

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._sources: dict[str, Source] = {}
        self._expected = -math.inf
        self._first = math.inf
        self._served_at = self._served_from = self._woken_at = -math.inf
        self.last_activity = -math.inf  # loop time

    def resize(self, longest: float) -> None:
        self._longest = longest
        for source in self._sources.values():
            source.resize(longest)

    def record(self, report: LoadReport) -> None:
        if (source := self._sources.get(report.source)) is None:
            self._forget(report.at)
            source = self._sources[report.source] = Source(report, self._longest)
        source.record(report)
        begun = report.at - report.span
        if begun < self._served_at:
            if held := self._held_of(report):
                source.hold(held, report, self._longest)
        elif source.has_held and begun - self._served_at > self._longest:
            source.let_go()
        if begun < self._served_at <= report.at:
            # It tells of the time before as well.
            self._served_from = max(self._served_from, report.at)
        self._first = min(self._first, report.at - report.span)
        if report.active_at is not None:
            self.last_activity = max(self.last_activity, report.active_at)
        elif not report.is_silent:
            self.last_activity = max(self.last_activity, report.at)
        self._expected = -math.inf

    def expect(self, now: float) -> None:
        """A request waits of which no report told yet: the service is busy until one comes."""
        self.last_activity = max(self.last_activity, now)
        self._expected = now

    def _held_of(self, report: LoadReport) -> float:
        """Request-seconds of waiting while nothing served. When something did for a part of the
        time, no more is load than evenly falls into that part, nor more than what is still there.
        What is in flight waits for nothing, whoever serves it."""
        level = report.in_flight + report.queued
        served = report.at - self._served_at
        if served <= 0:
            return report.busy_seconds * (1 - report.in_flight / max(1, level))
        evenly = report.busy_seconds * served / report.span
        return report.busy_seconds - min(evenly, level * served)

    def begin(self, now: float) -> None:
        """It wakes: what comes is held until something serves."""
        self._woken_at = now
        self._served_at = self._served_from = math.inf

    def serve(self, now: float) -> None:
        """A replica is ready; after a wake the first one counts."""
        if self._served_at == math.inf:
            self._served_at = self._served_from = now

    def is_busy(self, now: float) -> bool:
        """Something is in flight or queued that keeps the service awake."""
        if now - self._expected < REPORT_IS_LATE:
            return True
        for source in self._sources.values():
            if source.is_busy and now - source.at < SOURCE_IS_GONE:
                return True
        return False

    @property
    def has_silent(self) -> bool:
        """Something is in flight that keeps nobody awake."""
        return any(source.last.silent for source in self._sources.values())

    def silence_is_known(self, now: float) -> float:
        """Until when nothing is known to have moved on what is silent (loop time)."""
        return min((one.at for one in self._present(now) if one.silent), default=now)

    def in_flight(self, now: float) -> int:
        return sum(report.in_flight for report in self._present(now))

    def queued(self, now: float) -> int:
        return sum(report.queued for report in self._present(now))

    def means(self, window: float, now: float, *, by_age: bool = False, held: bool = True) -> Means:
        """Over the last `window` seconds, at least 1 s; `by_age`: no longer than there was news.
        `held`: with what waited for the first replica after a wake."""
        window = min(window, self._newest(now) - self._first) if by_age else window
        window = max(SHORTEST_WINDOW, window)
        busy = requests = 0.0
        for source in self._sources.values():
            of_one = source.means(window, now)
            apart = 0.0 if held else source.held(window, now)
            busy, requests = busy + of_one[0] - apart, requests + of_one[1]
        return Means(window, busy if busy > _NOTHING else 0.0, requests)

    def lately(self, window: float, now: float) -> Means:
        """Over the last `window` seconds, without what was held; soon after a wake over the time
        since a replica served, if that tells of more: the silence before says nothing about a load
        that has come to stay. While nothing serves, what keeps coming is the load."""
        whole = self.means(window, now, held=False)
        if self._served_at == math.inf:
            coming = self._kept_coming(window, now)
            return replace(whole, concurrency=max(whole.concurrency, coming))
        age = self._newest(now) - self._served_from
        if not SHORTEST_WINDOW <= age < window:
            return whole
        young = self.means(age, now)
        # It may have a part of what was held, and has what a backlog took to be served. A load that
        # has come to stay is still there.
        still = self.in_flight(now) + self.queued(now)
        concurrency = min(young.concurrency, still)
        if concurrency <= whole.concurrency and young.rps <= whole.rps:
            return whole
        more = max(concurrency, whole.concurrency), max(young.rps, whole.rps)
        return Means(young.window, *more)

    def _kept_coming(self, window: float, now: float) -> float:
        """Requests per second that came in the last window and in the one before, all the while
        held; each counts as one request-second, as one that was rejected does. A herd comes once,
        and is none of it."""
        window = max(SHORTEST_WINDOW, window)
        if self._newest(now) - self._woken_at < 2 * window:
            return 0.0
        last, both = self.means(window, now).rps, self.means(2 * window, now).rps
        return max(0.0, min(last, 2 * both - last))

    def _newest(self, now: float) -> float:
        return max((source.edge(now) for source in self._sources.values()), default=now)

    def while_busy(
        self, metric: str, windows: tuple[float, float], now: float
    ) -> tuple[float, float] | None:
        """Both means of one metric alone, `concurrency` or `rps`; windows of at least 1 s. None:
        nothing keeps it awake, a gateway that was busy is late with its news, or something was
        held not long ago."""
        long = short = 0.0
        is_busy = False
        for source in self._sources.values():
            if source.has_held:
                return None
            if source.is_busy:
                if now - source.at >= REPORT_IS_LATE:
                    return None
                is_busy = True
            more = source.of_one(metric, windows, now)
            long, short = long + more[0], short + more[1]
        return (long, short) if is_busy else None

    def is_blind(self, now: float) -> bool:
        """A gateway that was busy has told nothing for a while: what there is now is not known."""
        return any(
            source.is_busy and REPORT_IS_LATE <= now - source.at < SILENCE_IS_NEWS
            for source in self._sources.values()
        )

    def _present(self, now: float) -> list[LoadReport]:
        reports = [source.last for source in self._sources.values()]
        return [report for report in reports if now - report.at < SOURCE_IS_GONE]

    def _forget(self, now: float) -> None:
        """Workers whose last news no window reaches any more."""
        oldest = now - max(self._longest, SOURCE_IS_GONE) - REPORT_IS_LATE
        for name, source in list(self._sources.items()):
            if source.at < oldest:
                del self._sources[name]
