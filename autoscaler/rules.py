"""What each rule wishes, given what was measured. The largest wish wins.

Pure. A wish is absolute (load divided by target), so replicas that are still starting never make
it climb in steps.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from autoscaler.gauges import UNKNOWN, Gauge
from config.rules import (
    AskingRule,
    ConcurrencyRule,
    CpuRule,
    CustomRule,
    JsonRule,
    LatencyRule,
    MemoryRule,
    MetricRule,
    PrometheusRule,
    QueueWaitRule,
    RedisRule,
    RpsRule,
)
from config.units import format_duration, format_ratio


@dataclass(frozen=True, slots=True)
class Means:
    """Means over one window: requests in flight or queued, and requests a second."""

    window: float
    concurrency: float = 0.0
    rps: float = 0.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What one rule asks for, `measured` over `window` seconds.

    `is_load`: it is measured by target, as load is. `is_known`: there was anything measured.
    """

    rule: str
    window: float
    measured: float
    target: float
    replicas: int
    says: str = ""
    is_load: bool = True
    is_known: bool = True

    @property
    def reason(self) -> str:
        if self.says:
            return f"{self.rule} {self.says}"
        if self.rule == NO_RULE.rule:
            return "no rule asks for more"
        return (
            f"{self.rule} {_shown(self.measured)}{_over(self.window)}"
            f" at {self.target:g} per replica asks for {self.replicas}"
        )


NO_RULE = Wish("none", 0.0, 0.0, 0.0, 0)
_LARGEST = 1e9
_NO_GAUGES: Mapping[MetricRule, Gauge] = {}


def wishes(
    rules: Sequence[MetricRule],
    means: Means,
    gauges: Mapping[MetricRule, Gauge] = _NO_GAUGES,
    desired: int = 0,
) -> tuple[Wish, ...]:
    """One wish per rule, in the order of the rules. A rule without data wishes what is `desired`
    already, so that nothing goes down for want of it."""
    return tuple(_wish(rule, means, gauges.get(rule, UNKNOWN), desired) for rule in rules)


def largest(wishes: Sequence[Wish]) -> Wish:
    """The winner; of equals the first."""
    return max(wishes, key=lambda wish: wish.replicas, default=NO_RULE)


def tolerant(wish: Wish, present: int, more: float, less: float) -> Wish:
    """The present number, when the load is so near to what as many are for: by ratios of `more`
    above and `less` below it. (kubernetes replica_calculator.go, isWithin.)"""
    if not (present and wish.is_load and wish.target):
        return wish
    ratio = wish.measured / (wish.target * present)
    if wish.replicas == present or not 1 - less <= ratio <= 1 + more:
        return wish
    near = more if ratio > 1 else less
    load = f"{_shown(wish.measured)}{_over(wish.window)} at {wish.target:g} per replica"
    says = f"{load} is within {format_ratio(near)} of what {present} are for"
    return replace(wish, replicas=present, says=says)


def _wish(rule: MetricRule, means: Means, gauge: Gauge, desired: int) -> Wish:
    match rule:
        case ConcurrencyRule():
            return _per_replica("concurrency", means.concurrency, rule.target, means.window)
        case RpsRule():
            return _per_replica("rps", means.rps, rule.target, means.window)
        case LatencyRule() | QueueWaitRule() | CpuRule() | MemoryRule():
            return _by_gauge(rule.metric, rule.target, gauge, desired)
        case PrometheusRule() | JsonRule() | RedisRule() | CustomRule():
            if gauge.value is None and rule.fallback is not None and gauge.failing >= rule.failures:
                return _fallback(rule, gauge, rule.fallback)
            return _by_gauge(rule.metric, rule.target, gauge, desired)
        case _:
            assert_never(rule)


def _fallback(rule: AskingRule, gauge: Gauge, replicas: int) -> Wish:
    says = f"has failed {gauge.failing} times ({gauge.says}): falls back to {replicas}"
    return Wish(rule.metric, 0.0, 0.0, rule.target, replicas, says, is_load=False)


def _by_gauge(rule: str, target: float, gauge: Gauge, desired: int) -> Wish:
    if gauge.value is None:
        says = f"has no value ({gauge.says}): holds {desired}"
        return Wish(rule, 0.0, 0.0, target, desired, says, is_load=False, is_known=False)
    if gauge.wish is not None:
        return Wish(rule, 0.0, gauge.value, target, gauge.wish, gauge.says, is_load=False)
    wish = _per_replica(rule, gauge.value, target, 0.0)
    says = f"{_shown(gauge.value)} at {target:g} per replica asks for {wish.replicas}"
    return replace(wish, says=says)


def _per_replica(rule: str, measured: float, target: float, window: float) -> Wish:
    # Six digits, as knative/serving pkg/autoscaler/aggregation: 30.000000000004 / 10 is 3. What
    # is measured elsewhere may be anything.
    share = min(max(0.0, measured / target), _LARGEST)
    return Wish(rule, window, measured, target, math.ceil(round(share, 6)))


def _over(window: float) -> str:
    return f" over {format_duration(round(window, 1))}" if window else ""


def _shown(measured: float) -> str:
    """Three figures are enough for a reader, and none of the whole ones is dropped."""
    return f"{measured:.3g}" if measured < 99.5 else f"{measured:.0f}"
