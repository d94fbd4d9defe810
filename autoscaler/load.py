"""The load of one service, put together from the reports of all gateway workers.

Pure. A request that was rejected was demand too: it counts as one request-second. A worker that
is busy reports about once a second, each in its own time; the seconds since its last report are
late news, not silence. So every worker has its own windows, which end where its own news ends, and
the load is their sum: a constant load is seen as that constant, however the reports fall.

What is in flight is load, whatever it does. Whether it keeps the service awake is another matter:
a tunnel in which nothing moves does not, nor does a request that the operator has excluded.
"""

import math

from autoscaler.rules import Means
from autoscaler.window import Window
from cluster.messages import LoadReport

# A worker with traffic reports every second; this much later its silence is taken for silence.
REPORT_IS_LATE = 2.0
# What was in flight in a worker that told nothing for so long is gone with it.
SOURCE_IS_GONE = 10.0
SHORTEST_WINDOW = 1.0  # one bucket


class Source:
    """What one worker has told."""

    __slots__ = ("_busy", "_requests", "last")

    def __init__(self, first: LoadReport, longest: float) -> None:
        self._busy = Window(longest)
        self._requests = Window(longest)
        self.last = first

    def resize(self, longest: float) -> None:
        self._busy.resize(longest)
        self._requests.resize(longest)

    def record(self, report: LoadReport) -> None:
        self._busy.record(report.busy_seconds + report.rejected, report.at, report.span)
        self._requests.record(report.requests, report.at, report.span)
        self.last = report

    def means(self, window: float, now: float) -> tuple[float, float]:
        """Concurrency and requests per second."""
        news_is_on_its_way = not self.last.is_silent and now - self.last.at < REPORT_IS_LATE
        edge = min(now, self.last.at) if news_is_on_its_way else now
        return self._busy.mean(edge, window), self._requests.mean(edge, window)


class Load:
    """Means over windows of up to `longest` seconds, and what is in flight right now."""

    __slots__ = ("_expected", "_longest", "_sources", "last_activity")

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._sources: dict[str, Source] = {}
        self._expected = -math.inf
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
        if report.active_at is not None:
            self.last_activity = max(self.last_activity, report.active_at)
        elif not report.is_silent:
            self.last_activity = max(self.last_activity, report.at)
        self._expected = -math.inf

    def expect(self, now: float) -> None:
        """A request waits of which no report told yet: the service is busy until one comes."""
        self.last_activity = max(self.last_activity, now)
        self._expected = now

    def is_busy(self, now: float) -> bool:
        """Something is in flight or queued that keeps the service awake."""
        expected = now - self._expected < REPORT_IS_LATE
        return expected or any(report.keeping_awake for report in self._present(now))

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

    def means(self, window: float, now: float) -> Means:
        """Over the last `window` seconds, at least 1 s."""
        window = max(SHORTEST_WINDOW, window)
        busy = requests = 0.0
        for source in self._sources.values():
            of_one = source.means(window, now)
            busy, requests = busy + of_one[0], requests + of_one[1]
        return Means(window, busy, requests)

    def _present(self, now: float) -> list[LoadReport]:
        reports = [source.last for source in self._sources.values()]
        return [report for report in reports if now - report.at < SOURCE_IS_GONE]

    def _forget(self, now: float) -> None:
        """Workers whose last news no window reaches any more."""
        oldest = now - max(self._longest, SOURCE_IS_GONE) - REPORT_IS_LATE
        for name, source in list(self._sources.items()):
            if source.last.at < oldest:
                del self._sources[name]
