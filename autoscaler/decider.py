"""How many replicas an awake service should have, given what it was seen doing.

Pure. The formula is Knative's KPA (knative/serving pkg/autoscaler/scaling/autoscaler.go, Scale):
ceil(mean / target) over a stable and a panic window, panic at `panic_threshold` times what is
ready, no way down in panic, and rates relative to what there is. As there, the panic wish is
rounded up before it is compared: one replica panics as soon as it would like to be two.

It differs in five points. Replicas on their way count as capacity for the rates. A panic starts
from the wanted number, so that even its first decision is no way down. Zero is never decided
here, only by the idle ladder. Nothing is taken back that chance alone would soon ask for again.
And a number may be held until a full stable window was seen: what
a wake started, or what was found running after a restart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from autoscaler.behaviour import Windows, next_multiple
from autoscaler.decision import Bounds, Counts, Decision, Limit, Observation
from autoscaler.load import Load
from autoscaler.noise import PANIC_WINDOWS, STABLE_WINDOWS, SWINGS, Noise
from autoscaler.rates import Changes, highest, lowest
from autoscaler.rules import Means, Wish, largest, tolerant, wishes
from autoscaler.window import SlidingMax
from cluster.model import Mode
from config.rules import ConcurrencyRule, RpsRule
from config.scaling import Scaling, Way
from config.units import format_duration

# As often as a gateway reports. Knative decides every 2 s; half of that is a second less for those
# who wait in a burst.
TICK = 1.0


@dataclass(slots=True)
class Limited:
    """A number on its way through the limits."""

    replicas: int
    limits: list[Limit] = field(default_factory=list)

    def at_least(self, bound: int, limit: str, reason: str) -> None:
        if self.replicas < bound:
            self._become(bound, limit, reason)

    def at_most(self, bound: int, limit: str, reason: str) -> None:
        if self.replicas > bound:
            self._become(bound, limit, reason)

    def explained(self, reason: str) -> str:
        return "; ".join([reason, *(limit.reason for limit in self.limits)])

    def _become(self, bound: int, limit: str, reason: str) -> None:
        self.limits.append(Limit(limit, self.replicas, bound, reason))
        self.replicas = bound


@dataclass(frozen=True, slots=True)
class _Hold:
    replicas: int
    until: float
    limit: str
    reason: str


class Decider:
    """The decisions for one service; remembers its panic, its holds and its recent wishes."""

    __slots__ = (
        "_changes",
        "_delayed",
        "_hold",
        "_least",
        "_noise",
        "_panic_at",
        "_panic_floor",
        "_plain",
        "_reach",
        "scaling",
    )

    def __init__(self, scaling: Scaling) -> None:
        self._adopt(scaling)
        self._changes = Changes(scaling.up, scaling.down)
        self._delayed = SlidingMax(scaling.down_delay)
        self._noise = Noise(*_memory(scaling))
        self._panic_at: float | None = None
        self._panic_floor = 0
        self._hold: _Hold | None = None

    def configure(self, scaling: Scaling) -> None:
        self._adopt(scaling)
        self._changes.configure(scaling.up, scaling.down)
        self._delayed.resize(scaling.down_delay)
        self._noise.resize(*_memory(scaling))

    def _adopt(self, scaling: Scaling) -> None:
        """What `confirms` needs of it is worked out once."""
        self.scaling = scaling
        self._plain = _plain(scaling)
        self._reach = max(1.0, scaling.stable_window), max(1.0, scaling.panic_window)
        self._least = max(1, scaling.activation, scaling.min)

    @property
    def windows(self) -> Windows:
        return Windows(self.scaling.stable_window, self.scaling.panic_window, since_served=True)

    @property
    def stop_after(self) -> float | None:
        return self.scaling.idle.stop_after

    @property
    def steps_down_at(self) -> float:
        return math.inf

    def next_look(self, now: float) -> float:
        return next_multiple(TICK, now)

    def hold(self, replicas: int, limit: str, reason: str, now: float) -> None:
        """No fewer than these until a full stable window was seen. Of two, the larger stays."""
        if self._hold and now < self._hold.until and replicas < self._hold.replicas:
            return
        self._hold = _Hold(replicas, now + self.scaling.stable_window, limit, reason)

    @property
    def panic_until(self) -> float | None:
        """Loop time, if nothing more happens. None: no panic."""
        return None if self._panic_at is None else self._panic_at + self.scaling.stable_window

    def decide(self, seen: Observation, now: float) -> Decision:
        stable = self._wishes(seen.stable, seen)
        panic = self._wishes(seen.panic, seen)
        self._notice_panic(largest([wish for wish in panic if wish.is_known]), seen, now)

        wish = largest((*stable, *panic)) if self.is_in_panic else largest(stable)
        number = Limited(wish.replicas)
        self._limit_rates(number, seen.counts.capacity)
        self._limit_changes(number, seen.desired, now)
        self._ratchet(number)
        self._bear_noise(number, demand(stable), demand(panic), seen.desired, now)
        limit_without_data(number, stable, seen)
        self._limit_descent(number, now)
        limit_bounds(number, self.scaling, seen)
        self._changes.note(seen.desired, number.replicas, now)
        return Decision(
            at=now,
            replicas=number.replicas,
            mode=Mode.PANIC if self.is_in_panic else Mode.STABLE,
            reason=number.explained(wish.reason),
            inputs=seen,
            wishes=(*stable, *panic),
            limits=tuple(number.limits),
        )

    def confirms(self, load: Load, counts: Counts, desired: int, now: float) -> bool:
        """What the rules ask for is what there is, or chance explains it, and nobody panics."""
        if self._panic_at is not None or counts.ready + counts.starting != desired:
            return False
        if not self._plain or self._holds(now):
            return False
        stable = panic = 0.0
        for rule in self._plain:
            means = load.while_busy(rule.metric, self._reach, now)
            if means is None:
                return False
            stable, panic = max(stable, means[0] / rule.target), max(panic, means[1] / rule.target)
        if not self._is_what_there_is(stable, panic, counts.ready, desired):
            return False
        self._noise.record(panic - stable, now)
        return True

    def _is_what_there_is(self, stable: float, panic: float, ready: int, desired: int) -> bool:
        """Loads are in replicas."""
        if math.ceil(round(panic, 6)) >= self.scaling.panic_threshold * max(1, ready):
            return False
        asked = min(max(math.ceil(round(stable, 6)), self._least), self.scaling.max)
        if asked < desired:
            return math.ceil(round(stable + SWINGS * self._noise.swing(), 6)) >= desired
        return asked == desired

    @property
    def is_in_panic(self) -> bool:
        return self._panic_at is not None

    def _wishes(self, means: Means, seen: Observation) -> tuple[Wish, ...]:
        scaling, present = self.scaling, seen.desired
        wished = wishes(scaling.metric_rules, means, seen.gauges, present)
        more, less = tolerance(scaling, scaling.up), tolerance(scaling, scaling.down)
        return tuple(tolerant(wish, present, more, less) for wish in wished)

    def _notice_panic(self, wish: Wish, seen: Observation, now: float) -> None:
        if wish.replicas / max(1, seen.counts.ready) >= self.scaling.panic_threshold:
            if not self.is_in_panic:
                self._panic_floor = seen.desired
            self._panic_at = now
        elif self.panic_until is not None and self.panic_until < now:
            self._panic_at = None

    def _limit_rates(self, number: Limited, capacity: int) -> None:
        up, down = self.scaling.max_up_rate, self.scaling.max_down_rate
        highest, lowest = math.ceil(up * capacity), math.floor(capacity / down)
        number.at_most(
            highest, "max_up_rate", f"max_up_rate {up:g} x {capacity} allows up to {highest}"
        )
        number.at_least(
            lowest,
            "max_down_rate",
            f"max_down_rate {down:g} from {capacity} allows down to {lowest}",
        )

    def _limit_changes(self, number: Limited, current: int, now: float) -> None:
        if number.replicas > current:
            most = highest(self.scaling.up, current, self._changes, now)
            if most is not None:
                number.at_most(most, "up", f"up allows up to {most} now")
        elif number.replicas < current:
            least = lowest(self.scaling.down, current, self._changes, now)
            if least is not None:
                number.at_least(least, "down", f"down allows down to {least} now")

    def _ratchet(self, number: Limited) -> None:
        if self.is_in_panic:
            floor = self._panic_floor
            number.at_least(floor, "panic", f"never down in panic, which reached {floor}")
            self._panic_floor = number.replicas

    def _bear_noise(
        self, number: Limited, load: float, lately: float, present: int, now: float
    ) -> None:
        """Loads are in replicas."""
        if number.replicas < present:
            # From what was seen before: more load now must never look like less of a swing.
            swing = SWINGS * self._noise.swing()
            least = min(present, math.ceil(round(load + swing, 6)))
            why = f"a load of {load:.3g} replicas that moves by {swing:.2g} needs {least}"
            number.at_least(least, "noise", why)
        # Before a wake there was silence. Before a restart there was something, so for a window the
        # stable mean is too low, and what the panic mean has above it is no swing.
        if not self._holds(now) or (self._hold and self._hold.limit == "initial"):
            self._noise.record(lately - load, now)

    def _holds(self, now: float) -> bool:
        return self._hold is not None and now < self._hold.until

    def _limit_descent(self, number: Limited, now: float) -> None:
        number.at_least(1, "idle", "zero only by idle.stop_after")
        limit_activation(number, self.scaling)
        if self._hold and now < self._hold.until:
            number.at_least(self._hold.replicas, self._hold.limit, self._hold.reason)
        recent = self._delayed.record(number.replicas, now)
        delay = format_duration(self.scaling.down_delay)
        number.at_least(
            recent, "down_delay", f"down_delay keeps the largest wish of {delay}: {recent}"
        )


def _plain(scaling: Scaling) -> tuple[ConcurrencyRule | RpsRule, ...]:
    """The rules, if they are about the gateway's load alone and nothing else decides."""
    rules = tuple(rule for rule in scaling.rules if isinstance(rule, ConcurrencyRule | RpsRule))
    return rules if len(rules) == len(scaling.rules) and not scaling.down_delay else ()


