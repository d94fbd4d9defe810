"""What was decided, and what came of it: kept for who asks, told to who listens.

Follows the registry: a decision is complete when the replicas it wanted are there, or when it is
known why they are not.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from autoscaler.archive import Archive
from autoscaler.decision import Decision
from autoscaler.metrics import AutoscalerMetrics
from autoscaler.news import direction, news
from autoscaler.record import Record
from autoscaler.result import Presence
from cluster.events import Events
from cluster.lifecycle import State
from cluster.model import Desired
from cluster.registry import Registry


class Chronicle:
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
        self._archive = Archive()
        registry.on_service(self._follow)

    def __iter__(self) -> Iterator[str]:
        """The services about which something was decided."""
        return iter(self._archive)

    def record(self, service: str, decision: Decision, former: Desired, wanted: Desired) -> None:
        changed = self._archive.add(service, replace(decision, at=self._wall()), self._clock())
        if changed:
            self._follow(service)
        self._metrics.decided(service, decision, direction(former, wanted))

    def tell(self, service: str, former: Desired, wanted: Desired) -> None:
        """An event for each change."""
        if told := news(former, wanted):
            kind, what = told
            self._events.emit(kind, f"{service}: {what}", service=service)

    def newest_first(self, service: str) -> Sequence[Record]:
        """`at` is in wall-clock seconds."""
        return self._archive.newest_first(service, self._clock())

    def latest(self, service: str) -> Record | None:
        return self._archive.latest(service, self._clock())

    def rest(self, service: str) -> None:
        """Nothing will be decided about it until it is used again."""
        self._archive.rest(service)

    def forget(self, service: str) -> None:
        self._archive.forget(service)
        self._metrics.forget(service)

    def _follow(self, service: str) -> None:
        """Something about it changed: what was decided may have come true."""
        if self._archive.is_open(service):
            self._archive.observe(service, self._presence(service), self._clock())

    def _presence(self, service: str) -> Presence:
        states = Counter(replica.state for replica in self._registry.replicas(service))
        present = states.total() - states[State.STOPPED] - states[State.FAILED]
        trouble = self._registry.trouble(service)
        why = f"{trouble.code}: {trouble}" if trouble else ""
        return Presence(states[State.READY], states[State.FROZEN], present, why)
