"""Minutes: the seconds of a service folded by how busy each replica was.

Pure. How long requests take depends on how many a replica has at once; so a minute has one row for
each level of that, each twice the one below, and the rows of many minutes can be added up.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from recording.histogram import Counts, add
from recording.seconds import MICRO, Second

MINUTE = 60
SETTLED = 10  # seconds after which all of a minute was written
MOST_WAITING = 10  # minutes that wait for a file that cannot be written

Key = tuple[int, str, int]  # the minute's begin, the service, the level


@dataclass(slots=True)
class Span:
    """The sums of Second; `seconds` of them, and `replicas` in all of these."""

    seconds: int = 0
    requests: int = 0
    rejected: int = 0
    failures: int = 0
    busy: int = 0
    in_flight: int = 0
    replicas: int = 0
    request_bytes: int = 0
    answer_bytes: int = 0
    histograms: dict[str, Counts] = field(default_factory=dict)

    def add(self, more: "Second | Span") -> None:
        self.seconds += more.seconds if isinstance(more, Span) else 1
        self.requests += more.requests
        self.rejected += more.rejected
        self.failures += more.failures
        self.busy += more.busy
        self.in_flight += more.in_flight
        self.replicas += more.replicas
        self.request_bytes += more.request_bytes
        self.answer_bytes += more.answer_bytes
        for name, counts in more.histograms.items():
            add(self.histograms.setdefault(name, {}), counts)


class Spans:
    """Minutes that are not written yet."""

    def __init__(self) -> None:
        self._open: dict[Key, Span] = {}

    @property
    def is_empty(self) -> bool:
        return not self._open

    def fold(self, seconds: Iterable[tuple[int, str, Second]]) -> None:
        for at, service, second in seconds:
            key = at // MINUTE * MINUTE, service, level(second.in_flight / MICRO, second.replicas)
            span = self._open.get(key)
            if span is None:
                span = self._open[key] = Span()
            span.add(second)

    def ended(self, now: float) -> dict[Key, Span]:
        """Those of which nothing more will be heard; all when `now` is infinite."""
        before = now - MINUTE - SETTLED
        return {key: span for key, span in self._open.items() if key[0] <= before}

    def written(self, keys: Iterable[Key]) -> None:
        for key in list(keys):
            del self._open[key]

    def shed(self, now: float) -> int:
        """Forget what has waited for too long; how many seconds that were."""
        oldest = now - (MOST_WAITING + 1) * MINUTE
        late = [key for key in self._open if key[0] < oldest]
        lost = sum(self._open[key].seconds for key in late)
        self.written(late)
        return lost


def level(in_flight: float, replicas: int) -> int:
    """0 for up to one request at once in each replica, 1 for up to 2, 2 for up to 4, and so on."""
    each = math.ceil(in_flight / max(1, replicas) - 1e-9)
    return max(0, each - 1).bit_length()
