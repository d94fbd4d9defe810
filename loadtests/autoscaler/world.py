"""One service under a policy, second by second: the production code between made-up neighbours.

The gateway reports each second, replicas take `START` seconds until they are ready (or until their
start failed and another one begins), those that are not ready go first. The ideal is
ceil(load / target) at each moment.
"""

import math
from dataclasses import dataclass, field

from autoscaler.decision import Counts
from autoscaler.policy import Policy
from cluster.messages import LoadReport
from config.scaling import PolicyName, Scaling
from loadtests.autoscaler.shapes import TARGET, Shape

START = 5.0


@dataclass(slots=True)
class Tally:
    """`over` and `under` are replica-seconds; `waiting` the seconds with load and no replica."""

    actions: int = 0
    turns: int = 0  # changes that go against the one before
    over: float = 0.0
    under: float = 0.0
    waiting: float = 0.0
    numbers: list[int] = field(default_factory=list)


class World:
    def __init__(self, policy: Policy, shape: Shape) -> None:
        self.policy, self.shape = policy, shape
        self.tally = Tally()
        self._ready_at: list[float] = []
        self._shift = 0.0
        self._told = 0.0  # until when the load is reported
        self._last_change = 0

    def run(self) -> Tally:
        for second in range(self.shape.seconds):
            now = second + self._shift
            if self.shape.jump and second == self.shape.jump[0]:
                self._shift = self.shape.jump[1]
                self._told += self._shift
                self._ready_at = [at + self._shift for at in self._ready_at]
                now += self._shift
            self._live_one_second(now, self.shape.load(second), second)
        return self.tally

    def _live_one_second(self, now: float, load: float, second: int) -> None:
        if load and self.policy.is_asleep(now):
            self.policy.wake(self._counts(now), now)
            self._follow(now)
        if self._counts(now).ready:
            self.policy.serve(self._ready_at[0])
        end, look = now + 1.0, self.policy.next_look(now - 1e-9)
        while look < end:
            self.policy.decide(self._counts(look), look)
            self._follow(look)
            look = self.policy.next_look(look)
        self._count(load, end)
        if not any(start <= second < stop for start, stop in self.shape.silent):
            self._report(load, end)

    def _report(self, load: float, end: float) -> None:
        span = end - self._told
        self._told = end
        if load:
            there = max(1, round(load))
            # What finds no replica waits, as in the gateway.
            levels = (there, 0) if self._counts(end).ready else (0, there)
            self.policy.record(
                LoadReport("web", end, span, load * span, round(load * span), 0, *levels)
            )
        elif self.policy.load.is_busy(end):
            self.policy.record(LoadReport("web", end, span, 0.0, 0, 0, 0, 0))

    def _counts(self, now: float) -> Counts:
        if now - self._shift < self.shape.starts_work_at:
            return Counts(starting=len(self._ready_at))
        ready = sum(at <= now for at in self._ready_at)
        return Counts(ready, len(self._ready_at) - ready)

    def _follow(self, now: float) -> None:
        """As the reconciler does."""
        change = self.policy.replicas - len(self._ready_at)
        if not change:
            return
        self.tally.actions += 1
        self.tally.turns += change * self._last_change < 0
        self._last_change = change
        self.tally.numbers.append(self.policy.replicas)
        begins = max(now, self._shift + self.shape.starts_work_at)
        self._ready_at += [begins + START] * change
        self._ready_at = sorted(self._ready_at)[: self.policy.replicas]

    def _count(self, load: float, now: float) -> None:
        ideal, counts = math.ceil(load / TARGET), self._counts(now)
        self.tally.over += max(0, counts.present - ideal)
        self.tally.under += max(0, ideal - counts.ready)
        self.tally.waiting += bool(ideal) and not counts.ready


def judged(policy: PolicyName, shape: Shape, **changes: object) -> Tally:
    """A service with the defaults but for `changes`, and no maximum in the way."""
    rules = ({"metric": "concurrency", "target": TARGET},)
    given = {"policy": policy, "max": 1000, "rules": rules, **changes}
    return World(Policy(Scaling.model_validate(given)), shape).run()
