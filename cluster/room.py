"""Whether there is room on the host for more replicas, and who makes room for them.

Pure. Sizes are bytes. Only what is idle makes room: the lowest priority first, then whoever has
been idle for longest, never one of a higher priority than the service that needs it, and nobody in
vain: without use for the one who asks, all stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# Seconds without any use before a service is put to sleep for another one. The last report of its
# requests may be a second old, and whoever was just used is likely to be used again.
IDLE_FOR = 2.0


@dataclass(frozen=True, slots=True)
class Need:
    """`count` more replicas of a service, of so many bytes each."""

    service: str
    each: int
    count: int
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Idle:
    """A service that may be put to sleep. `since` (loop time): when it was in use last."""

    service: str
    size: int
    since: float
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """So many fit now; these are to be put to sleep for the others; after so many `seconds` there
    may be more of them. `coming` replicas fit as soon as those have left."""

    fits: int
    stop: tuple[str, ...] = ()
    coming: int = 0
    seconds: float | None = None

    @property
    def is_hopeless(self) -> bool:
        """Waiting for those who do not fit would not help."""
        return not self.coming and self.seconds is None


def judge(need: Need, free: int, leaving: int, idle: Sequence[Idle], now: float) -> Verdict:
    """`free` may be less than nothing; `leaving` is what those hold that are being stopped."""
    fits = min(need.count, max(0, free // need.each))
    missing = need.count - fits
    if not missing:
        return Verdict(fits)
    rest = free - fits * need.each + leaving
    others = sorted(
        (one for one in idle if one.service != need.service and one.priority <= need.priority),
        key=lambda one: (one.priority, one.since),
    )
    ripe = [one for one in others if now - one.since >= IDLE_FOR]
    best = _reached(need, missing, rest, ripe)
    chosen = _fewest(need, missing, rest, ripe, best)
    young = [one.since + IDLE_FOR - now for one in others if one not in ripe]
    may_get_better = young and _reached(need, missing, rest, others) > best
    return Verdict(
        fits,
        tuple(one.service for one in chosen),
        best,
        min(young) if may_get_better else None,
    )


def _reached(need: Need, missing: int, rest: int, going: Sequence[Idle]) -> int:
    """How many of those that are missing would fit."""
    return min(missing, max(0, (rest + sum(one.size for one in going)) // need.each))


def _fewest(need: Need, missing: int, rest: int, ripe: Sequence[Idle], best: int) -> list[Idle]:
    """As many as it takes, in their order; then without those that it can do without."""
    chosen: list[Idle] = []
    for one in ripe:
        if _reached(need, missing, rest, chosen) == best:
            break
        chosen.append(one)
    for one in tuple(chosen):
        others = [other for other in chosen if other is not one]
        if _reached(need, missing, rest, others) == best:
            chosen = others
    return chosen
