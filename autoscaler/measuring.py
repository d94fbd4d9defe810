"""All that measures for rules by other means than the gateway's reports, as one thing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random

from autoscaler.gauges import Gauge
from autoscaler.poller import Poller
from autoscaler.sampler import Sampler
from autoscaler.source_metrics import SourceMetrics
from autoscaler.sources.kinds import Sources
from cluster.events import Events
from cluster.model import Usage
from cluster.registry import Registry
from cluster.tasks import Tasks
from config.rules import MetricRule
from config.service import Service


class Measuring:
    """`usage` is the runtime's; `tell` is told what was found for a rule of a service."""

    def __init__(
        self,
        registry: Registry,
        usage: Callable[[Sequence[str]], Awaitable[Mapping[str, Usage]]],
        tell: Callable[[str, MetricRule, Gauge], None],
        tasks: Tasks,
        events: Events,
        metrics: SourceMetrics,
        clock: Callable[[], float],
        rng: Random,
    ) -> None:
        self._sources = Sources()
        self._poller = Poller(self._sources.open, tell, tasks, events, metrics, clock, rng)
        self._sampler = Sampler(registry, usage, tell, tasks, clock)

    def configure(self, specs: Mapping[str, Service]) -> None:
        """Ask what these need; what replicas use is sampled as the registry tells of them."""
        self._poller.configure(specs)

    async def close(self) -> None:
        """Measure no more, for good."""
        self._sampler.close()
        await self._poller.close()
        await self._sources.close()
