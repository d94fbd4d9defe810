"""What the autoscaler counts. Children exist only for services that were used."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from autoscaler.decision import Decision
from autoscaler.news import DIRECTIONS, KEEP
from cluster.model import Mode


class AutoscalerMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._desired = Gauge(
            "tidegate_desired_replicas",
            "Replicas that the autoscaler wants.",
            ["service"],
            registry=registry,
        )
        self._panic = Gauge(
            "tidegate_panic_mode",
            "1 while the autoscaler is in panic about the service.",
            ["service"],
            registry=registry,
        )
        self._decisions = Counter(
            "tidegate_decisions",
            "Scaling decisions by what they changed.",
            ["service", "direction"],
            registry=registry,
        )
        self._cold_starts = Counter(
            "tidegate_cold_starts",
            "Requests that woke a service with no replica at all.",
            ["service"],
            registry=registry,
        )

        self._shown: dict[str, tuple[Gauge, Gauge]] = {}  # to look them up takes longer than to set

    def decided(self, service: str, decision: Decision, direction: str) -> None:
        self._decisions.labels(service, direction).inc()
        if (shown := self._shown.get(service)) is None:
            shown = self._desired.labels(service), self._panic.labels(service)
            self._shown[service] = shown
        shown[0].set(decision.replicas)
        shown[1].set(decision.mode is Mode.PANIC)

    def confirmed(self, service: str, decisions: int) -> None:
        """So many changed nothing."""
        if decisions:
            self._decisions.labels(service, KEEP).inc(decisions)

    def cold_start(self, service: str) -> None:
        self._cold_starts.labels(service).inc()

    def forget(self, service: str) -> None:
        """The service is gone from the configuration."""
        self._shown.pop(service, None)
        for direction in DIRECTIONS:
            self._decisions.remove(service, direction)
        for metric in (self._desired, self._panic, self._cold_starts):
            metric.remove(service)
