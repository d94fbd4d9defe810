"""Kubernetes' HorizontalPodAutoscaler, as it decides, with KEDA for zero: `scaling.policy: hpa`.

Pure. After kubernetes pkg/controller/podautoscaler/horizontal.go (computeReplicasForMetrics,
stabilizeRecommendationWithBehaviors, convertDesiredReplicasWithBehaviorRate), replica_calculator.go
(GetExternalPerPodMetricReplicas: an average per replica, which KEDA uses), pkg/apis/autoscaling/v2
defaults.go, and KEDA's scale executor (cooldownPeriod).

Of the file: the target of a rule, min, max, initial, tolerance, up and down, down_delay (the
stabilization window of the way down), stable_window (only for rps, where KEDA's own is 1 m). Its
own: a look every 15 s, tolerance 10 %, 300 s of stabilization down and none up, up by at most 4
replicas or to the double and down by all in 15 s. Concurrency is that of the last second, as the
interceptor of KEDA's HTTP add-on tells the number of the moment. HPA itself never goes below 1;
with `min: 0` KEDA stops all replicas 300 s after the last activity. No panic.

A metric without a value: others may only scale up (computeReplicasForMetrics).
"""

import math
from collections import deque

from autoscaler.behaviour import Windows, given, next_multiple
from autoscaler.decider import (
    Limited,
    limit_activation,
    limit_bounds,
    limit_without_data,
)
from autoscaler.decision import Counts, Decision, Observation
from autoscaler.load import Load
from autoscaler.rates import Changes, highest, lowest
from autoscaler.rules import Wish, largest, tolerant, wishes
from cluster.model import Mode
from config.scaling import Scaling, Step, Way
from config.units import format_duration

SYNC = 15.0  # --horizontal-pod-autoscaler-sync-period
TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance
STABILIZATION = 300.0  # --horizontal-pod-autoscaler-downscale-stabilization
COOLDOWN = 300.0  # KEDA's cooldownPeriod
RATE_WINDOW = 60.0  # of the HTTP add-on's request rate
MOMENT = 1.0  # the shortest mean there is
UP = Way(policies=(Step(replicas=4), Step(percent=100)))
DOWN = Way(policies=(Step(percent=100),))


class Hpa:
    """The decisions for one service."""

    __slots__ = ("_changes", "_down", "_recommended", "_scaling", "_up")

    def __init__(self, scaling: Scaling) -> None:
        self._recommended: deque[tuple[float, int]] = deque()
        self._changes = Changes()
        self.configure(scaling)

    def configure(self, scaling: Scaling) -> None:
        self._scaling = scaling
        self._up, self._down = _behavior(scaling.up, UP), _behavior(scaling.down, DOWN)
        self._changes.configure(self._up, self._down)

    def hold(self, replicas: int, limit: str, reason: str, now: float) -> None:
        """recordInitialRecommendation: for the time of stabilization nothing less."""
        self._recommended.append((now, replicas))

    @property
    def windows(self) -> Windows:
        return Windows(given(self._scaling, "stable_window", RATE_WINDOW), MOMENT)

    @property
    def stop_after(self) -> float | None:
        never = self._scaling.min > 0 or self._scaling.idle.stop_after is None
        return None if never else COOLDOWN

    @property
    def is_in_panic(self) -> bool:
        return False

    @property
    def panic_until(self) -> float | None:
        return None

    @property
    def steps_down_at(self) -> float:
        return math.inf

    def confirms(self, load: Load, counts: Counts, desired: int, now: float) -> bool:
        return False

    def next_look(self, now: float) -> float:
        return next_multiple(SYNC, now)

    def decide(self, seen: Observation, now: float) -> Decision:
        wished = self._wishes(seen)
        current = seen.desired
        wish = largest(wished)
        number = Limited(wish.replicas)
        number.at_least(1, "idle", "zero only by KEDA's cooldown")
        limit_without_data(number, wished, seen)
        self._stabilize(number, current, now)
        self._limit_rates(number, current, now)
        limit_activation(number, self._scaling)
        limit_bounds(number, self._scaling, seen)
        self._changes.note(current, number.replicas, now)
        return Decision(
            at=now,
            replicas=number.replicas,
            mode=Mode.STABLE,
            reason=number.explained(wish.reason),
            inputs=seen,
            wishes=wished,
            limits=tuple(number.limits),
        )

    def _wishes(self, seen: Observation) -> tuple[Wish, ...]:
        """One for each rule: rps of the long window, all else of the moment. Near enough to the
        target, as many as there are."""
        rules, present = self._scaling.metric_rules, seen.counts.present
        long = wishes(rules, seen.stable, seen.gauges, seen.desired)
        short = wishes(rules, seen.panic, seen.gauges, seen.desired)
        chosen = [a if a.rule == "rps" else b for a, b in zip(long, short, strict=True)]
        more, less = self._tolerance(self._scaling.up), self._tolerance(self._scaling.down)
        return tuple(tolerant(wish, present, more, less) for wish in chosen)

    def _tolerance(self, way: Way) -> float:
        original = given(self._scaling, "tolerance", TOLERANCE)
        return original if way.tolerance is None else way.tolerance

    def _stabilize(self, number: Limited, current: int, now: float) -> None:
        """stabilizeRecommendationWithBehaviors; on the way up there is no window by default."""
        window = given(self._scaling, "down_delay", STABILIZATION)
        if not self._recommended:
            self._recommended.append((now, current))  # recordInitialRecommendation
        while self._recommended and self._recommended[0][0] <= now - window:
            self._recommended.popleft()
        recent = max((wish for _, wish in self._recommended), default=0)
        self._recommended.append((now, number.replicas))
        why = f"the largest wish of {format_duration(window)} was {recent}"
        number.at_least(min(current, recent), "stabilization", why)

    def _limit_rates(self, number: Limited, current: int, now: float) -> None:
        if number.replicas > current:
            most = highest(self._up, current, self._changes, now)
            if most is not None:
                number.at_most(most, "up", f"up allows up to {most} now")
        elif number.replicas < current:
            least = lowest(self._down, current, self._changes, now)
            if least is not None:
                number.at_least(least, "down", f"down allows down to {least} now")


def _behavior(way: Way, default: Way) -> Way:
    """Policies that are not given are the default ones (defaults.go, GenerateHPAScaleUpRules)."""
    return way if way.policies else way.model_copy(update={"policies": default.policies})
