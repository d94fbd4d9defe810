"""What a simulation came to, in numbers and over time.

Pure.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from simulation.ledger import Ledger
from simulation.meter import Cost

GIB = 2**30
DELAYED = 0.001  # seconds: what is less nobody notices


@dataclass(frozen=True, slots=True)
class Sample:
    """All services together, at one moment (seconds from the start). `arrivals` since the last."""

    at: float
    ready: int
    present: int
    frozen: int
    desired: int
    in_flight: int
    queued: int
    arrivals: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds until a replica had them, of all requests that were served."""

    p50: float
    p95: float
    p99: float
    max: float
    mean: float
    delayed: float  # share of requests that waited longer than DELAYED


@dataclass(frozen=True, slots=True)
class Outcome:
    """`actions` are changes of a service's number of replicas, `turns` those that go against the
    one before. `gigabyte_seconds` are of all replicas, frozen ones too."""

    requests: int
    failed: int
    statuses: Mapping[int, int]
    wait: Wait
    cold_starts: int
    starts: int
    replica_seconds: float
    frozen_seconds: float
    gigabyte_seconds: float
    actions: int
    turns: int
    series: Sequence[Sample] = field(default=(), repr=False)
    waits: Sequence[float] = field(default=(), repr=False)

    def price(self, replica_hour: float, gigabyte_hour: float) -> float:
        awake = self.replica_seconds - self.frozen_seconds
        return (awake * replica_hour + self.gigabyte_seconds * gigabyte_hour) / 3600


def wait_of(ledger: Ledger) -> Wait:
    """Nearest-rank percentiles; those that did not wait waited nothing."""
    waits = sorted(ledger.waits)
    served = ledger.at_once + len(waits)

    def percentile(share: float) -> float:
        rank = math.ceil(share * served) - ledger.at_once
        return waits[rank - 1] if rank > 0 else 0.0

    if not served:
        return Wait(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return Wait(
        percentile(0.5), percentile(0.95), percentile(0.99), waits[-1] if waits else 0.0,
        sum(waits) / served, sum(wait > DELAYED for wait in waits) / served,
    )  # fmt: skip


def gigabytes(costs: Mapping[str, Cost], memory: Mapping[str, float], unknown: float) -> float:
    """GiB-seconds; `memory` and `unknown` are bytes of a replica."""
    return sum(cost.seconds * memory.get(name, unknown) for name, cost in costs.items()) / GIB
