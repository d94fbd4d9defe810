"""The instruments of health, on a registry that is passed in."""

from prometheus_client import CollectorRegistry, Counter, Gauge


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
            "Replicas taken out of service for a while because of how they answered",
            ["service"],
            registry=registry,
        )
        self.held = Counter(
            "tidegate_evictions_held_total",
            "Evictions put off because most replicas of a service failed at the same time",
            ["service"],
            registry=registry,
        )

        self._ejected = Gauge(
            "tidegate_ejected",
            "Replicas that are out of service now because of how they answered",
            ["service"],
            registry=registry,
        )

    def ejected_now(self, service: str, count: int) -> None:
        """Only services that have any are told."""
        if count:
            self._ejected.labels(service).set(count)
        else:
            self._ejected.remove(service)
