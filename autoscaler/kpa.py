"""Knative's pod autoscaler, as it decides: `scaling.policy: kpa`.

Pure. After knative/serving pkg/autoscaler/scaling/autoscaler.go (newAutoscaler, Scale),
pkg/autoscaler/aggregation/bucketing.go (WindowAverage) and pkg/reconciler/autoscaling/kpa/scaler.go
(scale, handleScaleToZero), commit 98e5ef9.

Of the file: the target of a rule (in Knative's words the target times its utilization), min, max,
initial, activation, stable_window, panic_threshold, max_up_rate, max_down_rate, down_delay; and
panic_window, else a tenth of stable_window as in Knative. Its own: a tick of 2 s, means over the
age of a young series, and zero a grace of 30 s after a stable window was silent. Starting replicas
are no capacity. After a restart it begins in panic. It knows no tolerance and no up or down.

Not taken over: the fast path to zero while the activator has been proxying for long already, and
initial-scale counts for each wake instead of once per revision. With several rules the largest
wish of a window is Knative's one metric.
"""

import math

from autoscaler.behaviour import Windows, given, next_multiple
from autoscaler.decider import Limited, limit_bounds, limit_without_data
from autoscaler.decision import Counts, Decision, Observation
from autoscaler.load import Load
from autoscaler.rules import Wish, largest, wishes
from autoscaler.window import SlidingMax
from cluster.model import Mode
from config.scaling import Scaling
from config.units import format_duration

TICK = 2.0  # tickInterval
GRACE = 30.0  # scale-to-zero-grace-period
PANIC_SHARE = 0.1  # panic-window-percentage
INITIAL = "initial"


class Kpa:
    """The decisions for one service."""

    __slots__ = (
        "_active_since",
        "_delayed",
        "_inactive_since",
        "_initial",
        "_max_panic",
        "_panic_at",
        "_scaling",
    )

    def __init__(self, scaling: Scaling) -> None:
        self._scaling = scaling
        self._delayed = SlidingMax(scaling.down_delay)
        self._panic_at: float | None = None
        self._max_panic = 0
        self._initial = 0
        self._active_since = -math.inf
        self._inactive_since: float | None = None

    def configure(self, scaling: Scaling) -> None:
        self._scaling = scaling
        self._delayed.resize(scaling.down_delay)

    def hold(self, replicas: int, limit: str, reason: str, now: float) -> None:
        """A wake: as many until they are ready. Anything else is a restart: it begins in panic."""
        self._active_since, self._inactive_since = now, None
        if limit == INITIAL:
            self._initial = replicas
        elif replicas > 1:
            self._panic_at, self._max_panic = now, replicas

    @property
    def windows(self) -> Windows:
        stable = self._scaling.stable_window
        tenth = max(1.0, float(round(stable * PANIC_SHARE)))
        return Windows(stable, given(self._scaling, "panic_window", tenth), by_age=True)

    @property
    def stop_after(self) -> float | None:
        return None

    @property
    def is_in_panic(self) -> bool:
        return self._panic_at is not None

    @property
    def panic_until(self) -> float | None:
        return None if self._panic_at is None else self._panic_at + self._scaling.stable_window

    @property
    def steps_down_at(self) -> float:
        return math.inf if self._inactive_since is None else self._inactive_since + GRACE

    def confirms(self, load: Load, counts: Counts, desired: int, now: float) -> bool:
        return False

    def next_look(self, now: float) -> float:
        return next_multiple(TICK, now)

    def decide(self, seen: Observation, now: float) -> Decision:
        rules = self._scaling.metric_rules
        stable = wishes(rules, seen.stable, seen.gauges, seen.desired)
        panic = wishes(rules, seen.panic, seen.gauges, seen.desired)
        # Frozen replicas are ready ones that sleep; Knative has none.
        ready = seen.counts.ready + seen.counts.frozen
        self._notice_panic(largest([wish for wish in panic if wish.is_known]), max(1, ready), now)
        wish = largest((*stable, *panic)) if self.is_in_panic else largest(stable)

        number = Limited(wish.replicas)
        self._limit_rates(number, max(1, ready))
        if wish.replicas > 0:
            least = self._scaling.activation
            number.at_least(least, "activation", f"activation is {least}")
        self._ratchet(number)
        recent, delay = self._delayed.record(number.replicas, now), self._scaling.down_delay
        why = f"down_delay keeps the largest wish of {format_duration(delay)}: {recent}"
        number.at_least(recent, "down_delay", why)
        self._keep_initial(number, ready)
        limit_without_data(number, stable, seen)
        limit_bounds(number, self._scaling, seen)
        mode = self._approach_zero(number, seen, now)
        return Decision(
            at=now,
            replicas=number.replicas,
            mode=mode,
            reason=number.explained(wish.reason),
            inputs=seen,
            wishes=(*stable, *panic),
            limits=tuple(number.limits),
        )

    def _notice_panic(self, wish: Wish, ready: int, now: float) -> None:
        if wish.replicas / ready >= self._scaling.panic_threshold:
            self._panic_at = now
        elif self.panic_until is not None and self.panic_until < now:
            self._panic_at, self._max_panic = None, 0

    def _limit_rates(self, number: Limited, ready: int) -> None:
        up, down = self._scaling.max_up_rate, self._scaling.max_down_rate
        highest, lowest = math.ceil(up * ready), math.floor(ready / down)
        why = f"max_down_rate {down:g} from {ready} allows down to {lowest}"
        number.at_least(lowest, "max_down_rate", why)
        why = f"max_up_rate {up:g} x {ready} allows up to {highest}"
        number.at_most(highest, "max_up_rate", why)

    def _ratchet(self, number: Limited) -> None:
        if self.is_in_panic:
            most = self._max_panic
            number.at_least(most, "panic", f"never down in panic, which reached {most}")
            self._max_panic = number.replicas

    def _keep_initial(self, number: Limited, ready: int) -> None:
        if ready >= self._initial:
            self._initial = 0
        number.at_least(self._initial, INITIAL, f"initial {self._initial} is not ready yet")

    def _approach_zero(self, number: Limited, seen: Observation, now: float) -> Mode:
        """handleScaleToZero: a wish of zero makes the service inactive first."""
        stable = Mode.PANIC if self.is_in_panic else Mode.STABLE
        if number.replicas > 0:
            self._inactive_since = None
            return stable
        most = seen.bounds.most if seen.bounds else self._scaling.max
        if most == 0:
            return Mode.IDLE
        if self._scaling.idle.stop_after is None:
            number.at_least(1, "idle", "never zero: idle.stop_after is null")
        elif now - self._active_since < self._scaling.stable_window:
            number.at_least(1, "idle", "active for less than stable_window")
        else:
            if self._inactive_since is None:
                self._inactive_since = now
            if now - self._inactive_since >= GRACE:
                return Mode.IDLE
            why = f"idle since {now - self._inactive_since:.0f}s, zero at {format_duration(GRACE)}"
            number.at_least(max(1, min(seen.desired, most)), "grace", why)
        return stable
