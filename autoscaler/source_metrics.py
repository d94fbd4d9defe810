"""What is told of the sources of rules. Children exist only for rules that are configured.

`rule` is its place in `scaling.rules`, from 0: a service may have two of one metric.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge

from autoscaler.standing import Reading

Labels = tuple[str, str, str]  # service, metric, rule
_LABELS = ("service", "metric", "rule")


class SourceMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"tidegate_scaling_source_{name}", text, _LABELS, registry=registry)

        self._value = gauge(
            "value", "What a rule's source said last; absent while it says nothing."
        )
        self._latency = gauge("latency_seconds", "How long the source took to say it.")
        self._active = gauge("active", "1 while the rule wakes its service and keeps it awake.")
        self._errors = Counter(
            "tidegate_scaling_source_errors",
            "Questions that gave no value.",
            _LABELS,
            registry=registry,
        )

    def asked(self, labels: Labels, reading: Reading, is_active: bool) -> None:
        self._latency.labels(*labels).set(reading.took)
        self._active.labels(*labels).set(is_active)
        if reading.value is None:
            self._errors.labels(*labels).inc()
            self._value.remove(*labels)
        else:
            self._errors.labels(*labels)
            self._value.labels(*labels).set(reading.value)

    def forget(self, labels: Labels) -> None:
        """The rule is gone from the configuration."""
        for metric in (self._value, self._latency, self._active, self._errors):
            metric.remove(*labels)
