"""Ray Serve's autoscaling, as it decides: `scaling.policy: ray`.

Pure. After ray python/ray/serve/autoscaling_policy.py (_core_replica_queue_length_policy,
_apply_bounds, _apply_delay_logic) with the delays of 2.60, which are measured by the clock.

Of the file: the target of a rule (target_ongoing_requests), min, max, initial, stable_window
(look_back_period_s), down_delay (downscale_delay_s). Its own: 30 s of looking back, more replicas
after 30 s of wishing for more without a break, fewer after 600 s of wishing for fewer, and zero
only from one replica, after as long again. Both factors are 1. No panic, no rates, no tolerance.

Ray decides every 0.1 s. Here reports come once a second, so a turn in between could change nothing
but by the end of a delay: that is looked at on its tenth of a second.
"""

import math

from autoscaler.behaviour import Windows, given, next_multiple
from autoscaler.decider import (
    Limited,
    limit_activation,
    limit_bounds,
    limit_without_data,
)
from autoscaler.decision import Counts, Decision, Observation
from autoscaler.load import Load
from autoscaler.rules import largest, wishes
from cluster.model import Mode
from config.scaling import Scaling
from config.units import format_duration

LOOP = 0.1  # CONTROL_LOOP_INTERVAL_S
NEWS = 1.0  # how often a busy gateway reports
LOOK_BACK = 30.0
UPSCALE_DELAY = 30.0
DOWNSCALE_DELAY = 600.0  # downscale_to_zero_delay_s is the same when it is not set


class Ray:
    """The decisions for one service."""

    __slots__ = ("_scaling", "_since", "_way")

    def __init__(self, scaling: Scaling) -> None:
        self._scaling = scaling
        self._way = 0  # 1: wishes for more, -1: for fewer
        self._since = 0.0

    def configure(self, scaling: Scaling) -> None:
        self._scaling = scaling

    def hold(self, replicas: int, limit: str, reason: str, now: float) -> None:
        """What there is stays the target: a way down takes its delay from now on."""
        self._way = 0

    @property
    def windows(self) -> Windows:
        back = given(self._scaling, "stable_window", LOOK_BACK)
        return Windows(back, back)

    @property
    def stop_after(self) -> float | None:
        return None

    @property
    def is_in_panic(self) -> bool:
        return False

    @property
    def panic_until(self) -> float | None:
        return None

    @property
    def steps_down_at(self) -> float:
        return self._since + self._delay(-1) if self._way < 0 else math.inf

    def confirms(self, load: Load, counts: Counts, desired: int, now: float) -> bool:
        return False

    def next_look(self, now: float) -> float:
        look = next_multiple(NEWS, now)
        if not self._way:
            return look
        end = math.ceil(round((self._since + self._delay(self._way)) / LOOP, 6)) * LOOP
        return min(look, end) if end > now else look

    def decide(self, seen: Observation, now: float) -> Decision:
        wished = wishes(self._scaling.metric_rules, seen.stable, seen.gauges, seen.desired)
        wish = largest(wished)
        running, target = seen.counts.ready + seen.counts.frozen, seen.desired
        number = Limited(wish.replicas)
        if self._scaling.idle.stop_after is None:
            number.at_least(1, "idle", "never zero: idle.stop_after is null")
        limit_without_data(number, wished, seen)
        limit_activation(number, self._scaling)
        limit_bounds(number, self._scaling, seen)
        if running:
            self._delay_change(number, target, now)
        else:
            # The cold start: what was asked for stays so until a replica runs.
            self._way = 0
            least = max(target, 1 if wish.replicas else 0)
            number.at_least(least, "cold start", f"none runs yet: {least} stay wanted")
            number.at_most(least, "cold start", f"none runs yet: {least} stay wanted")
        limit_bounds(number, self._scaling, seen)
        return Decision(
            at=now,
            replicas=number.replicas,
            mode=Mode.STABLE if number.replicas else Mode.IDLE,
            reason=number.explained(wish.reason),
            inputs=seen,
            wishes=wished,
            limits=tuple(number.limits),
        )

    def _delay_change(self, number: Limited, target: int, now: float) -> None:
        """_apply_delay_logic: nothing until the same way was wished all the time."""
        way = (number.replicas > target) - (number.replicas < target)
        if way != self._way:
            self._way, self._since = way, now
        if way < 0 and target > 1:
            number.at_least(1, "one by one", "zero only from 1")
        if way and now - self._since >= self._delay(way) - 1e-6:
            self._way = 0
            return
        delay = format_duration(self._delay(way))
        if way > 0:
            number.at_most(target, "upscale_delay", f"more only after {delay} of wishing so")
        elif way < 0:
            number.at_least(target, "downscale_delay", f"fewer only after {delay} of wishing so")

    def _delay(self, way: int) -> float:
        if way > 0:
            return UPSCALE_DELAY
        return given(self._scaling, "down_delay", DOWNSCALE_DELAY)
