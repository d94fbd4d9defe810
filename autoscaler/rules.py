"""What each rule wishes, given what was measured. The largest wish wins.

Pure. A wish is absolute (load divided by target), so replicas that are still starting never make
it climb in steps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from config.scaling import ConcurrencyRule, RpsRule, Rule
from config.units import format_duration


@dataclass(frozen=True, slots=True)
class Means:
    """Means over one window: requests in flight or queued, and requests a second."""

    window: float
    concurrency: float = 0.0
    rps: float = 0.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What one rule asks for, `measured` over `window` seconds."""

    rule: str
    window: float
    measured: float
    target: float
    replicas: int

    @property
    def reason(self) -> str:
        if self.rule == NO_RULE.rule:
            return "no rule asks for more"
        return (
            f"{self.rule} {_shown(self.measured)} over {format_duration(self.window)}"
            f" at {self.target:g} per replica asks for {self.replicas}"
        )


NO_RULE = Wish("none", 0.0, 0.0, 0.0, 0)


def wishes(rules: Sequence[Rule], means: Means) -> tuple[Wish, ...]:
    """One wish per rule, in the order of the rules."""
    return tuple(_wish(rule, means) for rule in rules)


def largest(wishes: Sequence[Wish]) -> Wish:
    """The winner; of equals the first."""
    return max(wishes, key=lambda wish: wish.replicas, default=NO_RULE)


def _wish(rule: Rule, means: Means) -> Wish:
    match rule:
        case ConcurrencyRule():
            return _per_replica("concurrency", means.concurrency, rule.target, means.window)
        case RpsRule():
            return _per_replica("rps", means.rps, rule.target, means.window)
        case _:
            assert_never(rule)


def _per_replica(rule: str, measured: float, target: float, window: float) -> Wish:
    # Six digits, as knative/serving pkg/autoscaler/aggregation: 30.000000000004 / 10 is 3.
    return Wish(rule, window, measured, target, math.ceil(round(measured / target, 6)))


def _shown(measured: float) -> str:
    """Three figures are enough for a reader, and none of the whole ones is dropped."""
    return f"{measured:.3g}" if measured < 99.5 else f"{measured:.0f}"
