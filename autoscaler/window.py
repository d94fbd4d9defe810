"""What was seen lately: one-second buckets of a quantity, and the largest number of a while.

Pure. The gateway sees every request, so silence is zero and not missing data: a mean always
divides by its whole window, however young the series is. (Knative scrapes and may miss, so its
means divide by the age of the data.) A second that lies partly in the window counts in part.
"""

import math
from collections import deque
from itertools import islice

_BUCKET = 1.0  # seconds
_NOTHING = 1e-9  # what rounding leaves of nothing


class Window:
    """Sums of a quantity by second, for the last `length` seconds. Several writers add up.

    A mean costs as much for a minute as for six seconds: of a long window only what lies outside
    is summed. The total is summed anew now and then, so that rounding errors do not grow.
    """

    __slots__ = ("_buckets", "_capacity", "_left", "_newest", "_total")

    def __init__(self, length: float) -> None:
        self._newest = 0
        self._left = 0  # seconds until the total is summed anew
        self._total = 0.0
        self._buckets: deque[float] = deque()
        self.resize(length)

    def resize(self, length: float) -> None:
        """Remember a longer or shorter time; what still fits is kept."""
        # One bucket more at either end: both are cut by the window's edges.
        self._capacity = math.ceil(length) + 2
        self._buckets = deque(self._buckets, maxlen=self._capacity)
        self._sum_anew()

    def record(self, value: float, at: float, span: float) -> None:
        """Add what was gathered evenly over the `span` seconds that end at `at`."""
        last = math.floor(at)
        self._advance(last)
        start = at - max(0.0, span)
        first = math.floor(start)
        if first == last:
            self._add(last, value)
            return
        each = value / (at - start)
        for second in range(max(first, self._horizon()), last + 1):
            self._add(second, each * (min(at, second + _BUCKET) - max(start, second)))

    def mean(self, now: float, window: float) -> float:
        """Per second over the last `window` seconds, at least 1 s and at most `length`."""
        last = math.floor(now)
        return self._over(now - window, max(0, self._newest - last)) / window

    def two_means(self, now: float, long: float, short: float) -> tuple[float, float]:
        """Both at the price of little more than one."""
        newest = max(0, self._newest - math.floor(now))
        return self._over(now - long, newest) / long, self._over(now - short, newest) / short

    def _over(self, start: float, newest: int) -> float:
        """The sum from `start` to the end of bucket `newest`, counted back: 0 is the last one."""
        first = math.floor(start)
        buckets = self._buckets
        length = len(buckets)
        oldest = self._newest - first
        if oldest < 0 or newest >= length:
            return 0.0
        before = length - oldest - 1
        if before <= 0:
            total = self._total
        elif 2 * before <= length:
            total = self._total - sum(islice(buckets, before))
        else:
            total = sum(islice(reversed(buckets), newest, oldest + 1))
            newest = 0
        if newest:
            total -= sum(islice(reversed(buckets), newest))
        if before >= 0:
            total -= buckets[-1 - oldest] * (start - first)
        return total if total > _NOTHING else 0.0

    def __repr__(self) -> str:
        return f"<Window to {self._newest}: {list(islice(reversed(self._buckets), 10))}>"

    def _horizon(self) -> int:
        """The oldest second that fits."""
        return self._newest - self._capacity + 1

    def _advance(self, second: int) -> None:
        buckets = self._buckets
        if not buckets:
            self._newest = second - 1
        for _ in range(min(second - self._newest, self._capacity)):
            if len(buckets) == self._capacity:
                self._total -= buckets[0]
                self._left -= 1
            buckets.append(0.0)
        self._newest = max(self._newest, second)
        if self._left < 0:
            self._sum_anew()

    def _add(self, second: int, value: float) -> None:
        if second < self._horizon():
            return
        while second <= self._newest - len(self._buckets):
            self._buckets.appendleft(0.0)
        self._buckets[second - self._newest - 1] += value
        self._total += value

    def _sum_anew(self) -> None:
        self._total, self._left = math.fsum(self._buckets), self._capacity


class SlidingMax:
    """The largest number recorded in the last `length` seconds.

    It keeps a falling run of numbers, so whole numbers up to n take at most n + 1 places.
    """

    __slots__ = ("_falling", "_length")

    def __init__(self, length: float) -> None:
        self._length = length
        self._falling: deque[tuple[float, int]] = deque()

    def resize(self, length: float) -> None:
        self._length = length

    def record(self, number: int, now: float) -> int:
        """Add one and return the largest."""
        while self._falling and self._falling[-1][1] <= number:
            self._falling.pop()
        self._falling.append((now, number))
        while len(self._falling) > 1 and self._falling[0][0] <= now - self._length:
            self._falling.popleft()
        return self._falling[0][1]