def _memory(scaling: Scaling) -> tuple[float, float]:
    """How far the noise reaches back, and its pace."""
    return STABLE_WINDOWS * scaling.stable_window, PANIC_WINDOWS * scaling.panic_window


def demand(wished: Sequence[Wish]) -> float:
    """The load in replicas, not rounded."""
    loads = (wish.measured / wish.target for wish in wished if wish.is_load and wish.target)
    return max(loads, default=0.0)


def tolerance(scaling: Scaling, way: Way) -> float:
    return scaling.tolerance if way.tolerance is None else way.tolerance


def limit_without_data(number: Limited, wished: Sequence[Wish], seen: Observation) -> None:
    """A rule without data might wish for all there is; a gateway that fell silent may be busy."""
    if seen.is_blind:
        number.at_least(seen.desired, "no data", "not down while a busy gateway tells nothing")
    for wish in wished:
        if not wish.is_known:
            number.at_least(seen.desired, "no data", f"not down while {wish.rule} has no value")


def limit_activation(number: Limited, scaling: Scaling) -> None:
    if number.replicas:
        least = scaling.activation
        number.at_least(least, "activation", f"activation is {least}")


def limit_bounds(number: Limited, scaling: Scaling, seen: Observation) -> None:
    bounds = seen.bounds or configured(scaling)
    number.at_least(bounds.least, "min", bounds.why_least)
    number.at_most(bounds.most, "max", bounds.why_most)


def configured(scaling: Scaling) -> Bounds:
    least, most = scaling.min, scaling.max
    return Bounds(least, most, f"min is {least}", f"max is {most}")
