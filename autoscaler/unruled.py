"""Decisions that do not follow the rules: a wake, the operator's hand, a schedule that closes, the
steps down to zero. They tell what the rules would wish all the same.

Pure.
"""

from dataclasses import replace

from autoscaler.decider import Limited, configured, limit_activation, limit_bounds
from autoscaler.decision import Decision, Observation
from autoscaler.manual import Override, most_by_hand
from autoscaler.rules import wishes
from cluster.model import Mode
from config.scaling import Scaling


def woken(seen: Observation, scaling: Scaling, least: int, why: str, now: float) -> Decision:
    """`least` replicas are there, or on their way; `why` in words that fit before "initial"."""
    number = Limited(max(least, scaling.initial))
    limit_activation(number, scaling)
    limit_bounds(number, scaling, seen)
    reason = number.explained(f"{why}, initial is {scaling.initial}")
    return _decision(seen, scaling, number, Mode.STABLE, reason, now)


def by_hand(seen: Observation, scaling: Scaling, override: Override, now: float) -> Decision:
    number = Limited(override.replicas)
    # The operator's number was checked when it was given; `max` may have shrunk since.
    most = most_by_hand(scaling)
    number.at_most(most, "max", f"max is {most}")
    reason = number.explained(override.reason(now))
    return _decision(seen, scaling, number, Mode.MANUAL, reason, now)


def closed(seen: Observation, scaling: Scaling, now: float) -> Decision:
    bounds = seen.bounds or configured(scaling)
    return _decision(seen, scaling, Limited(0), Mode.IDLE, bounds.why_most, now)


def stopped(seen: Observation, scaling: Scaling, why: str, now: float) -> Decision:
    number = Limited(0)
    limit_bounds(number, scaling, seen)
    return _decision(seen, scaling, number, Mode.IDLE, number.explained(why), now)


def frozen(formula: Decision, why: str) -> Decision:
    """What the formula decided, asleep; zero stays zero."""
    if formula.replicas == 0:
        return formula
    return replace(formula, mode=Mode.IDLE, frozen=True, reason=f"{why}; {formula.reason}")


def _decision(
    seen: Observation, scaling: Scaling, number: Limited, mode: Mode, reason: str, now: float
) -> Decision:
    rules = scaling.metric_rules
    wished = (
        *wishes(rules, seen.stable, seen.gauges, seen.desired),
        *wishes(rules, seen.panic, seen.gauges, seen.desired),
    )
    return Decision(
        at=now,
        replicas=number.replicas,
        mode=mode,
        reason=reason,
        inputs=seen,
        wishes=wished,
        limits=tuple(number.limits),
    )
