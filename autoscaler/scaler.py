"""Acts on the policies: the only writer of what is *desired*.

A service has a policy while there is anything to decide about it; asleep it has only its history.
A wake does not wait for a tick: the wish is written before the call returns.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from autoscaler.agenda import Agenda
from autoscaler.decision import Counts, Decision
from autoscaler.explain import explain_asleep, explain_awake
from autoscaler.history import History
from autoscaler.manual import override
from autoscaler.metrics import DOWN, FREEZE, KEEP, THAW, UP, AutoscalerMetrics
from autoscaler.policy import TICK, Policy
from cluster.events import Events
from cluster.lifecycle import State
from cluster.messages import LoadReport, Wake
from cluster.model import Desired, Mode
from cluster.registry import Registry
from config.service import Service

log = logging.getLogger("tidegate.autoscaler")

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
    ) -> None:
        self._registry = registry
        self._events = events
        self._clock = clock
        self._wall = wall
        self._metrics = metrics
        self._configured: Mapping[str, Service] = {}
        self._policies: dict[str, Policy] = {}
        self._histories: dict[str, History] = {}
        self._agenda = Agenda(clock)

    # What is told

    def configure(self, specs: Mapping[str, Service]) -> None:
        """Services with `min` are wanted at once, changed rules apply at once, services that
        left the file (or whose endpoints are now run by others) are wanted no more."""
        self._configured, now = specs, self._clock()
        for service in {*self._histories, *self._policies}:
            if not self._is_scaled(service):
                self._forget(service)
        for service, policy in tuple(self._policies.items()):
            if policy.scaling != specs[service].scaling:
                policy.configure(specs[service].scaling)
                self._decide(service, now)
        for service, spec in specs.items():
            if spec.scaling.min > 0 and service not in self._policies and not spec.endpoints:
                self._decide(service, now)

    def wake(self, message: Wake) -> None:
        """Wants a replica before it returns, unless some are wanted already or none may be."""
        if self._is_scaled(message.service):
            self._wake(message.service)

    def report(self, message: LoadReport) -> None:
        """Also wakes a service that should have been awake: demand has nowhere to go."""
        service = message.service
        if not self._is_scaled(service):
            return
        demand = message.keeping_awake + message.rejected > 0
        if service not in self._policies and not demand:
            return
        policy, now = self._policy(service), self._clock()
        policy.record(message)
        if demand and policy.is_asleep(now):
            self._wake(service)
        elif message.silent and policy.has_come_down(now):
            self._decide(service, now)
        else:
            self._agenda.hasten(service, policy.next_look(now))

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
        policy = self._policies.get(service)
        if policy and policy.override:
            policy.override = None
            self._decide(service, self._clock())

    # What is asked

    def decisions(self, service: str) -> Sequence[Decision]:
        """Newest first, `at` in wall-clock seconds."""
        history = self._histories.get(service)
        return history.newest_first() if history else ()

    def mode(self, service: str) -> Mode:
        return self._registry.desired(service).mode

    def explain(self, service: str, now: float) -> dict[str, object]:
        """The inputs, every rule's wish, the limits that changed it, the outcome (JSON-able).

        Raises KeyError for an unknown service.
        """
        spec = self._specs[service]
        desired = self._registry.desired(service)
        policy = self._policies.get(service)
        if policy:
            story = explain_awake(policy, self._counts(service), now)
        else:
            story = explain_asleep(desired, _NEVER_SCALED if spec.endpoints else "")
        return {"service": service, "at": self._wall(), **story}

    # The loop

    async def run(self) -> None:
        """Decides whenever something is due, for ever."""
        while True:
            now = await self._agenda.next_due()
            for service in self._agenda.take(now):
                self._look(service, now)

    def _look(self, service: str, now: float) -> None:
        """A bug about one service must not stop the others: it is looked at again later."""
        try:
            self._decide(service, now)
        except Exception:
            log.exception(
                "no decision about %s; this is a bug, please report it",
                service,
                extra={"service": service},
            )
            self._agenda.plan(service, now + TICK)

    # Acting

    def _wake(self, service: str) -> None:
        now = self._clock()
        policy = self._policy(service)
        decision = policy.wake(self._counts(service), now)
        if decision is None:
            self._agenda.hasten(service, policy.next_look(now))
            return
        if decision.before == 0 and decision.replicas > 0:
            self._metrics.cold_start(service)
        self._act(service, decision, now)

    def _decide(self, service: str, now: float) -> None:
        decision = self._policy(service).decide(self._counts(service), now)
        self._act(service, decision, now)

    def _act(self, service: str, decision: Decision, now: float) -> None:
        """The wish is the last to be written: whoever is told of it may look at all the rest."""
        former = self._registry.desired(service)
        wanted = Desired(decision.replicas, decision.mode, decision.reason, decision.frozen)
        self._record(service, decision, direction=_direction(former, wanted))
        policy = self._policies[service]
        self._agenda.plan(service, policy.next_look(now))
        if policy.is_over():
            del self._policies[service]
            self._agenda.plan(service, math.inf)
        self._tell(service, former, wanted)
        # Another reason for the same wish is no news for those who act on it.
        if (former.replicas, former.frozen, former.mode) != (
            wanted.replicas,
            wanted.frozen,
            wanted.mode,
        ):
            self._registry.want(service, wanted)

    def _record(self, service: str, decision: Decision, direction: str) -> None:
        history = self._histories.setdefault(service, History())
        history.add(replace(decision, at=self._wall()))
        self._metrics.decided(service, decision, direction)

    def _tell(self, service: str, former: Desired, wanted: Desired) -> None:
        match _direction(former, wanted):
            case "up" | "down":
                change = f"{former.replicas} → {wanted.replicas} replicas"
                self._events.emit(
                    "scaled", f"{service}: {change}: {wanted.reason}", service=service
                )
            case "freeze":
                self._events.emit("frozen", f"{service}: frozen: {wanted.reason}", service=service)
            case "thaw":
                self._events.emit("thawed", f"{service}: {wanted.reason}", service=service)

    def _forget(self, service: str) -> None:
        self._policies.pop(service, None)
        self._histories.pop(service, None)
        self._agenda.plan(service, math.inf)
        self._metrics.forget(service)
        self._registry.want(service, Desired(0, Mode.IDLE, "no longer in the configuration"))

    # Facts

    @property
    def _specs(self) -> Mapping[str, Service]:
        """Before the first `configure` the registry's: replicas are adopted that early."""
        return self._configured or self._registry.specs

    def _is_scaled(self, service: str) -> bool:
        spec = self._specs.get(service)
        return spec is not None and not spec.endpoints

    def _policy(self, service: str) -> Policy:
        """Made at its first use after a sleep."""
        known = self._policies.get(service)
        if known is None:
            known = self._policies[service] = Policy(self._specs[service].scaling)
        return known

    def _counts(self, service: str) -> Counts:
        states = Counter(replica.state for replica in self._registry.replicas(service))
        return Counts(states[State.READY], states[State.STARTING], states[State.FROZEN])


def _direction(former: Desired, wanted: Desired) -> str:
    if former.replicas != wanted.replicas:
        return UP if wanted.replicas > former.replicas else DOWN
    if former.frozen != wanted.frozen:
        return FREEZE if wanted.frozen else THAW
    return KEEP
