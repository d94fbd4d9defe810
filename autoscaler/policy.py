"""One service that was used: its load, its decider, its ladder, the operator's hand.

Pure: whoever calls passes the replicas there are and `now`, and acts on the decision. The same
object decides in production, in tests and in a simulation. Order of precedence: the operator's
hand, then the ladder to zero, then the formula.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from autoscaler.behaviour import Behaviour
from autoscaler.decider import Decider, Limited, limit_activation, limit_bounds
from autoscaler.decision import Counts, Decision, Observation
from autoscaler.hpa import Hpa
from autoscaler.idle import Ladder, Rung
from autoscaler.kpa import Kpa
from autoscaler.load import Load
from autoscaler.manual import Override
from autoscaler.ray import Ray
from autoscaler.rules import wishes
from cluster.messages import LoadReport
from cluster.model import Mode
from config.scaling import PolicyName, Scaling
from config.units import format_duration

# A look that comes so much later than planned: the process was stopped, or its machine.
CLOCK_JUMP = 10.0
BEHAVIOURS: Mapping[PolicyName, Callable[[Scaling], Behaviour]] = {
    "tidegate": Decider,
    "kpa": Kpa,
    "hpa": Hpa,
    "ray": Ray,
}


class Policy:
    """`replicas` and `frozen` are what was decided last; `planned` is when to look again, as it
    was then (loop time); `confirmed` counts what was decided
    the cheap way since `decided_at`."""

    __slots__ = (
        "_first_end",
        "_hold_until",
        "_may_confirm",
        "_needs_ticks",
        "_unsettled",
        "confirmed",
        "decided_at",
        "decider",
        "frozen",
        "load",
        "override",
        "planned",
        "replicas",
        "scaling",
    )

    def __init__(self, scaling: Scaling) -> None:
        self.scaling = scaling
        self.decider = BEHAVIOURS[scaling.policy](scaling)
        self.load = Load(self.decider.windows.longest)
        self._first_end = self._shortest_ladder()
        self.override: Override | None = None
        self.replicas = 0
        self.frozen = False
        self._hold_until = -math.inf
        self._needs_ticks = True
        self.planned = math.inf
        self._may_confirm = False
        self.decided_at = -math.inf
        self.confirmed = 0
        self._unsettled = ""

    def configure(self, scaling: Scaling) -> None:
        """Go on under other rules; what was seen is kept as far as the new windows reach. Another
        way of deciding begins as after a restart."""
        former, self.scaling = self.scaling, scaling
        self._may_confirm = False
        if former.policy == scaling.policy:
            self.decider.configure(scaling)
        else:
            self.decider = BEHAVIOURS[scaling.policy](scaling)
            self._unsettled = f"{self.replicas} were wanted by scaling.policy {former.policy}"
        self.load.resize(self.decider.windows.longest)
        self._first_end = self._shortest_ladder()

    # Facts

    def record(self, report: LoadReport) -> None:
        self.load.record(report)
        self._needs_ticks = True

    def adopt(self, replicas: int, now: float) -> None:
        """These were found running: the load of the time before is unknown, so they are kept
        until a full stable window was seen."""
        self.replicas = max(self.replicas, replicas)
        self._begin_anew(f"{replicas} were running before a restart", now)

    # Decisions

    def wake(self, counts: Counts, now: float) -> Decision | None:
        """A request found no replica. None: nothing has to change for it."""
        self.load.expect(now)
        if not self.is_asleep(now):
            return None
        initial = self.scaling.initial
        self.decider.hold(initial, "initial", f"initial is {initial}", now)
        seen = self.observe(counts, now)
        number = Limited(max(self.replicas, initial))
        limit_activation(number, self.scaling)
        limit_bounds(number, self.scaling, seen)
        why = "thawed by a request" if self.frozen else "woken by a request"
        reason = number.explained(f"{why}, initial is {initial}")
        return self._decided(self._unruled(seen, number, Mode.STABLE, reason, now))

    def decide(self, counts: Counts, now: float) -> Decision:
        if self.override and self.override.has_expired(now):
            self.override = None
        if now - self.planned > CLOCK_JUMP:
            self._unsettled = f"{self.replicas} were wanted before the clock jumped"
        if self._unsettled:
            self._begin_anew(self._unsettled, now)
        seen = self.observe(counts, now)
        if self.override:
            return self._decided(self._by_hand(self.override, seen, now))
        match self.rung(now):
            case Rung.STOPPED:
                return self._decided(self._stopped(seen, now))
            case Rung.FROZEN:
                return self._decided(self._frozen(seen, now))
            case Rung.AWAKE:
                return self._decided(self.decider.decide(seen, now))

    def confirms(self, counts: Counts, now: float) -> bool:
        """The cheap way to decide: True says that `decide` would change nothing, and stands for
        it but for the record."""
        if not self._may_confirm or now - self.planned > CLOCK_JUMP or self._unsettled:
            return False
        if not self.load.is_known_busy(now):
            return False
        if not self.decider.confirms(self.load, counts, self.replicas, now):
            return False
        tick = self.decider.next_look(now)
        # The ladder of a busy service begins now.
        self.planned = tick if tick <= now + self._first_end else self.next_look(now)
        self.confirmed += 1
        return True

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
        return self._ladder().rung(self.load.last_activity, self._hold_until, now)

    def next_step_down(self, now: float) -> float:
        """When the next step to zero is due (loop time) if no request comes; else infinity."""
        if self.override:
            return math.inf
        last = now if self.load.is_busy(now) else self.load.last_activity
        ladder = self._ladder().next_step(last, self._hold_until, now)
        own = self.decider.steps_down_at
        return min(ladder, own) if own > now else ladder

    def next_look(self, now: float) -> float:
        """When to decide again (loop time), later than `now`; infinity: when told of a fact."""
        if self.override:
            return self.override.until
        tick = self.decider.next_look(now) if self._needs_ticks else math.inf
        return min(tick, self.next_step_down(now))

    def observe(self, counts: Counts, now: float) -> Observation:
        windows = self.decider.windows
        return Observation(
            desired=self.replicas,
            counts=counts,
            stable=self.load.means(windows.stable, now, by_age=windows.by_age),
            panic=self.load.means(windows.panic, now, by_age=windows.by_age),
            in_flight=self.load.in_flight(now),
            queued=self.load.queued(now),
            is_blind=self.load.is_blind(now),
        )

    # The rest is private

    def _begin_anew(self, reason: str, now: float) -> None:
        """What was seen says nothing about now: nothing goes down for it."""
        self._unsettled = ""
        self.load.last_activity = max(self.load.last_activity, now)
        self.decider.hold(self.replicas, "adopted", reason, now)
        self._hold_until = now + self.scaling.stable_window

    def _shortest_ladder(self) -> float:
        """Seconds from the last activity to the first step down."""
        ends = (self.scaling.idle.freeze_after, self.decider.stop_after)
        return min((end for end in ends if end is not None), default=math.inf)

    def _ladder(self) -> Ladder:
        return Ladder.of(self.scaling, self.decider.stop_after)

    def _by_hand(self, override: Override, seen: Observation, now: float) -> Decision:
        number = Limited(override.replicas)
        # The operator's number was checked when it was given; `max` may have shrunk since.
        number.at_most(self.scaling.max, "max", f"max is {self.scaling.max}")
        reason = number.explained(override.reason(now))
        return self._unruled(seen, number, Mode.MANUAL, reason, now)

    def _stopped(self, seen: Observation, now: float) -> Decision:
        number = Limited(0)
        limit_bounds(number, self.scaling, seen)
        ours = self.scaling.policy == "tidegate"
        whose = "idle.stop_after" if ours else f"policy {self.scaling.policy}"
        reason = number.explained(_idle_reason(self.load, self.decider.stop_after, whose))
        return self._unruled(seen, number, Mode.IDLE, reason, now)

    def _frozen(self, seen: Observation, now: float) -> Decision:
        formula = self.decider.decide(seen, now)
        if formula.replicas == 0:
            return formula
        reason = _idle_reason(self.load, self.scaling.idle.freeze_after, "idle.freeze_after")
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
        self._may_confirm = decision.mode is Mode.STABLE and decision.replicas == decision.before
        self.decided_at = decision.at
        self.planned = self.next_look(decision.at)
        return decision

    def _is_settled(self, decision: Decision) -> bool:
        """No tick could decide anything else: only a fact or the ladder can."""
        if decision.mode in (Mode.MANUAL, Mode.IDLE) and not decision.frozen:
            return True
        seen = decision.inputs
        quiet = not (seen.in_flight or seen.queued or seen.stable.concurrency or seen.stable.rps)
        lowest = min(max(1, self.scaling.min, self.scaling.activation), self.scaling.max)
        calm = not self.decider.is_in_panic and not self.load.is_busy(decision.at)
        return quiet and calm and decision.replicas <= lowest and self._knows_its_end()

    def _knows_its_end(self) -> bool:
        """When zero comes, or that it never does."""
        stays = self.scaling.min > 0 or self.scaling.idle.stop_after is None
        return stays or self.decider.stop_after is not None or self.decider.steps_down_at < math.inf


def _idle_reason(load: Load, after: float | None, whose: str) -> str:
    if load.last_activity == -math.inf or after is None:
        return "no request yet"
    return f"no request for {format_duration(after)} ({whose})"
