"""One service that was used: its load, its decider, its ladder, the operator's hand.

Pure: whoever calls passes the replicas there are and `now`, and acts on the decision. The same
object decides in production, in tests and in a simulation. Order of precedence: the operator's
hand, then the ladder to zero, then the formula.
"""

import math
from dataclasses import replace

from autoscaler.decider import Decider, Limited, limit_bounds
from autoscaler.decision import Counts, Decision, Observation
from autoscaler.idle import Ladder, Rung
from autoscaler.load import Load
from autoscaler.manual import Override
from autoscaler.rules import wishes
from cluster.messages import LoadReport
from cluster.model import Mode
from config.scaling import Scaling
from config.units import format_duration

# As knative/serving (tick-interval of the autoscaler): often beside a panic window of 6 s.
TICK = 2.0


class Policy:
    """`replicas` and `frozen` are what was decided last."""

    __slots__ = (
        "_hold_until",
        "_needs_ticks",
        "_rung",
        "decider",
        "frozen",
        "load",
        "override",
        "replicas",
        "scaling",
    )

    def __init__(self, scaling: Scaling) -> None:
        self.scaling = scaling
        self.load = Load(_longest_window(scaling))
        self.decider = Decider(scaling)
        self.override: Override | None = None
        self.replicas = 0
        self.frozen = False
        self._hold_until = -math.inf
        self._needs_ticks = True
        self._rung = Rung.AWAKE

    def configure(self, scaling: Scaling) -> None:
        """Go on under other rules; what was seen is kept as far as the new windows reach."""
        self.scaling = scaling
        self.load.resize(_longest_window(scaling))
        self.decider.configure(scaling)

    # Facts

    def record(self, report: LoadReport) -> None:
        self.load.record(report)
        self._needs_ticks = True

    def adopt(self, replicas: int, now: float) -> None:
        """These were found running: the load of the time before is unknown, so they are kept
        until a full stable window was seen."""
        self.load.last_activity = max(self.load.last_activity, now)
        self.decider.hold(replicas, "adopted", f"{replicas} were running before a restart", now)
        self._hold_until = now + self.scaling.stable_window

    # Decisions

    def wake(self, counts: Counts, now: float) -> Decision | None:
        """A request found no replica. None: nothing has to change for it."""
        self.load.expect(now)
        if not self.is_asleep(now):
            return None
        self._rung = Rung.AWAKE
        initial = self.scaling.initial
        self.decider.hold(initial, "initial", f"initial is {initial}", now)
        seen = self.observe(counts, now)
        number = Limited(max(self.replicas, initial))
        limit_bounds(number, self.scaling, seen)
        why = "thawed by a request" if self.frozen else "woken by a request"
        reason = number.explained(f"{why}, initial is {initial}")
        return self._decided(self._unruled(seen, number, Mode.STABLE, reason, now))

    def decide(self, counts: Counts, now: float) -> Decision:
        if self.override and self.override.has_expired(now):
            self.override = None
        seen = self.observe(counts, now)
        if self.override:
            return self._decided(self._by_hand(self.override, seen, now))
        self._rung = self.rung(now)
        match self._rung:
            case Rung.STOPPED:
                return self._decided(self._stopped(seen, now))
            case Rung.FROZEN:
                return self._decided(self._frozen(seen, now))
            case Rung.AWAKE:
                return self._decided(self.decider.decide(seen, now))

    # Reading

    def is_asleep(self, now: float) -> bool:
        """A request would find no replica, and may change that."""
        by_hand = self.override is not None and not self.override.has_expired(now)
        return not by_hand and (self.replicas == 0 or self.frozen)

    def is_over(self) -> bool:
        """Nothing is left to decide until the next wake."""
        return self.replicas == 0 and self.override is None and not self._needs_ticks

    def rung(self, now: float) -> Rung:
        if self.load.is_busy(now):
            return Rung.AWAKE
        # No further than the silence of what is in flight is known: a byte may be on its way.
        known = self.load.silence_is_known(now)
        return Ladder.of(self.scaling).rung(self.load.last_activity, self._hold_until, known)

    def has_come_down(self, now: float) -> bool:
        """The last report has shown that what is in flight was silent for long enough: to be acted
        on before more can move."""
        return self.override is None and self.rung(now) is not self._rung

    def next_step_down(self, now: float) -> float:
        """When the ladder's next step is due (loop time) if no request comes; else infinity."""
        if self.override:
            return math.inf
        last = now if self.load.is_busy(now) else self.load.last_activity
        return Ladder.of(self.scaling).next_step(last, self._hold_until, now)

    def next_look(self, now: float) -> float:
        """When to decide again (loop time), later than `now`; infinity: only when told of a fact.

        Ticks of all services fall together, so that many of them wake the process once.
        """
        if self.override:
            return self.override.until
        tick = (math.floor(now / TICK) + 1) * TICK if self._needs_ticks else math.inf
        return min(tick, self.next_step_down(now))

    def observe(self, counts: Counts, now: float) -> Observation:
        return Observation(
            desired=self.replicas,
            counts=counts,
            stable=self.load.means(self.scaling.stable_window, now),
            panic=self.load.means(self.scaling.panic_window, now),
            in_flight=self.load.in_flight(now),
            queued=self.load.queued(now),
        )

    # The rest is private

    def _by_hand(self, override: Override, seen: Observation, now: float) -> Decision:
        number = Limited(override.replicas)
        # The operator's number was checked when it was given; `max` may have shrunk since.
        number.at_most(self.scaling.max, "max", f"max is {self.scaling.max}")
        reason = number.explained(override.reason(now))
        return self._unruled(seen, number, Mode.MANUAL, reason, now)

    def _stopped(self, seen: Observation, now: float) -> Decision:
        number = Limited(0)
        limit_bounds(number, self.scaling, seen)
        reason = number.explained(_idle_reason(self.load, self.scaling.idle.stop_after, "stop"))
        return self._unruled(seen, number, Mode.IDLE, reason, now)

    def _frozen(self, seen: Observation, now: float) -> Decision:
        formula = self.decider.decide(seen, now)
        reason = _idle_reason(self.load, self.scaling.idle.freeze_after, "freeze")
        return replace(formula, mode=Mode.IDLE, frozen=True, reason=f"{reason}; {formula.reason}")

    def _unruled(
        self, seen: Observation, number: Limited, mode: Mode, reason: str, now: float
    ) -> Decision:
        """A decision that does not follow the rules, but tells what they would wish."""
        wished = (
            *wishes(self.scaling.metric_rules, seen.stable, seen.gauges, seen.desired),
            *wishes(self.scaling.metric_rules, seen.panic, seen.gauges, seen.desired),
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

    def _decided(self, decision: Decision) -> Decision:
        self.replicas, self.frozen = decision.replicas, decision.frozen
        self._needs_ticks = not self._is_settled(decision)
        return decision

    def _is_settled(self, decision: Decision) -> bool:
        """No tick could decide anything else: only a fact or the ladder can."""
        if decision.mode in (Mode.MANUAL, Mode.IDLE) and not decision.frozen:
            return True
        seen = decision.inputs
        quiet = not (seen.in_flight or seen.queued or seen.stable.concurrency or seen.stable.rps)
        lowest = min(max(1, self.scaling.min), self.scaling.max)
        calm = not self.decider.is_in_panic and not self.load.is_busy(decision.at)
        return quiet and calm and decision.replicas <= lowest


def _idle_reason(load: Load, after: float | None, step: str) -> str:
    if load.last_activity == -math.inf or after is None:
        return "no request yet"
    what = "no request and no byte" if load.has_silent else "no request"
    return f"{what} for {format_duration(after)} (idle.{step}_after)"


def _longest_window(scaling: Scaling) -> float:
    return max(scaling.stable_window, scaling.panic_window)
