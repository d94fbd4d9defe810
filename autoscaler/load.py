"""The load of one service, put together from the reports of all gateway workers.

Pure. A request that was rejected was demand too: it counts as one request-second. A worker that
is busy reports about once a second; the seconds since its last report are late news, not silence,
so means end where the news ends.
"""

import math

from autoscaler.rules import Means
from autoscaler.window import Window
from cluster.messages import LoadReport

# A busy worker reports every second; this much later its silence is taken for silence.
REPORT_IS_LATE = 2.0
# For so long nothing is concluded from a silence that came while there was something in flight.
SILENCE_IS_NEWS = 60.0
# What was in flight in a worker that told nothing for so long is gone with it.
SOURCE_IS_GONE = 10.0
SHORTEST_WINDOW = 1.0  # one bucket


class Load:
    """Means over windows of up to `longest` seconds, and what is in flight right now."""

    __slots__ = (
        "_busy",
        "_busy_sources",
        "_edge",
        "_expected",
        "_first",
        "_last_busy",
        "_requests",
        "last_activity",
    )

    def __init__(self, longest: float) -> None:
        self._busy = Window(longest)
        self._requests = Window(longest)
        self._busy_sources: dict[str, LoadReport] = {}
        self._last_busy: dict[str, float] = {}
        self._edge = -math.inf
        self._first = math.inf
        self._expected = -math.inf
        self.last_activity = -math.inf  # loop time

    def resize(self, longest: float) -> None:
        self._busy.resize(longest)
        self._requests.resize(longest)

    def record(self, report: LoadReport) -> None:
        self._busy.record(report.busy_seconds + report.rejected, report.at, report.span)
        self._requests.record(report.requests, report.at, report.span)
        self._edge = max(self._edge, report.at)
        self._first = min(self._first, report.at - report.span)
        self._note_source(report)
        if _is_busy(report) or report.requests or report.rejected or report.busy_seconds:
            self.last_activity = max(self.last_activity, report.at)
        self._expected = -math.inf

    def expect(self, now: float) -> None:
        """A request waits of which no report told yet: the service is busy until one comes."""
        self.last_activity = max(self.last_activity, now)
        self._expected = now

    def is_busy(self, now: float) -> bool:
        """Something is in flight or queued."""
        if now - self._expected < REPORT_IS_LATE:
            return True
        for report in self._busy_sources.values():  # noqa: SIM110 (asked all the time)
            if now - report.at < SOURCE_IS_GONE:
                return True
        return False

    def in_flight(self, now: float) -> int:
        return sum(report.in_flight for report in self._present(now))

    def queued(self, now: float) -> int:
        return sum(report.queued for report in self._present(now))

    def means(self, window: float, now: float, *, by_age: bool = False) -> Means:
        """Over the last `window` seconds, at least 1 s; `by_age`: no longer than there was news."""
        edge = self._edge_of_news(now)
        window = min(window, edge - self._first) if by_age else window
        window = max(SHORTEST_WINDOW, window)
        return Means(window, self._busy.mean(edge, window), self._requests.mean(edge, window))

    def of_one(self, metric: str, windows: tuple[float, float], now: float) -> tuple[float, float]:
        """Both means of one metric alone, `concurrency` or `rps`; windows of at least 1 s."""
        edge, (long, short) = self._edge_of_news(now), windows
        kept = self._requests if metric == "rps" else self._busy
        return kept.mean(edge, long), kept.mean(edge, short)

    def is_known_busy(self, now: float) -> bool:
        """Busy, and no gateway that was busy is late with its news."""
        for at in self._last_busy.values():
            if now - at >= REPORT_IS_LATE:
                return False
        return bool(self._last_busy)

    def is_blind(self, now: float) -> bool:
        """A gateway that was busy has told nothing for a while: what there is now is not known."""
        for at in self._last_busy.values():  # noqa: SIM110 (asked all the time)
            if REPORT_IS_LATE <= now - at < SILENCE_IS_NEWS:
                return True
        return False

    def _note_source(self, report: LoadReport) -> None:
        present = {known.source: known for known in self._present(report.at)}
        present.pop(report.source, None)
        self._last_busy.pop(report.source, None)
        if _is_busy(report):
            present[report.source] = report
            self._last_busy[report.source] = report.at
            self._forget_silent(report.at)
        self._busy_sources = present

    def _forget_silent(self, now: float) -> None:
        gone = [name for name, at in self._last_busy.items() if now - at >= SILENCE_IS_NEWS]
        for name in gone:
            del self._last_busy[name]

    def _present(self, now: float) -> list[LoadReport]:
        known = self._busy_sources.values()
        return [report for report in known if now - report.at < SOURCE_IS_GONE]

    def _edge_of_news(self, now: float) -> float:
        """Where means end: what happened since the last report is not told yet."""
        if not 0 < now - self._edge < REPORT_IS_LATE:
            return now
        return self._edge if self._present(now) else now


def _is_busy(report: LoadReport) -> bool:
    return report.in_flight + report.queued > 0
