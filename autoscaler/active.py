"""The services that are decided about, and what outlives that: gauges, leases, what was learned.

A policy is made at the first use after a sleep and goes when nothing is left to decide.
"""

import math
from collections.abc import Iterator, Mapping

from autoscaler.census import Census
from autoscaler.gauges import Gauge
from autoscaler.habits import Habits
from autoscaler.measurements import Measurements
from autoscaler.memories import Memories
from autoscaler.policy import Policy
from cluster.registry import Registry
from config.rules import MetricRule
from config.service import Service


class Active:
    """By service. Moments are loop time."""

    def __init__(self, registry: Registry, habits: Habits) -> None:
        self._policies: dict[str, Policy] = {}
        self._measurements = Measurements()
        self._memories = Memories()
        self._habits = habits
        self.has_habit = habits.has
        self._leased_until: dict[str, float] = {}
        self._census = Census(registry)
        self.measured_wishes = self._measurements.wishes
        self.counts = self._census.counts

    def __contains__(self, service: str) -> bool:
        return service in self._policies

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._policies))

    def __len__(self) -> int:
        return len(self._policies)

    def __getitem__(self, service: str) -> Policy:
        return self._policies[service]

    def get(self, service: str) -> Policy | None:
        return self._policies.get(service)

    def configure(self, specs: Mapping[str, Service]) -> Iterator[str]:
        """The active services with new rules, of those in the file. What was learned of a former
        revision is forgotten."""
        renewed = self._memories.renewed(specs)
        self._habits.keep_only(specs)
        for service in tuple(self._leased_until):
            if service not in specs or specs[service].endpoints:
                del self._leased_until[service]
        self._measurements.configure(
            {name: spec.scaling.metric_rules for name, spec in specs.items() if not spec.endpoints}
        )
        for service, policy in tuple(self._policies.items()):
            if service in renewed:
                policy.relearn()
            if policy.scaling != specs[service].scaling:
                policy.habitual = self._habits.of(specs[service])
                policy.configure(specs[service].scaling)
                yield service

    def begin(self, spec: Service) -> Policy:
        """The policy of a service, made now if there is none."""
        service = spec.name
        if (known := self._policies.get(service)) is None:
            gauges, memory = self._measurements.of(service), self._memories.of(service)
            known = self._policies[service] = Policy(
                spec.scaling, gauges, memory, self._habits.of(spec)
            )
            known.lease(self._leased_until.get(service, -math.inf))
            self._census.follow(service)
        return known

    def relearn(self, service: str) -> None:
        """Another revision is to serve."""
        self._memories.forget(service)
        if (policy := self._policies.get(service)) is not None:
            policy.relearn()

    def rest(self, service: str) -> None:
        """Nothing is left to decide about it until it is used again."""
        self._memories.keep(service, self._policies.pop(service).memory)
        self._census.leave(service)

    def forget(self, service: str) -> None:
        """Nobody scales it any more."""
        self._policies.pop(service, None)
        self._census.leave(service)
        self._memories.forget(service)
        self._habits.forget(service)
        self._leased_until.pop(service, None)

    def sleep_facts(self, spec: Service, now: float) -> dict[str, object]:
        """What was learned of its silences, for `explain`; empty: a plain timeout decides."""
        habitual = self._habits.of(spec)
        return {"sleep": habitual.facts(now)} if habitual else {}

    def lease(self, service: str, until: float) -> Policy | None:
        """It is leased until then; the policy to be looked at, if it is active."""
        self._leased_until[service] = until
        if (policy := self._policies.get(service)) is not None:
            policy.lease(until)
        return policy

    def measured(self, service: str, rule: MetricRule, gauge: Gauge) -> None:
        """Of one that sleeps."""
        self._measurements.note(service, rule, gauge)

    def keep_gauges(self, service: str, policy: Policy) -> None:
        """What is measured for it from now on is known while it sleeps as well."""
        self._measurements.keep(service, policy.use.gauges)
