"""CPU and memory of a service's replicas, and what a rule makes of them.

Pure. Only ready replicas are measured. Those that are not ready yet, or too young to have a share
of CPU, are reckoned with the care of a HorizontalPodAutoscaler (kubernetes/kubernetes
pkg/controller/podautoscaler/replica_calculator.go): on the way up they count as using nothing, on
the way down as using all that they should, and neither turns the way round.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from autoscaler.gauges import Gauge
from cluster.model import Usage
from config.rules import CpuRule, MemoryRule
from config.service import Resources

UsageRule = CpuRule | MemoryRule
EVERY = 5.0  # seconds between samples
# CPU is averaged over as long as by the metrics server of Kubernetes: one burst is no load.
WINDOW = 15.0
_BELIEVED_FOR = 2 * EVERY + 1.0

_Samples = deque[tuple[float, Usage]]


class Consumption:
    """What the ready replicas of one service used lately, by instance."""

    def __init__(self) -> None:
        self._samples: dict[str, _Samples] = {}

    def record(self, usages: Mapping[str, Usage], now: float) -> None:
        """One more sample of each; whoever has none is forgotten."""
        self._samples = {
            instance: _extended(self._samples.get(instance), usage, now)
            for instance, usage in usages.items()
        }

    def cores(self, instance: str) -> float | None:
        """Used on average over the last WINDOW; None before its second sample."""
        samples = self._samples.get(instance)
        if samples is None or len(samples) < 2:
            return None
        (begun, first), (ended, last) = samples[0], samples[-1]
        return (last.cpu_seconds - first.cpu_seconds) / (ended - begun)

    def memory(self, instance: str) -> float | None:
        """Bytes, as last sampled."""
        samples = self._samples.get(instance)
        return float(samples[-1][1].memory) if samples else None


def usage_gauge(
    rule: UsageRule,
    resources: Resources,
    seen: Consumption,
    ready: Sequence[str],
    unready: int,
    now: float,
) -> Gauge:
    """The sum of shares of the `ready` instances; `unready` are those on their way or ill."""
    shares = [_share(rule, resources, seen, instance) for instance in ready]
    known = [share for share in shares if share is not None]
    gauge = reckoned(rule.target, known, unready + len(shares) - len(known))
    return replace(gauge, until=now + _BELIEVED_FOR)


def reckoned(target: float, known: Sequence[float], blind: int) -> Gauge:
    """Of the shares that are known, and so many replicas whose share is not."""
    if not known:
        return Gauge(None, "no replica was sampled yet")
    total = math.fsum(known)
    if not blind:
        return Gauge(total)
    there, asked = len(known) + blind, _replicas(total, target)
    if total > target * len(known):
        wish, counts = max(there, asked), "nothing"
    else:
        wish, counts = _replicas(total + blind * target, target), "full"
    says = f"{total:.3g} at {target:g} per replica asks for {asked}"
    others = f"{blind} without a sample count as {counts}: {wish}"
    return Gauge(total, f"{says}; {others}", wish=wish)


def _replicas(total: float, target: float) -> int:
    return math.ceil(round(total / target, 6))


def _share(rule: UsageRule, resources: Resources, seen: Consumption, instance: str) -> float | None:
    if isinstance(rule, CpuRule):
        used, whole = seen.cores(instance), resources.cpu or 1.0
    else:
        used, whole = seen.memory(instance), float(resources.memory or math.inf)
    return None if used is None else used / whole


def _extended(former: _Samples | None, usage: Usage, now: float) -> _Samples:
    samples: _Samples = former or deque()
    # Some of it was lost on the way: what is known begins anew.
    if samples and usage.cpu_seconds < samples[-1][1].cpu_seconds:
        samples.clear()
    samples.append((now, usage))
    while len(samples) > 2 and samples[1][0] <= now - WINDOW:
        samples.popleft()
    return samples
