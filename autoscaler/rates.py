"""How far a number may go one way in a period: the scaling policies of a HorizontalPodAutoscaler.

Pure. Limits are relative to the replicas that there were at the period's start, which is what there
is now without the changes since (kubernetes pkg/controller/podautoscaler/horizontal.go,
calculateScaleUpLimitWithScalingRules, calculateScaleDownLimitWithBehaviors,
getReplicasChangePerPeriod). A share is rounded away from the start, so that one can always move.
It is reckoned in whole numbers: HPA's own floating point allows 56 from 50 at 10 %.
"""

from collections import deque

from config.scaling import Step, Way


class Changes:
    """What was added and taken away lately, as far back as the longest period of the ways."""

    __slots__ = ("_changes", "_reach")

    def __init__(self, *ways: Way) -> None:
        self._changes: deque[tuple[float, int]] = deque()
        self.configure(*ways)

    def configure(self, *ways: Way) -> None:
        self._reach = max((step.period for way in ways for step in way.policies), default=0.0)

    def note(self, before: int, after: int, now: float) -> None:
        if before != after and self._reach:
            self._changes.append((now, after - before))
        while self._changes and self._changes[0][0] <= now - self._reach:
            self._changes.popleft()

    def within(self, period: float, now: float) -> int:
        """The sum of the changes of the last `period` seconds; less than 0: more went than came."""
        return sum(change for at, change in self._changes if at > now - period)


def highest(way: Way, current: int, changes: Changes, now: float) -> int | None:
    """How many replicas `way` allows on the way up, at least `current`. None: no limit."""
    if way.select == "disabled":
        return current
    if not way.policies:
        return None
    choose = max if way.select == "max" else min
    starts = ((step, current - changes.within(step.period, now)) for step in way.policies)
    return max(current, choose(_raised(step, start) for step, start in starts))


def lowest(way: Way, current: int, changes: Changes, now: float) -> int | None:
    """How few replicas `way` allows on the way down, at most `current`. None: no limit."""
    if way.select == "disabled":
        return current
    if not way.policies:
        return None
    # The widest change down is the smallest number.
    choose = min if way.select == "max" else max
    starts = ((step, current - changes.within(step.period, now)) for step in way.policies)
    return min(current, choose(_lowered(step, start) for step, start in starts))


def _raised(step: Step, start: int) -> int:
    if step.replicas is not None:
        return start + step.replicas
    return -(-start * (100 + (step.percent or 0)) // 100)


def _lowered(step: Step, start: int) -> int:
    if step.replicas is not None:
        return start - step.replicas
    # Towards zero, as Go converts: more than 100 percent is everything.
    return max(0, start) * max(0, 100 - (step.percent or 0)) // 100
