"""How long to wait before the next start after starts or replicas failed.

Pure. 1 s, doubled with each failure up to 60 s, forgotten after 10 minutes without one
(Kubernetes' crash-loop back-off begins at 10 s; the curve is the same).
"""

from dataclasses import dataclass

FIRST = 1.0
LONGEST = 60.0
FORGET_AFTER = 600.0
PROVEN_AFTER = 10.0
KILLED_AT_ONCE = 1.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """`failures` in a row; the next start is due at `until` (loop time, seconds)."""

    failures: int = 0
    until: float = 0.0
    last: float = 0.0

    def failed(self, served_for: float, now: float) -> "Backoff":
        """After one more failure of a replica that had been ready for `served_for` seconds.

        The first loss of a replica that had proved itself is made good at once.
        """
        forgotten = now - self.last >= FORGET_AFTER
        failures = 1 if forgotten else self.failures + 1
        if failures == 1 and served_for >= PROVEN_AFTER:
            return Backoff(1, now, now)
        delay = min(LONGEST, FIRST * 2.0 ** min(failures - 1, 10))
        return Backoff(failures, max(self.until, now + delay), now)

    def killed(self, served_for: float, now: float) -> "Backoff":
        """After somebody else killed a replica: that says nothing about the next one, unless it
        goes on as soon as one is ready."""
        return self.failed(served_for, now) if served_for < KILLED_AT_ONCE else self

    def remaining(self, now: float) -> float:
        return max(0.0, self.until - now)
