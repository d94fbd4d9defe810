"""Which replica does clearly worse than its siblings: more failures, or slower.

Pure; one Comparison for each service that asks for it, fed with what gateways tell once a second.
What all do alike is no replica's fault (a dependency, a deliberate 500): none is judged by itself.

- it fails too often: at least `error_rate` of its requests, and more often than at least half of
  its siblings, by three standard errors (Envoy's success rate rule asks for 1.9 deviations from the
  mean of at least five hosts; in pairs it holds from two replicas on);
- it is slow: the median of its times is over `slow` times that of most siblings, and 50 ms more.
  That takes two siblings, else nobody knows which of the two times is the usual one.

Replicas of which too little was seen neither are judged nor judge others.
"""

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from cluster.buckets import percentile
from cluster.messages import Served
from config.service import Outliers

STANDARD_ERRORS = 3.0
SLOWER_BY = 0.05  # seconds; below that it is noise, or nobody's concern
SIBLINGS = 2  # least number to tell the usual time by


@dataclass(frozen=True, slots=True)
class Deviation:
    """`why` in words that fit behind the replica's name."""

    replica: str
    excess: float  # times what would do; the largest goes first
    why: str


@dataclass(slots=True)
class Sum:
    """What one replica did in the window. Not every request has a time, nor every time an end."""

    requests: int = 0
    failures: int = 0
    times: Counter[int] = field(default_factory=Counter)

    def add(self, served: Served) -> None:
        self.requests += served.answers + served.failures
        self.failures += served.failures
        self.times.update(dict(served.times))

    @property
    def rate(self) -> float:
        return self.failures / self.requests if self.requests else 0.0


@dataclass(slots=True)
class Comparison:
    """The last reports of one service."""

    _past: dict[str, deque[tuple[float, Served]]] = field(default_factory=dict)

    def record(self, served: Iterable[Served], at: float) -> None:
        for one in served:
            self._past.setdefault(one.replica, deque()).append((at, one))

    def forget(self, replica: str) -> None:
        """What it did is over: it is or was ejected."""
        self._past.pop(replica, None)

    def keep(self, known: Collection[str]) -> None:
        for replica in self._past.keys() - set(known):
            del self._past[replica]

    @property
    def is_empty(self) -> bool:
        return not self._past

    def worst(
        self, serving: Collection[str], grown: Collection[str], limits: Outliers, now: float
    ) -> Deviation | None:
        """Among those `serving`; only those `grown` can be slow: the others are still warming."""
        sums = {
            replica: total
            for replica, total in self._sums(now - limits.window).items()
            if replica in serving
        }
        found = [*failing(sums, limits), *slow(sums, grown, limits)]
        return max(found, key=lambda deviation: deviation.excess, default=None)

    def _sums(self, since: float) -> dict[str, Sum]:
        sums = {}
        for replica, past in tuple(self._past.items()):
            while past and past[0][0] <= since:
                past.popleft()
            if not past:
                del self._past[replica]
                continue
            total = sums[replica] = Sum()
            for _, served in past:
                total.add(served)
        return sums


def failing(sums: dict[str, Sum], limits: Outliers) -> list[Deviation]:
    """Those whose requests fail far more often than their siblings'."""
    if limits.error_rate is None:
        return []
    seen = {name: one for name, one in sums.items() if one.requests >= limits.min_requests}
    found = []
    for name, one in seen.items():
        siblings = [other for sibling, other in seen.items() if sibling != name]
        if one.rate >= limits.error_rate and stands_out(one, siblings):
            found.append(Deviation(name, one.rate / limits.error_rate, _failing(one, siblings)))
    return found


def stands_out(one: Sum, siblings: Sequence[Sum]) -> bool:
    """It fails more than at least half of them do, and not by chance."""
    worse = sum(fails_more(one, sibling) for sibling in siblings)
    return bool(siblings) and 2 * worse >= len(siblings)


def fails_more(one: Sum, other: Sum) -> bool:
    """The difference of two shares, in standard errors of it."""
    pooled = (one.failures + other.failures) / (one.requests + other.requests)
    error = math.sqrt(pooled * (1 - pooled) * (1 / one.requests + 1 / other.requests))
    return one.rate - other.rate >= STANDARD_ERRORS * error > 0.0


def slow(sums: dict[str, Sum], grown: Collection[str], limits: Outliers) -> list[Deviation]:
    """Those that take far longer to begin an answer than their siblings."""
    if limits.slow is None:
        return []
    medians = {
        name: median
        for name, one in sums.items()
        if one.times.total() >= limits.min_requests
        and (median := percentile(one.times, 50)) is not None
    }
    found = []
    for name in medians.keys() & set(grown):
        usual = usual_time([median for sibling, median in medians.items() if sibling != name])
        if usual is not None and is_slow(medians[name], usual, limits.slow):
            excess = medians[name] / max(usual * limits.slow, SLOWER_BY)
            found.append(Deviation(name, excess, _slow(medians[name], usual)))
    return sorted(found, key=lambda deviation: deviation.replica)


def usual_time(siblings: Sequence[float]) -> float | None:
    """What at least half of the siblings keep to; None when too few are known."""
    if len(siblings) < SIBLINGS:
        return None
    return sorted(siblings)[len(siblings) // 2]


def is_slow(median: float, usual: float, times: float) -> bool:
    return median > times * usual and median - usual >= SLOWER_BY


def _failing(one: Sum, siblings: Sequence[Sum]) -> str:
    failures, requests = sum(s.failures for s in siblings), sum(s.requests for s in siblings)
    return (
        f"{one.failures} of its {one.requests} requests failed, "
        f"{failures} of {requests} of its siblings'"
    )


def _slow(median: float, usual: float) -> str:
    return (
        f"its answers begin after {_time(median)} (median), those of its siblings "
        f"after {_time(usual)}"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
