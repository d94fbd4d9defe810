"""Counts of several gateway processes as one.

Pure. A process that ended keeps its share of what was counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from gateway.stats import GatewayStats, HistogramStats, ServiceStats

K = TypeVar("K")


def merged(parts: Sequence[GatewayStats], now: float) -> GatewayStats:
    """Sums, service by service; bucket bounds are the same everywhere."""
    if len(parts) == 1:
        return parts[0]
    names = {name: None for part in parts for name in part.services}
    return GatewayStats(
        at=now,
        services={
            name: _sum([part.services[name] for part in parts if name in part.services])
            for name in names
        },
        unrouted=_add([part.unrouted for part in parts]),
        connections=_add([part.connections for part in parts]),
        shedding=sum(part.shedding for part in parts),
    )


def of_the_dead(stats: GatewayStats) -> GatewayStats:
    """What remains of a process that is gone: its counts, but nothing that was there just now."""
    return replace(
        stats,
        services={
            name: replace(service, in_flight=0, queued=0, endpoints={}, quiet=0)
            for name, service in stats.services.items()
        },
        connections={},
        shedding=0,
    )


def _sum(parts: Sequence[ServiceStats]) -> ServiceStats:
    return ServiceStats(
        in_flight=sum(part.in_flight for part in parts),
        queued=sum(part.queued for part in parts),
        requests=_add([part.requests for part in parts]),
        duration=_overlay([part.duration for part in parts]),
        queue_wait=_overlay([part.queue_wait for part in parts]),
        rejected=_add([part.rejected for part in parts]),
        retries=_add([part.retries for part in parts]),
        cold_start_waits=sum(part.cold_start_waits for part in parts),
        endpoints=_add([part.endpoints for part in parts]),
        quiet=sum(part.quiet for part in parts),
    )


def _overlay(parts: Sequence[HistogramStats]) -> HistogramStats:
    return HistogramStats(
        tuple(map(sum, zip(*(part.buckets for part in parts), strict=True))),
        sum(part.total for part in parts),
    )


def _add(parts: Sequence[dict[K, int]]) -> dict[K, int]:
    total: Counter[K] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)
