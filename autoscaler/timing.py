"""The rules of one service about times, with what they need: histograms, trials, what was learned.

Pure. Made only for services that have such a rule; the others pay nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

from autoscaler.gauges import Gauge
from autoscaler.learned import Learned
from autoscaler.load import Load
from autoscaler.objective import Objective
from autoscaler.queueing import Queueing
from autoscaler.sight import Counted, Sight, Trial, counted, demand, growth
from autoscaler.times import Times
from cluster.messages import LoadReport
from config.rules import LatencyRule, MetricRule, QueueWaitRule
from config.scaling import Scaling

Memory = Mapping[LatencyRule, Learned]
NOTHING_LEARNED: Memory = {}
# Requests that were sent before a trial may be answered for so many seconds.
_SETTLES = (1.0, 10.0)


class Timing:
    """Windows are those of the service."""

    __slots__ = ("_edge", "_latencies", "_rules", "_scaling", "_service_times", "_trial", "_waits")

    def __init__(self, scaling: Scaling, memory: Memory) -> None:
        self._latencies, self._service_times, self._waits = (Times(60.0) for _ in range(3))
        self._trial = Trial()
        self._edge = -math.inf
        self._rules: dict[MetricRule, Objective | Queueing] = {}
        self.configure(scaling)
        for rule, learned in memory.items():
            objective = self._rules.get(rule)
            if isinstance(objective, Objective):
                objective.relearn(learned)

    @classmethod
    def of(cls, scaling: Scaling, memory: Memory = NOTHING_LEARNED) -> Self | None:
        """None: no rule is about times."""
        return cls(scaling, memory) if scaling.is_timed else None

    def configure(self, scaling: Scaling) -> None:
        """What rules that stay have learned is kept."""
        self._scaling = scaling
        former, self._rules = self._rules, {}
        for rule in scaling.metric_rules:
            if isinstance(rule, LatencyRule):
                self._rules[rule] = former.get(rule) or Objective(rule)
            elif isinstance(rule, QueueWaitRule):
                self._rules[rule] = former.get(rule) or Queueing(rule)
        for times in (self._latencies, self._service_times, self._waits):
            times.resize(max(scaling.stable_window, scaling.panic_window))

    def record(self, report: LoadReport) -> None:
        self._edge = max(self._edge, report.at)
        self._latencies.record(report.latencies, report.at)
        self._service_times.record(report.service_times, report.at)
        self._waits.record(report.waits, report.at)

    def relearn(self) -> None:
        """Another revision serves: nothing that was learned holds for it."""
        self._trial = Trial()
        for one in self._rules.values():
            if isinstance(one, Objective):
                one.relearn()
            else:
                one.bears = math.inf

    @property
    def memory(self) -> Memory:
        """What is worth keeping while the service sleeps."""
        return {
            rule: one.learned
            for rule, one in self._rules.items()
            if isinstance(one, Objective) and isinstance(rule, LatencyRule) and one.learned.good
        }

    def gauges(self, load: Load, ready: int, desired: int, now: float) -> dict[MetricRule, Gauge]:
        self._trial.follow(ready, self._settles, now)
        gauges: dict[MetricRule, Gauge] = {}
        for rule, one in self._rules.items():
            if isinstance(one, Objective):
                seen = self._sight(load, self._latencies, ready, desired, now)
                gauges[rule] = one.look(seen, now)
                if seen.is_catching_up:
                    self._trial.again(now)
            else:
                served = self._counted(self._service_times, self._scaling.panic_window, now).mean
                seen = self._sight(load, self._waits, ready, desired, now)
                gauges[rule] = one.look(replace(seen, service_time=served))
        return gauges

    def _sight(self, load: Load, times: Times, ready: int, desired: int, now: float) -> Sight:
        stable, panic = self._scaling.stable_window, self._scaling.panic_window
        slow = self._counted(times, stable, now)
        lately_seen = min(slow.seconds, 2 * panic)
        lately, wanted = load.means(stable, now), demand(load, stable, panic, now)
        means = load.means(max(slow.seconds, _SETTLES[0]), now)
        return Sight(
            ready=ready,
            desired=desired,
            demand=wanted,
            load=means.rps,
            rate=means.rps,
            concurrency=means.concurrency,
            growth=growth(load, lately_seen, now),
            grown_over=lately_seen,
            fast=self._counted(times, panic, now),
            slow=slow,
            stable_window=stable,
            may_catch_up=self._trial.may_catch_up(now),
            is_rising=wanted > 1.03 * lately.rps,
        )

    def _counted(self, times: Times, window: float, now: float) -> Counted:
        return counted(times, self._trial.since, window, min(self._edge, now))

    @property
    def _settles(self) -> float:
        """Seconds; longer where answers may be."""
        targets = [one.rule.target for one in self._rules.values() if isinstance(one, Objective)]
        return min(_SETTLES[1], max([_SETTLES[0], *targets]))
