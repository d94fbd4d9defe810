"""The instruments of health, on a registry that is passed in."""

from prometheus_client import CollectorRegistry, Counter


class HealthMetrics:
    """`kind`: startup readiness liveness recovery confirm; `outcome`: passed failed unknown."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.probes = Counter(
            "tidegate_probes_total",
            "Health probes made",
            ["service", "kind", "outcome"],
            registry=registry,
        )
        self.ejections = Counter(
            "tidegate_ejections_total",
            "Replicas taken out of service for a while because their requests failed",
            ["service"],
            registry=registry,
        )
        self.held = Counter(
            "tidegate_evictions_held_total",
            "Evictions put off because most replicas of a service failed at the same time",
            ["service"],
            registry=registry,
        )
