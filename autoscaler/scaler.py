"""Acts on the policies: the only writer of what is *desired*.

A service has a policy while there is anything to decide about it; asleep it has only its history.
A wake does not wait for a tick: the wish is written before the call returns.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from autoscaler import sparing
from autoscaler.active import Active
from autoscaler.agenda import Agenda
from autoscaler.chronicle import Chronicle
from autoscaler.clocks import COMPARE_EVERY, Clocks
from autoscaler.decider import TICK, configured
from autoscaler.decision import Bounds, Decision
from autoscaler.explain import explain_asleep, explain_awake
from autoscaler.gauges import Gauge
from autoscaler.habits import Habits
from autoscaler.manual import override
from autoscaler.metrics import AutoscalerMetrics
from autoscaler.needs import Links, Need
from autoscaler.policy import Policy
from autoscaler.record import Record
from autoscaler.schedules import standing
from cluster.events import Events
from cluster.lifecycle import State
from cluster.messages import LoadReport, Wake
from cluster.model import Desired, Mode, Replica
from cluster.registry import Registry
from config.rules import MetricRule
from config.service import Service

log = logging.getLogger("tidegate.autoscaler")

_AT_ONCE = 100  # looks in a row, or one at who sleeps: then it is the turn of the rest of us
_CLOCKS = ""  # in the agenda; no service has this name
# Seconds after which a decision that was only confirmed is made at length again: one in so many of
# a round, and at least one.
RECORD_IS_OLD = 60.0
AT_LENGTH = 100

_NEVER_SCALED = "its endpoints are run by others: never scaled"


class Scaler:
    """`clock` is loop time in seconds, `wall` seconds since 1970."""

    def __init__(
        self,
        registry: Registry,
        events: Events,
        clock: Callable[[], float],
        wall: Callable[[], float],
        metrics: AutoscalerMetrics,
        habits: Habits | None = None,
    ) -> None:
        self._registry = registry
        self._events = events
        self._clock = clock
        self._wall = wall
        self._metrics = metrics
        self._configured: Mapping[str, Service] = {}
        self._active = Active(registry, habits or Habits(clock, wall))
        self._chronicle = Chronicle(registry, events, clock, wall, metrics)
        self._scheduled: set[str] = set()
        self._clocks = Clocks(wall(), clock())
        self._agenda = Agenda(clock)
        self._links = Links()
        self._is_noting_needs = False
        self._at_length = 0
        registry.on_replica(self._follow)

    # What is told

    def configure(self, specs: Mapping[str, Service]) -> None:
        """Services with `min` or a schedule are decided about at once, changed rules apply at once,
        services that left the file (or whose endpoints others run now) are wanted no more."""
        former, now = self._configured, self._clock()
        self._configured = specs
        self._links = Links.of(specs)
        for service in {*self._chronicle, *self._active}:
            if not self._is_scaled(service):
                self._forget(service)
        for service in self._active.configure(specs):
            self._decide(service, now)
        self._scheduled = {name for name, spec in specs.items() if spec.scaling.schedules}
        self._agenda.plan(_CLOCKS, now + COMPARE_EVERY if self._scheduled else math.inf)
        for service, spec in specs.items():
            if service not in self._active and not spec.endpoints:
                self._begin(spec, former.get(service), now)
        for service in self._active:
            self._note_needs(service, now)
            if not self._links.company(service):
                self._need(service, None, now)

    def wake(self, message: Wake) -> None:
        """Wants a replica before it returns, unless some are wanted already or none may be."""
        if self._is_scaled(message.service):
            self._wake(message.service)

    def report(self, message: LoadReport) -> None:
        """Also wakes a service that should have been awake: demand has nowhere to go."""
        service = message.service
        demand = message.keeping_awake + message.rejected > 0
        if not self._is_scaled(service) or (service not in self._active and not demand):
            return
        policy, now = self._policy(service), self._clock()
        policy.record(message)
        if demand and policy.is_asleep(now):
            self._wake(service)
        else:
            self._agenda.hasten(service, policy.next_look(now))
            if demand:
                self._note_needs(service, now)

    def measured(self, service: str, rule: MetricRule, gauge: Gauge) -> None:
        """What was found for a rule by other means than reports; an active one wakes."""
        if not self._is_scaled(service):
            return
        if service not in self._active and not gauge.is_active:
            self._active.measured(service, rule, gauge)
            return
        policy, now = self._policy(service), self._clock()
        self._active.keep_gauges(service, policy)
        policy.measured(rule, gauge, now)
        if gauge.is_active and policy.is_asleep(now):
            self._rouse(service, f"{rule.metric}, which {gauge.cause}", now)
        else:
            self._agenda.hasten(service, policy.next_look(now))

    def relearn(self, service: str) -> None:
        """It runs another revision although its file is the same: a roll-back, or its end."""
        self._active.relearn(service)

    def adopt(self, service: str, replicas: int) -> None:
        """These were running before a restart: hold as many until a full stable window was seen."""
        if replicas > 0 and self._is_scaled(service):
            now = self._clock()
            self._policy(service).adopt(replicas, now)
            self._decide(service, now)

    def scale(self, service: str, replicas: int, duration: float | None, now: float) -> None:
        """By hand, for `duration` seconds or until `automatic`.

        Raises KeyError for an unknown service, ValueError (for the operator) for a wrong number.
        """
        spec = self._specs[service]
        if spec.endpoints:
            raise ValueError(f"{service} cannot be scaled: {_NEVER_SCALED}")
        asked = override(replicas, duration, spec.scaling, now)
        self._policy(service).override = asked
        self._decide(service, now)

    def automatic(self, service: str) -> None:
        """Back to the rules, at once. Nothing happens when it is automatic already."""
        policy = self._active.get(service)
        if policy and policy.override:
            policy.let_go(self._clock())
            self._decide(service, self._clock())

    def rouse(self, service: str, by: str) -> None:
        """Wake it for somebody other than a request; nothing happens when it is awake."""
        self._rouse(service, by, self._clock())

    def idle_since(self, service: str) -> float | None:
        """When it was in use last (loop time); None while it may not be put to sleep."""
        policy = self._active.get(service)
        return sparing.idle_since(policy, self._clock()) if policy else None

    def put_to_sleep(self, service: str, why: str) -> None:
        """Before its time, for others that need its room; nothing happens when it must stay."""
        policy, now, counts = self._active.get(service), self._clock(), self._active.counts(service)
        if policy and (decision := sparing.put_to_sleep(policy, why, counts, now)):
            self._act(service, decision, now)

    def keep_until(self, service: str, until: float) -> None:
        """It is leased until then (loop time): it neither freezes nor stops, nor does it wake.

        Raises ValueError (for the operator) when it cannot be.
        """
        if self._specs[service].endpoints:
            raise ValueError(f"{service} cannot be leased: {_NEVER_SCALED}")
        if self._active.lease(service, until):
            self._agenda.hasten(service, self._clock())

    # What is asked

    def decisions(self, service: str) -> Sequence[Record]:
        """Newest first, `at` in wall-clock seconds."""
        return self._chronicle.newest_first(service)

    def last_decision(self, service: str) -> Record | None:
        return self._chronicle.latest(service)

    def bounds(self, service: str) -> Bounds:
        """Between how many replicas it has to be now. Raises KeyError for an unknown service."""
        scaling = self._specs[service].scaling
        if service not in self._scheduled:
            return configured(scaling)
        return standing(scaling, self._wall()).bounds

    def explain(self, service: str, now: float) -> dict[str, object]:
        """The inputs, every rule's wish, the limits that changed it, the outcome (JSON-able).

        Raises KeyError for an unknown service.
        """
        spec = self._specs[service]
        desired = self._registry.desired(service)
        policy = self._active.get(service)
        if policy:
            story = explain_awake(policy, self._active.counts(service), now)
        else:
            why = _NEVER_SCALED if spec.endpoints else ""
            change_in = self._agenda.moment(service) - now
            story = explain_asleep(
                desired, why, change_in, self._active.measured_wishes(service, now)
            )
        # One who sleeps is not decided about: its last decision stands.
        last = None if policy else self.last_decision(service)
        story |= self._active.sleep_facts(spec, now)
        return {"service": service, "at": last.at if last else self._wall(), **story}

    # The loop

    async def run(self) -> None:
        """Decides whenever something is due, for ever."""
        while True:
            for _ in self._round(await self._agenda.next_due()):
                await asyncio.sleep(0)

    def decide_due(self, now: float) -> None:
        """One round, without a break."""
        tuple(self._round(now))

    def _round(self, now: float) -> Iterator[None]:
        """Whatever is due by now, with breaks for the rest of the process."""
        due = self._agenda.take(now)
        self._at_length = 1 + len(due) // AT_LENGTH
        for count, service in enumerate(due, 1):
            if count % _AT_ONCE == 0 or service not in self._active:
                yield
            if service == _CLOCKS:
                self._compare_clocks(now)
            else:
                self._look(service, now)

    def _compare_clocks(self, now: float) -> None:
        """What was planned by a clock that jumped is due now."""
        self._agenda.plan(_CLOCKS, now + COMPARE_EVERY)
        if news := self._clocks.news(self._wall(), self._clock()):
            self._events.emit("clock-jumped", f"{news}: all schedules are looked at")
            for service in self._scheduled:
                self._agenda.hasten(service, now)

    def _look(self, service: str, now: float) -> None:
        """A bug about one service must not stop the others: it is looked at again later."""
        try:
            policy = self._active.get(service)
            if policy is not None and self._confirms(service, policy, now):
                self._agenda.plan(service, policy.planned)
            elif policy is not None or self._is_scaled(service):
                self._decide(service, now)
            # Else it left the file while it was due.
        except Exception:
            log.exception(
                "no decision about %s; this is a bug, please report it",
                service,
                extra={"service": service},
            )
            self._agenda.plan(service, now + TICK)

    def _confirms(self, service: str, policy: Policy, now: float) -> bool:
        if now - policy.decided_at >= RECORD_IS_OLD and self._renews():
            return False
        if self._links.company(service):
            return False
        return policy.confirms(self._active.counts(service), now)

    def _renews(self) -> bool:
        """A few in each round are decided at length, so that no record gets old."""
        self._at_length -= 1
        return self._at_length >= 0

    # Acting

    def _wake(self, service: str) -> None:
        now = self._clock()
        policy = self._policy(service)
        decision = policy.wake(self._active.counts(service), now)
        if decision is None:
            self._agenda.hasten(service, policy.next_look(now))
            self._note_needs(service, now)
            return
        self._start_up(service, decision, now)

    def _rouse(self, service: str, by: str, now: float) -> None:
        decision = self._policy(service).rouse(by, self._active.counts(service), now)
        if decision is not None and decision.replicas > 0:
            self._start_up(service, decision, now)

    def _start_up(self, service: str, decision: Decision, now: float) -> None:
        if decision.before == 0 and decision.replicas > 0:
            self._metrics.cold_start(service)
        self._act(service, decision, now)

    def _note_needs(self, service: str, now: float) -> None:
        """Who of those linked with it must be awake, from the whole state; wakes them at once."""
        company = self._links.company(service)
        if not company or self._is_noting_needs:
            return
        self._is_noting_needs = True
        try:
            known = ((name, self._active.get(name)) for name in company)
            used = [name for name, policy in known if policy and policy.is_used(now)]
            awake = [name for name in company if _is_awake(self._registry.desired(name))]
            needs = self._links.needs(used, awake)
            for name in company:
                self._need(name, needs.get(name), now)
        finally:
            self._is_noting_needs = False

    def _need(self, service: str, need: Need | None, now: float) -> None:
        policy = self._active.get(service)
        if need is not None:
            self._policy(service).need(need, now)
            self._rouse(service, need.why, now)
        elif policy is not None and policy.is_needed:
            policy.need(None, now)
            self._agenda.hasten(service, now)

    def _begin(self, spec: Service, former: Service | None, now: float) -> None:
        """Decides what has to be, though nobody asks; what takes long for many, in the loop."""
        may_wake = spec.name in self._scheduled or self._active.has_habit(spec)
        is_new = may_wake and (former is None or former.scaling != spec.scaling)
        must_be = spec.scaling.min > 0 or self._registry.desired(spec.name).refusal
        if must_be or (is_new and spec.name in self._scheduled):
            self._decide(spec.name, now)
        elif is_new:
            self._agenda.hasten(spec.name, now)

    def _decide(self, service: str, now: float) -> None:
        self._note_needs(service, now)
        decision = self._policy(service).decide(self._active.counts(service), now)
        self._act(service, decision, now)

    def _act(self, service: str, decision: Decision, now: float) -> None:
        """The wish is the last to be written: whoever is told of it may look at all the rest."""
        former = self._registry.desired(service)
        policy = self._policy(service)
        wanted = Desired(
            decision.replicas, decision.mode, decision.reason, decision.frozen, policy.refusal()
        )
        self._chronicle.record(service, decision, former, wanted)
        self._metrics.confirmed(service, policy.confirmed)
        policy.confirmed = 0
        self._agenda.plan(service, policy.next_look(now))
        if policy.is_over():
            self._active.rest(service)
            self._chronicle.rest(service)
            self._agenda.plan(service, policy.next_change(now))
        self._chronicle.tell(service, former, wanted)
        # Another reason for the same wish is no news for those who act on it.
        if not wanted.is_wish_of(former):
            self._registry.want(service, wanted)
        self._note_needs(service, now)

    def _forget(self, service: str) -> None:
        self._active.forget(service)
        self._chronicle.forget(service)
        self._agenda.plan(service, math.inf)
        self._registry.want(service, Desired(0, Mode.IDLE, "no longer in the configuration"))

    # Facts

    def _follow(self, replica: Replica) -> None:
        policy = self._active.get(replica.service)
        if policy is not None and replica.state is State.READY:
            policy.serve(self._clock())

    @property
    def _specs(self) -> Mapping[str, Service]:
        """Before the first `configure` the registry's: replicas are adopted that early."""
        return self._configured or self._registry.specs

    def _is_scaled(self, service: str) -> bool:
        spec = self._specs.get(service)
        return spec is not None and not spec.endpoints

    def _policy(self, service: str) -> Policy:
        """Told what time it is."""
        policy = self._active.begin(self._specs[service])
        policy.tell_time(self._wall(), self._clock())
        return policy


def _is_awake(wanted: Desired) -> bool:
    return wanted.replicas > 0 and not wanted.frozen
