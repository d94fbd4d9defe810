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
from autoscaler.needs import Need
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
        "_leased_until",
        "_needed_at",
        "_needs_ticks",
        "decider",
        "frozen",
        "leased_until",
        "load",
        "needed",
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
        self.leased_until = -math.inf
        self._leased_until = -math.inf  # the part of it in which it was awake
        self.needed: Need | None = None
        self._needed_at = -math.inf
        self._hold_until = -math.inf
        self._needs_ticks = True

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

    def lease(self, until: float) -> None:
        """It is leased until then, as told last: use until it ends, unless it sleeps now."""
        self.leased_until = until
        if self.replicas > 0 and not self.frozen:
            self._leased_until = until

    def let_go(self, now: float) -> None:
        """The operator's hand ends: what it kept was in use until now. Reports of the last second
        may still be on their way, and a service must not stop under those requests."""
        if self.override is not None and self.override.replicas > 0:
            self.load.last_activity = max(self.load.last_activity, now)
        self.override = None

    def need(self, need: Need | None, now: float) -> None:
        """Others need it from now on, or not any more."""
        if need is None and self.needed is not None and self.needed.lingers:
            self._needed_at = now
        self.needed = need

    # Decisions

    def wake(self, counts: Counts, now: float) -> Decision | None:
        """A request found no replica. None: nothing has to change for it."""
        self.load.expect(now)
        return self.rouse("a request", counts, now)

    def rouse(self, by: str, counts: Counts, now: float) -> Decision | None:
        """Wake it for somebody. None: it is awake, or off by hand."""
        if not self.is_asleep(now):
            return None
        initial = self.scaling.initial
        self.decider.hold(initial, "initial", f"initial is {initial}", now)
        seen = self.observe(counts, now)
        number = Limited(max(self.replicas, initial))
        limit_bounds(number, self.scaling, seen)
        self._leased_until = max(self._leased_until, self.leased_until)
        why = f"{'thawed' if self.frozen else 'woken'} by {by}"
        reason = number.explained(f"{why}, initial is {initial}")
        return self._decided(self._unruled(seen, number, Mode.STABLE, reason, now))

    def decide(self, counts: Counts, now: float) -> Decision:
        if self.override and self.override.has_expired(now):
            self.let_go(self.override.until)
        seen = self.observe(counts, now)
        if self.override:
            return self._decided(self._by_hand(self.override, seen, now))
        match self.rung(now):
            case Rung.STOPPED:
                return self._decided(self._stopped(seen, now))
            case Rung.FROZEN:
                return self._decided(self._frozen(seen, now))
            case Rung.AWAKE:
                return self._decided(self._awake(seen, now))

    # Reading

    def is_asleep(self, now: float) -> bool:
        """A request would find no replica, and may change that."""
        by_hand = self.override is not None and not self.override.has_expired(now)
        return not by_hand and (self.replicas == 0 or self.frozen)

    def is_over(self) -> bool:
        """Nothing is left to decide until the next wake."""
        return self.replicas == 0 and self.override is None and not self._needs_ticks

    def rung(self, now: float) -> Rung:
        if self.needed or self.load.is_busy(now):
            return Rung.AWAKE
        return self._idle_rung(max(self._used_until(), self._needed_at), now)

    def is_used(self, now: float) -> bool:
        """By itself: whatever it is that others need it for does not count."""
        if self.override and not self.override.has_expired(now):
            return self.override.replicas > 0
        if self.scaling.min > 0:
            return True
        if self.replicas == 0 or self.frozen:
            return False
        idle = self._idle_rung(self._used_until(), now)
        return idle is Rung.AWAKE or self.load.is_busy(now)

    def next_step_down(self, now: float) -> float:
        """When the ladder's next step is due (loop time) if no request comes; else infinity."""
        if self.override or self.needed:
            return math.inf
        return self._next_step(now)

    def next_look(self, now: float) -> float:
        """When to decide again (loop time), later than `now`; infinity: only when told of a fact.

        Ticks of all services fall together, so that many of them wake the process once.
        """
        if self.override:
            return self.override.until
        tick = (math.floor(now / TICK) + 1) * TICK if self._needs_ticks else math.inf
        # Also while others need it: its own use may end, and with it theirs.
        return min(tick, self._next_step(now))

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

    def _idle_rung(self, last: float, now: float) -> Rung:
        return Ladder.of(self.scaling).rung(last, self._hold(), now)

    def _next_step(self, now: float) -> float:
        last = now if self.load.is_busy(now) else max(self._used_until(), self._needed_at)
        return Ladder.of(self.scaling).next_step(last, self._hold(), now)

    def _used_until(self) -> float:
        """A lease is use until it ends, but it does not wake what sleeps."""
        leased = self._leased_until if self.replicas > 0 else -math.inf
        return max(self.load.last_activity, leased)

    def _hold(self) -> float:
        """Not stopped before: what a lease found frozen stays so."""
        leased = self.leased_until if self.replicas > 0 else -math.inf
        return max(self._hold_until, leased)

    def _awake(self, seen: Observation, now: float) -> Decision:
        """By the formula; told why, when it is others who keep it."""
        decision = self.decider.decide(seen, now)
        why = self._kept_by(now)
        if not why or self.load.is_busy(now):
            return decision
        return replace(decision, reason=f"{decision.reason}; {why}")

    def _kept_by(self, now: float) -> str:
        if now < self.leased_until:
            return f"leased for another {format_duration(math.ceil(self.leased_until - now))}"
        return f"kept awake by {self.needed.why}" if self.needed else ""

    def _by_hand(self, override: Override, seen: Observation, now: float) -> Decision:
        number = Limited(override.replicas)
        # The operator's number was checked when it was given; `max` may have shrunk since.
        number.at_most(self.scaling.max, "max", f"max is {self.scaling.max}")
        reason = number.explained(override.reason(now))
        return self._unruled(seen, number, Mode.MANUAL, reason, now)

    def _stopped(self, seen: Observation, now: float) -> Decision:
        number = Limited(0)
        limit_bounds(number, self.scaling, seen)
        reason = number.explained(self._idle_reason(self.scaling.idle.stop_after, "stop"))
        return self._unruled(seen, number, Mode.IDLE, reason, now)

    def _frozen(self, seen: Observation, now: float) -> Decision:
        formula = self.decider.decide(seen, now)
        reason = self._idle_reason(self.scaling.idle.freeze_after, "freeze")
        return replace(formula, mode=Mode.IDLE, frozen=True, reason=f"{reason}; {formula.reason}")

    def _idle_reason(self, after: float | None, step: str) -> str:
        others = max(self._leased_until, self._needed_at)
        return _idle_reason_of(self.load, others, after, step)

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


def _idle_reason_of(load: Load, others: float, after: float | None, step: str) -> str:
    """`others` is when the last lease ended, or the last that needed it was gone."""
    if after is None or max(load.last_activity, others) == -math.inf:
        return "no request yet"
    what = "no request" if load.last_activity >= others else "no request, no lease and no need"
    return f"{what} for {format_duration(after)} (idle.{step}_after)"


def _longest_window(scaling: Scaling) -> float:
    return max(scaling.stable_window, scaling.panic_window)
