"""Starts that the engine missed, because it was away: no fault of the service.

Pure. Each is tried again on its own, at growing and uneven pauses; when the engine is back all of
them are, one after the other, so that it is not run over. An engine that is away for a moment (it
is restarted) is no trouble that a waiting request needs to hear of; one that never answered is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

FIRST = 0.5
LONGEST = 5.0
PATIENCE = 10.0  # seconds that requests wait for an engine that is away
APART = 0.02  # seconds between the services that are tried again when it is back


@dataclass(frozen=True, slots=True)
class Miss:
    """`count` in a row since `since`; the next try is due at `until` (loop time, seconds)."""

    count: int
    since: float
    until: float


class Missed:
    """By service. `jitter` is what each pause is multiplied with, about 1."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._away_since: float | None = -math.inf
        self._misses: dict[str, Miss] = {}

    def add(self, service: str, now: float) -> Miss:
        """One more start of that service was missed."""
        former = self._misses.get(service)
        count = former.count + 1 if former else 1
        pause = min(LONGEST, FIRST * 2.0 ** min(count - 1, 10)) * self._jitter()
        miss = Miss(count, former.since if former else now, now + pause)
        self._misses[service] = miss
        return miss

    def wait(self, service: str, now: float) -> float:
        """Seconds until its next try; 0 is now."""
        miss = self._misses.get(service)
        return max(0.0, miss.until - now) if miss else 0.0

    def forget(self, service: str) -> None:
        self._misses.pop(service, None)

    def lasts(self, service: str, now: float) -> bool:
        """Whether those who wait should be told."""
        miss = self._misses.get(service)
        since = self._away_since if self._away_since is not None else miss.since if miss else now
        return now - since >= PATIENCE

    def went_away(self, now: float) -> None:
        if self._away_since is None:
            self._away_since = now

    def came_back(self, now: float) -> tuple[float, list[str]] | None:
        """Since when it was away, and the services to try again; None when it was not away."""
        since, self._away_since = self._away_since, None
        if since is None:
            return None
        longest_first = sorted(self._misses, key=lambda service: self._misses[service].since)
        for place, service in enumerate(longest_first):
            former = self._misses[service]
            self._misses[service] = Miss(0, now, min(former.until, now + place * APART))
        return since, longest_first
