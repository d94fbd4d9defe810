"""How long to wait before the next start after starts or replicas failed.

Pure. 1 s, doubled with each failure up to 60 s, forgotten after 10 minutes without one
(Kubernetes' crash-loop back-off begins at 10 s; the curve is the same).
"""

from dataclasses import dataclass, replace

FIRST = 1.0
LONGEST = 60.0
FORGET_AFTER = 600.0
PROVEN_AFTER = 10.0
# Proven replicas that are lost within a second are lost to one cause, which is none of theirs.
ONE_INCIDENT = 1.0
# Ready replicas that somebody kills from outside are no crash loop; but whoever kills that many, at
# more than so many a second, does not want them to come back at once.
KILLS_MADE_GOOD = 20.0
KILLS_FORGOTTEN = 2.0  # per second


@dataclass(frozen=True, slots=True)
class Backoff:
    """`failures` in a row; the next start is due at `until` (loop time, seconds)."""

    failures: int = 0
    until: float = 0.0
    last: float = 0.0
    kills: float = 0.0
    killed_at: float = 0.0

    def failed(self, served_for: float, now: float) -> "Backoff":
        """After one more failure of a replica that had been ready for `served_for` seconds.

        The first loss of replicas that had proved themselves is made good at once.
        """
        quiet = now - self.last
        failures = 1 if quiet >= FORGET_AFTER else self.failures + 1
        was_made_good = self.failures == 1 and self.until <= self.last
        if served_for >= PROVEN_AFTER and (
            failures == 1 or (was_made_good and quiet < ONE_INCIDENT)
        ):
            return replace(self, failures=1, until=now, last=now)
        delay = min(LONGEST, FIRST * 2.0 ** min(failures - 1, 10))
        return replace(self, failures=failures, until=max(self.until, now + delay), last=now)

    def killed(self, served_for: float, now: float) -> "Backoff":
        """After a replica that had been ready was killed from outside: that says nothing of it."""
        kills = max(0.0, self.kills - KILLS_FORGOTTEN * (now - self.killed_at)) + 1
        after = self if kills <= KILLS_MADE_GOOD else self.failed(served_for, now)
        return replace(after, kills=min(kills, KILLS_MADE_GOOD), killed_at=now)

    def remaining(self, now: float) -> float:
        return max(0.0, self.until - now)
