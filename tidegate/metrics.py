"""What the composition root itself measures, and the gateway's own counts for the scrape.

The gateway counts in plain numbers on its path; only a scrape turns them into samples.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from admin.ports import ReloadResult
from gateway.stats import GatewayStats, HistogramStats

_LAG = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)


class TidegateMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._reloads = Counter(
            "tidegate_config_reloads",
            "Reloads of the configuration by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.lag = Histogram(
            "tidegate_control_loop_lag_seconds",
            "How late timers of the control process fired.",
            buckets=_LAG,
            registry=registry,
        )
        Gauge(
            "tidegate_tasks",
            "What the control process has under way; only a leak grows without end.",
            registry=registry,
        ).set_function(_tasks)
        self._expiry = Gauge(
            "tidegate_certificate_expiry_timestamp_seconds",
            "Until when a certificate that is shown to clients is valid, since 1970.",
            ["certificate"],
            registry=registry,
        )

    def certificates(self, expiries: Mapping[str, float]) -> None:
        """All that there are now, by file."""
        self._expiry.clear()
        for file, expiry in expiries.items():
            self._expiry.labels(file).set(expiry)

    def reloaded(self, result: ReloadResult) -> None:
        self._reloads.labels("applied" if result.ok else "refused").inc()


def _tasks() -> int:
    """Of the loop that is scraped; none outside of one."""
    with contextlib.suppress(RuntimeError):
        return len(asyncio.all_tasks())
    return 0


class GatewayCollector(Collector):
    """The gateway's share of `/metrics`, made from `stats` at each scrape."""

    def __init__(self, stats: Callable[[], GatewayStats]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        stats = self._stats()
        yield _requests(stats)
        yield _histograms(
            "tidegate_request_duration_seconds",
            "From the first byte of a request to the last of its answer.",
            {name: service.duration for name, service in stats.services.items()},
            stats.bounds,
        )
        yield _histograms(
            "tidegate_queue_wait_seconds",
            "How long requests waited for a replica.",
            {name: service.queue_wait for name, service in stats.services.items()},
            stats.bounds,
        )
        yield from _gauges(stats)
        yield _by_reason(
            "tidegate_rejected",
            "Requests that the gateway refused, by reason.",
            {name: service.rejected for name, service in stats.services.items()},
        )
        yield _by_reason(
            "tidegate_retries",
            "Requests that were tried again, by reason.",
            {name: service.retries for name, service in stats.services.items()},
        )


def _requests(stats: GatewayStats) -> Metric:
    """Requests that matched no route have the empty service."""
    family = CounterMetricFamily(
        "tidegate_requests", "Requests by status code.", labels=["service", "code"]
    )
    for code, count in stats.unrouted.items():
        family.add_metric(["", str(code)], count)
    for name, service in stats.services.items():
        for code, count in service.requests.items():
            family.add_metric([name, str(code)], count)
    return family


def _histograms(
    name: str, help_text: str, values: Mapping[str, HistogramStats], bounds: Sequence[float]
) -> Metric:
    family = HistogramMetricFamily(name, help_text, labels=["service"])
    edges = [*(f"{bound:g}" for bound in bounds), "+Inf"]
    for service, histogram in values.items():
        cumulative = list(zip(edges, accumulate(histogram.buckets), strict=True))
        family.add_metric([service], cumulative, histogram.total)
    return family


def _gauges(stats: GatewayStats) -> Iterator[Metric]:
    in_flight = GaugeMetricFamily(
        "tidegate_in_flight", "Requests at a replica now.", labels=["service"]
    )
    queued = GaugeMetricFamily(
        "tidegate_queued", "Requests that wait for a replica now.", labels=["service"]
    )
    connections = GaugeMetricFamily(
        "tidegate_connections", "Open client connections.", labels=["listener"]
    )
    for name, service in stats.services.items():
        in_flight.add_metric([name], service.in_flight)
        queued.add_metric([name], service.queued)
    for listener, count in stats.connections.items():
        connections.add_metric([listener], count)
    shedding = GaugeMetricFamily(
        "tidegate_shedding",
        "Gateway processes that refuse clients because memory is short.",
        value=stats.shedding,
    )
    yield from (in_flight, queued, connections, shedding)


def _by_reason(name: str, help_text: str, values: Mapping[str, Mapping[str, int]]) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=["service", "reason"])
    for service, reasons in values.items():
        for reason, count in reasons.items():
            family.add_metric([service, reason], count)
    return family
