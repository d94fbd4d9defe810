"""The operator's hand: a number of replicas that wins over every rule.

Pure. It is for good or for a while. It may be zero, and zero by hand means off: no request wakes
the service until the override ends, as a Deployment scaled to zero stays there. It may be below
`min` (the operator knows) but never above `max`, or what a schedule raises it to. What is asked by
hand never freezes or idles.
"""

import math
from dataclasses import dataclass

from config.scaling import Scaling
from config.units import format_duration


@dataclass(frozen=True, slots=True)
class Override:
    """`until` is loop time; infinity is until the operator ends it."""

    replicas: int
    until: float = math.inf

    def has_expired(self, now: float) -> bool:
        return now >= self.until

    def reason(self, now: float) -> str:
        if self.until == math.inf:
            return f"{self.replicas} by hand"
        left = format_duration(max(1, math.ceil(self.until - now)))
        return f"{self.replicas} by hand for another {left}"


def override(replicas: int, duration: float | None, scaling: Scaling, now: float) -> Override:
    """For `duration` seconds, None for good. Raises ValueError with words for the operator."""
    most = most_by_hand(scaling)
    if not 0 <= replicas <= most:
        whose = "scaling.max" if most == scaling.max else "the largest max of scaling.rules"
        raise ValueError(f"replicas must be between 0 and {whose} ({most}), got {replicas}")
    if duration is None:
        return Override(replicas)
    if not duration > 0:
        raise ValueError(f"the duration must be longer than 0, got {duration:g}")
    return Override(replicas, now + duration)


def most_by_hand(scaling: Scaling) -> int:
    """What the file allows at some time of the week."""
    raised = [max(rule.max or 0, rule.replicas or 0) for rule in scaling.schedules]
    return max(scaling.max, *raised, 0)
