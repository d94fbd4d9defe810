"""Whether a replica that fails its liveness may be taken out now.

Pure. One that fails alone goes at once. Where most replicas of a service fail at the same time, the
fault is likelier in what they share than in each of them, and to replace them all would make an
outage of it: then they keep serving, and one goes at a time, after its predecessor was replaced
and after a pause that doubles. A replacement that turns out to live ends the pause: to replace
helps.
"""

from dataclasses import dataclass

COMMON_SHARE = 0.5
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 300.0
FORGET_AFTER = 600.0


@dataclass(frozen=True, slots=True)
class Ward:
    """The replicas of one service: how many are watched, how many of them failed the last time
    they were asked, how many nobody has evicted, and how many are wanted."""

    watched: int
    failing: int
    settled: int
    wanted: int

    @property
    def is_common(self) -> bool:
        """A single replica that fails is most of its service too."""
        return self.failing > COMMON_SHARE * self.watched


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now. `seconds` is the least time to wait, 0 where that depends on others."""

    why: str
    seconds: float = 0.0


@dataclass(slots=True)
class Guard:
    """What is known of the evictions of one service. Times are loop time, seconds."""

    last: float = float("-inf")
    pause: float = 0.0
    whole: int = 0  # replicas before the last eviction

    def hold(self, ward: Ward, now: float) -> Hold | None:
        """Why nobody may be evicted now; None: go ahead."""
        if not ward.is_common:
            return None
        # Every other rule would end here with a service that kills itself: what cannot be
        # replaced is better than nothing.
        if ward.settled < min(self.whole, ward.wanted):
            return Hold("the one before it is not replaced yet")
        left = self.last + self.pause - now
        return (
            Hold(f"the next one goes in {left:.0f} s at the earliest", left) if left > 0 else None
        )

    def evicted(self, ward: Ward, now: float) -> None:
        forgotten = now - self.last >= FORGET_AFTER
        former = 0.0 if forgotten else self.pause
        self.pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * former))
        self.last = now
        self.whole = ward.settled

    def lives(self, began: float) -> None:
        """A replica that began at that time passes its liveness."""
        if began > self.last:
            self.pause = 0.0
