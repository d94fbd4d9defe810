"""One service that was used: its load, its decider, its ladder, the operator's hand.

Pure: whoever calls passes the replicas there are and `now`, and acts on the decision. The same
object decides in production, in tests and in a simulation. Order of precedence: the operator's
hand, then a schedule that wants it asleep, then the ladder to zero, then the formula.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from autoscaler import unruled
from autoscaler.behaviour import Behaviour
from autoscaler.decider import Decider
from autoscaler.decision import Counts, Decision, Observation
from autoscaler.gauges import Gauge, believed
from autoscaler.habitual import LEAST_AWAKE, Habitual
from autoscaler.hpa import Hpa
from autoscaler.idle import Ladder, Rung
from autoscaler.kpa import Kpa
from autoscaler.load import Load
from autoscaler.manual import Override
from autoscaler.needs import Need
from autoscaler.ray import Ray
from autoscaler.refusal import by_hand, by_schedule
from autoscaler.schedules import Timetable
from autoscaler.settled import is_settled
from autoscaler.timing import NOTHING_LEARNED, Memory, Timing
from autoscaler.use import Use
from cluster.messages import LoadReport
from cluster.model import Mode, Trouble
from config.rules import MetricRule
from config.scaling import PolicyName, Scaling

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
    was then (loop time); `confirmed` counts what was decided the cheap way since `decided_at`."""

    __slots__ = (
        "_first_end", "_may_confirm", "_needs_ticks", "_scheduled", "_stands", "_unsettled",
        "confirmed", "decided_at", "decider", "frozen", "habitual", "load", "override",
        "planned", "replicas", "scaling", "timetable", "timing", "use",
    )  # fmt: skip

    def __init__(
        self,
        scaling: Scaling,
        gauges: dict[MetricRule, Gauge] | None = None,
        memory: Memory = NOTHING_LEARNED,
        habitual: Habitual | None = None,
    ) -> None:
        self.scaling = scaling
        self.habitual = habitual  # None: it is put to sleep by the plain timeout
        self.timing = Timing.of(scaling, memory)  # None: no rule is about times
        self.decider = BEHAVIOURS[scaling.policy](scaling)
        self.load = Load(self.decider.windows.longest)
        self.use = Use(scaling, self.load, gauges)
        self._first_end = self._shortest_ladder()
        self.override: Override | None = None
        self.timetable: Timetable | None = None
        self._scheduled = bool(scaling.schedules)
        self.replicas = 0
        self.frozen = False
        self._needs_ticks = True
        self._stands = Rung.AWAKE
        self.planned = math.inf
        self._may_confirm = False
        self.decided_at = -math.inf
        self.confirmed = 0
        self._unsettled = ""

    def configure(self, scaling: Scaling) -> None:
        """Go on under other rules; what was seen is kept as far as the new windows reach. Another
        way of deciding begins as after a restart."""
        former, self.scaling = self.scaling, scaling
        self.use.configure(scaling)
        self._may_confirm = False
        if former.policy == scaling.policy:
            self.decider.configure(scaling)
        else:
            self.decider = BEHAVIOURS[scaling.policy](scaling)
            self._unsettled = f"{self.replicas} were wanted by scaling.policy {former.policy}"
        if self.timing and scaling.is_timed:
            self.timing.configure(scaling)
        else:
            self.timing = Timing.of(scaling)
        self.load.resize(self.decider.windows.longest)
        self.timetable = None
        self._scheduled = bool(scaling.schedules)
        self._first_end = self._shortest_ladder()

    # Facts

    def tell_time(self, wall: float, now: float) -> None:
        """What the wall clock shows now: a service with schedules is told before anything else."""
        if self.timetable is not None:
            self.timetable.tell(wall, now)
        elif self._scheduled:
            self.timetable = Timetable(self.scaling, wall, now)

    def record(self, report: LoadReport) -> None:
        before = self.load.last_activity
        self.load.record(report)
        self._note_call(before)
        if self.timing:
            self.timing.record(report)
        self._needs_ticks |= not report.is_silent  # silence asks for nothing that is not asked for

    def serve(self, now: float) -> None:
        """One of its replicas is ready."""
        self.load.serve(now)

    def measured(self, rule: MetricRule, gauge: Gauge, now: float) -> None:
        """By other means than reports."""
        before = self.load.last_activity
        self.use.measured(rule, gauge, up=self._is_up, now=now)
        self._note_call(before)
        self._needs_ticks = True

    def relearn(self) -> None:
        """Another revision is to serve: what was learned of the former one holds no more."""
        if self.timing:
            self.timing.relearn()

    @property
    def memory(self) -> Memory:
        """What is worth keeping while the service sleeps."""
        return self.timing.memory if self.timing else NOTHING_LEARNED

    def adopt(self, replicas: int, now: float) -> None:
        """These were found running: the load of the time before is unknown, so they are kept
        until a full stable window was seen."""
        self.replicas = max(self.replicas, replicas)
        self._begin_anew(f"{replicas} were running before a restart", now)

    def lease(self, until: float) -> None:
        """It is leased until then, as told last: use until it ends, unless it sleeps now."""
        self.use.lease(until, up=self._is_up)

    def let_go(self, now: float) -> None:
        """The operator's hand ends: what it kept was in use until now. Reports of the last second
        may still be on their way, and a service must not stop under those requests."""
        if self.override is not None and self.override.replicas > 0:
            self.use.seen(now)
        self.override = None

    def need(self, need: Need | None, now: float) -> None:
        """Others need it from now on, or not any more."""
        self.use.need(need, now)

    @property
    def least(self) -> int:
        """Replicas that are to be kept awake now."""
        return self.timetable.bounds.least if self.timetable else self.scaling.min

    @property
    def is_needed(self) -> bool:
        return self.use.needed is not None

    # Decisions

    def wake(self, counts: Counts, now: float) -> Decision | None:
        """A request found no replica. None: nothing has to change for it."""
        self.load.expect(now)
        self._note_call(-math.inf)
        return self.rouse("a request", counts, now)

    def rouse(self, by: str, counts: Counts, now: float) -> Decision | None:
        """Wake, by a request or what else asks for it. None: it is awake, or off by hand."""
        if not self.is_asleep(now):
            return None
        self._stands = Rung.AWAKE
        if not counts.ready:  # or nobody would say that one serves
            self.load.begin(now)
        initial = self.scaling.initial
        self.decider.hold(initial, "initial", f"initial is {initial}", now)
        seen = self.observe(counts, now)
        self.use.roused()
        why = f"{'thawed' if self.frozen else 'woken'} by {by}"
        return self._decided(unruled.woken(seen, self.scaling, self.replicas, why, now))

    def decide(self, counts: Counts, now: float) -> Decision:
        if self.override and self.override.has_expired(now):
            self.let_go(self.override.until)
        if now - self.planned > CLOCK_JUMP:
            self._unsettled = f"{self.replicas} were wanted before the clock jumped"
        if self._unsettled:
            self._begin_anew(self._unsettled, now)
        asleep = self.replicas == 0 and self.is_asleep(now)
        why = self.habitual.expects(now) if self.habitual and asleep else ""
        if why and (roused := self.rouse(why, counts, now)):
            self.use.seen(now)  # its way to zero begins now, and not with the call before
            return roused
        seen = self.observe(counts, now)
        return self._decided(self._decision(seen, now))

    def _note_call(self, before: float) -> None:
        if self.habitual is not None and self.load.last_activity > before:
            self.habitual.called(self.load.last_activity)

    def _decision(self, seen: Observation, now: float) -> Decision:
        if self.override:
            return unruled.by_hand(seen, self.scaling, self.override, now)
        if self._is_closed:
            return unruled.closed(seen, self.scaling, now)
        self._stands = self.rung(now)
        match self._stands:
            case Rung.STOPPED:
                return unruled.stopped(seen, self.scaling, self._why_stopped(now), now)
            case Rung.FROZEN:
                why = self.use.ended(self.scaling.idle.freeze_after, "idle.freeze_after")
                return unruled.frozen(self.decider.decide(seen, now), why)
            case Rung.AWAKE:
                return self._awake(seen, now)

    def confirms(self, counts: Counts, now: float) -> bool:
        """The cheap way to decide: True says that `decide` would change nothing, and stands for
        it but for the record."""
        if not self._may_confirm or now - self.planned > CLOCK_JUMP or self._unsettled:
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
        if self.override is not None and not self.override.has_expired(now):
            return False
        return not self._is_closed and (self.replicas == 0 or self.frozen)

    def refusal(self) -> Trouble | None:
        """What clients are told while no request may wake it."""
        if self.override is not None:
            return by_hand(self.override) if self.override.replicas == 0 else None
        return by_schedule(self.timetable) if self.timetable and self._is_closed else None

    def is_over(self) -> bool:
        """Nothing is left to decide until the next wake."""
        return self.replicas == 0 and self.override is None and not self._needs_ticks

    def rung(self, now: float) -> Rung:
        unseen = self.use.works_unseen and self.least > 0
        if self.is_needed or unseen or self.use.is_on(up=self._is_up, now=now):
            return Rung.AWAKE
        last = self.use.last_of_all(there=self._is_there, up=self._is_up, now=now)
        # No further than the silence of what is in flight is known: a byte may be on its way.
        return self._rung(last, self.load.silence_is_known(now))

    def _has_come_down(self, now: float) -> bool:
        """What is in flight was silent for long enough: to be acted on before more can move."""
        bound = self.override is not None or self._is_closed
        return not bound and self.rung(now) not in (Rung.AWAKE, self._stands)

    def is_used(self, now: float) -> bool:
        """By itself: whatever it is that others need it for does not count."""
        if self.override and not self.override.has_expired(now):
            return self.override.replicas > 0
        if self.least > 0:
            return True
        if not self._is_up:
            return False
        last = self.use.last(there=True, up=True, now=now)
        return self.use.is_on(up=True, now=now) or self._rung(last, now) is Rung.AWAKE

    def next_step_down(self, now: float) -> float:
        """When the next step to zero is due (loop time) if no request comes; else infinity."""
        if self.override or self.is_needed or self._is_closed:
            return math.inf
        return self._next_step(now)

    def next_change(self, now: float) -> float:
        """When a schedule, or a wake before a call, is due next (loop time); infinity: never."""
        sleeps = self.habitual and self.replicas == 0 and not self._is_closed
        wake = self.habitual.next_wake(now) if self.habitual and sleeps else math.inf
        return min(wake, self.timetable.next_change(now) if self.timetable else math.inf)

    def next_look(self, now: float) -> float:
        """When to decide again (loop time), later than `now`; infinity: when told of a fact."""
        if self.override:
            return self.override.until
        if (self.load.has_silent or self.habitual) and self._has_come_down(now):
            return now
        ticks = self._needs_ticks and not self._is_closed
        tick = self.decider.next_look(now) if ticks else math.inf
        # Also while others need it: its own use may end, and with it theirs.
        step = math.inf if self._is_closed else self._next_step(now)
        return min(tick, step, self.next_change(now))

    def observe(self, counts: Counts, now: float) -> Observation:
        windows = self.decider.windows
        if windows.since_served:
            lately = self.load.lately(windows.panic, now)
        else:
            lately = self.load.means(windows.panic, now, by_age=windows.by_age)
        return Observation(
            desired=self.replicas,
            counts=counts,
            stable=self.load.means(
                windows.stable, now, by_age=windows.by_age, held=not windows.since_served
            ),
            panic=lately,
            in_flight=self.load.in_flight(now),
            queued=self.load.queued(now),
            gauges=self._gauges(counts, now),
            bounds=self.timetable.bounds if self.timetable else None,
            is_blind=self.load.is_blind(now),
        )

    def _gauges(self, counts: Counts, now: float) -> Mapping[MetricRule, Gauge]:
        gauges = {rule: believed(gauge, now) for rule, gauge in self.use.gauges.items()}
        if self.timing is not None:
            gauges |= self.timing.gauges(self.load, counts.ready, self.replicas, now)
        return gauges

    # The rest is private

    def _begin_anew(self, reason: str, now: float) -> None:
        """What was seen says nothing about now: nothing goes down for it."""
        self._unsettled = ""
        self.use.seen(now)
        self.decider.hold(self.replicas, "adopted", reason, now)
        self.use.hold(now + self.scaling.stable_window)

    def _shortest_ladder(self) -> float:
        """Seconds from the last activity to the first step down."""
        learned = LEAST_AWAKE if self.habitual else None
        ends = (self.scaling.idle.freeze_after, self.decider.stop_after, learned)
        return min((end for end in ends if end is not None), default=math.inf)

    def _ladder(self, last: float, now: float) -> Ladder:
        stop_after = self.decider.stop_after
        if self.habitual is not None and stop_after is not None:
            stop_after = self.habitual.stop_after(last, stop_after, now)
        return Ladder.of(self.scaling, stop_after, self.least)

    @property
    def _is_closed(self) -> bool:
        return self.timetable is not None and self.timetable.is_closed

    @property
    def _is_there(self) -> bool:
        return self.replicas > 0

    @property
    def _is_up(self) -> bool:
        return self.replicas > 0 and not self.frozen

    def _rung(self, last: float, now: float) -> Rung:
        return self._ladder(last, now).rung(last, self.use.held_until(there=self._is_there), now)

    def _next_step(self, now: float) -> float:
        last = self.use.last_of_all(there=self._is_there, up=self._is_up, now=now)
        held = self.use.held_until(there=self._is_there)
        ladder = self._ladder(last, now).next_step(last, held, now)
        own = self.decider.steps_down_at
        return min(ladder, own) if own > now else ladder

    def _awake(self, seen: Observation, now: float) -> Decision:
        """By the formula; told why, when it is others who keep it."""
        decision = self.decider.decide(seen, now)
        why = self.use.beside_requests(now)
        if not why or self.load.is_busy(now):
            return decision
        return replace(decision, reason=f"{decision.reason}; {why}")

    def _why_stopped(self, now: float) -> str:
        if self.habitual is not None and (why := self.habitual.why_asleep(now)):
            return why
        ours = self.scaling.policy == "tidegate"
        whose = "idle.stop_after" if ours else f"policy {self.scaling.policy}"
        return self.use.ended(self.decider.stop_after, whose)

    def _decided(self, decision: Decision) -> Decision:
        self.replicas, self.frozen = decision.replicas, decision.frozen
        self._needs_ticks = not is_settled(decision, self.scaling, self.decider, self.load)
        plain = not self._scheduled and not decision.inputs.gauges
        same = decision.mode is Mode.STABLE and decision.replicas == decision.before
        self._may_confirm = plain and same
        self.decided_at = decision.at
        self.planned = self.next_look(decision.at)
        return decision
