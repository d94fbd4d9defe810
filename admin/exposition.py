"""`/metrics`: what a Prometheus registry holds, as text.

A scrape must not hold up control decisions: the event loop gets its turn after each metric that was
collected, and the text (more than half of the work) is written in a thread from that copy.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class _Collected(Collector):
    """A registry as it was: what the encoders want is only something with `collect`."""

    metrics: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


async def expose(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The text and its content type: OpenMetrics for whom asks for it, else the classic one."""
    encode, content_type = _encoder(accept)
    metrics = []
    for metric in registry.collect():
        metrics.append(metric)
        await asyncio.sleep(0)
    return await asyncio.to_thread(encode, _Collected(metrics)), content_type


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # prometheus-client stumbles over a version that is no number
        return choose_encoder("")
