"""Samples what replicas use, for services that have such a rule and while they are awake.

One task for all of them, one call of the runtime for each turn, and nothing while all sleep.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from autoscaler.consumption import EVERY, Consumption, UsageRule, usage_gauge
from autoscaler.gauges import Gauge
from cluster.lifecycle import State
from cluster.model import Usage
from cluster.registry import Registry
from cluster.runtime import RuntimeFailure
from cluster.tasks import Tasks
from config.rules import CpuRule, MemoryRule
from config.service import Service

Tell = Callable[[str, UsageRule, Gauge], None]
_UNREADY = (State.STARTING, State.UNHEALTHY)


class Sampler:
    """`usage` is the runtime's, `tell` is told each gauge."""

    def __init__(
        self,
        registry: Registry,
        usage: Callable[[Sequence[str]], Awaitable[Mapping[str, Usage]]],
        tell: Tell,
        tasks: Tasks,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._usage = usage
        self._tell = tell
        self._tasks = tasks
        self._clock = clock
        self._seen: dict[str, Consumption] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        registry.on_service(self._on_service)

    def close(self) -> None:
        """Sample no more, for good."""
        self._closed = True
        self._seen.clear()
        if self._task is not None:
            self._task.cancel()

    def _on_service(self, service: str) -> None:
        if self._closed:
            return
        if not _rules(self._registry.specs.get(service)) or not self._ready(service):
            self._seen.pop(service, None)
            return
        self._seen.setdefault(service, Consumption())
        if self._task is None or self._task.done():
            self._task = self._tasks.start(self._keep_sampling(), "sample what replicas use")

    async def _keep_sampling(self) -> None:
        while self._seen:
            await self._sample()
            await asyncio.sleep(EVERY)

    async def _sample(self) -> None:
        ready = {service: self._ready(service) for service in self._seen}
        instances = [instance for one in ready.values() for instance in one]
        try:
            usages = await self._usage(instances)
        except RuntimeFailure as failure:
            self._tell_of(failure)
            return
        now = self._clock()
        for service, seen in tuple(self._seen.items()):
            asked = ready.get(service, ())
            seen.record({id: usages[id] for id in asked if id in usages}, now)
            self._measure(service, seen, now)

    def _measure(self, service: str, seen: Consumption, now: float) -> None:
        spec = self._registry.specs[service]
        states = [replica.state for replica in self._registry.replicas(service)]
        unready = sum(state in _UNREADY for state in states)
        ready = self._ready(service)
        for rule in _rules(spec):
            gauge = usage_gauge(rule, spec.resources, seen, ready, unready, now)
            self._tell(service, rule, gauge)

    def _tell_of(self, failure: RuntimeFailure) -> None:
        for service in tuple(self._seen):
            for rule in _rules(self._registry.specs[service]):
                self._tell(service, rule, Gauge(None, failure.message))

    def _ready(self, service: str) -> list[str]:
        return [
            replica.instance
            for replica in self._registry.replicas(service)
            if replica.state is State.READY and replica.instance is not None
        ]


def _rules(spec: Service | None) -> list[UsageRule]:
    if spec is None or spec.endpoints:
        return []
    return [rule for rule in spec.scaling.rules if isinstance(rule, CpuRule | MemoryRule)]
