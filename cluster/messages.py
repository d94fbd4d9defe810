"""The spine: the five messages between siblings.

They are values, so the same shapes travel between processes. Each has one sender and one reader:
EndpointSnapshot registry -> gateway; LoadReport and Wake gateway -> autoscaler;
Outcome gateway -> health, and of a LoadReport what was Served; Drained gateway -> reconciler.
"""

from dataclasses import dataclass
from enum import StrEnum

from cluster.buckets import Sparse
from cluster.model import Address, Trouble


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A replica that may be sent requests now."""

    replica: str
    address: Address
    revision: str = ""


@dataclass(frozen=True, slots=True)
class EndpointSnapshot:
    """All endpoints of one service, oldest first. Replaces the former snapshot whole.

    `version` grows with each snapshot of a service. `trouble` says that no replica is to be had
    now: with no endpoint left, waiting requests are answered at once. `start_seconds` is the
    measured time of a cold start, None when none was seen yet; `frozen` says that a replica need
    only be thawed. With `ends_silent` the service falls asleep: of replicas that leave, tunnels and
    answers on which no byte has moved for so many seconds are to be ended. Replicas that left in
    order to be stopped are `draining`; others may come back.
    """

    service: str
    version: int
    endpoints: tuple[Endpoint, ...] = ()
    trouble: Trouble | None = None
    start_seconds: float | None = None
    frozen: bool = False
    ends_silent: float | None = None
    draining: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Served:
    """What one replica did with requests during the span of a report.

    `answers` are complete and no failures; each of `failures` was told as an Outcome too. `times`,
    counted in cluster/buckets.py: from when a request was sent to the first byte of its answer, or
    until it was given up; those of failures are left out.
    """

    replica: str
    answers: int
    failures: int
    times: Sparse = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is recorded of a service beside its load, during the span of a report.

    `occupied`, of answers that are complete and no failures: from when a request was sent to the
    end of its answer. Their sizes are counted in cluster/sizes.py, bodies alone, in both ways as
    they came; their sums in bytes. `failures` are tries that failed at a replica: answers 500 to
    599, and none. `cold_waits`: from arrival to a free place, of those that waited for a wake.
    """

    failures: int = 0
    occupied: Sparse = ()
    request_sizes: Sparse = ()
    answer_sizes: Sparse = ()
    request_bytes: int = 0
    answer_bytes: int = 0
    cold_waits: Sparse = ()


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What one gateway saw of one service during the `span` seconds that end at `at` (loop time).

    `busy_seconds` is the integral of (in flight + queued) over the span. Sent about once a second
    while a service has traffic, once more when it falls idle, then never again until it wakes.

    `silent` of those in flight and queued keep nobody awake: ignored ones, and tunnels and answers
    in which nothing moves. `active_at` (loop time) is when something last did; None: as the counts
    say. All of it is load.

    The times are counted in cluster/buckets.py, and only told where a rule needs them. Latencies:
    from a request's arrival to the first byte of its answer, without those that waited for a wake
    and without answers of the gateway's own. Service times: from when it was sent to a replica.
    Waits: from arrival to a free place, in vain too. `served` is told where replicas are compared,
    `recorded` of services with `record: true`.
    """

    service: str
    at: float
    span: float
    busy_seconds: float
    requests: int
    rejected: int
    in_flight: int
    queued: int
    pending: tuple[tuple[str, int], ...] = ()  # (replica, in flight there), busy ones only
    source: str = "gateway"
    silent: int = 0
    active_at: float | None = None
    latencies: Sparse = ()
    service_times: Sparse = ()
    waits: Sparse = ()
    served: tuple[Served, ...] = ()
    recorded: Recorded | None = None

    @property
    def keeping_awake(self) -> int:
        """Of those in flight and queued."""
        return max(0, self.in_flight + self.queued - self.silent)

    @property
    def is_silent(self) -> bool:
        """Nothing has happened and nothing is under way. After any other one comes another."""
        under_way = self.in_flight or self.queued
        return not (under_way or self.requests or self.rejected or self.busy_seconds)


@dataclass(frozen=True, slots=True)
class Wake:
    """A request found no endpoint: decide at once."""

    service: str


class OutcomeKind(StrEnum):
    OK = "ok"
    SERVER_ERROR = "server_error"  # an answer 500 to 599 of the replica itself
    REFUSED = "refused"  # no connection
    RESET = "reset"  # closed or broken before its answer was complete
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request to a replica ended. A success is only told after a failure."""

    service: str
    replica: str
    kind: OutcomeKind


@dataclass(frozen=True, slots=True)
class Drained:
    """A replica that left the snapshot has no request in flight any more."""

    service: str
    replica: str
