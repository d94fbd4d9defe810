"""The names and labels of the contract, and no child before its first use."""

from prometheus_client import CollectorRegistry, generate_latest

from health.metrics import HealthMetrics


def test_the_names_are_the_contracts() -> None:
    registry = CollectorRegistry()
    metrics = HealthMetrics(registry)
    assert b"{" not in generate_latest(registry)

    metrics.probes.labels("web", "startup", "passed").inc()
    metrics.ejections.labels("web").inc()
    text = generate_latest(registry).decode()
    assert 'tidegate_probes_total{kind="startup",outcome="passed",service="web"} 1.0' in text
    assert 'tidegate_ejections_total{service="web"} 1.0' in text
