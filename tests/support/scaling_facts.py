"""Facts for the autoscaler's tests, in one line each."""

from collections.abc import Sequence

from autoscaler.decision import Counts, Observation
from autoscaler.leases import Kept
from autoscaler.rules import Means
from cluster.lifecycle import State
from cluster.messages import LoadReport
from cluster.model import Address, Replica
from config.scaling import Idle, Scaling
from config.service import Service

NEVER = Idle(stop_after=None)


def scaling(**changes: object) -> Scaling:
    """Defaults, but `max` does not get in the way and nothing falls idle."""
    return Scaling.model_validate({"max": 10_000, "idle": NEVER, **changes})


def service(name: str = "web", **changes: object) -> Service:
    """A service with default scaling but for the changes."""
    return Service(name=name, command=("serve",), scaling=Scaling.model_validate(changes))


def seen(
    stable: float,
    panic: float = 0.0,
    *,
    ready: int = 1,
    starting: int = 0,
    frozen: int = 0,
    desired: int = 0,
    stable_rps: float = 0.0,
    panic_rps: float = 0.0,
) -> Observation:
    """Mean concurrency over the default windows, and the replicas there are."""
    return Observation(
        stable=Means(60.0, stable, stable_rps),
        panic=Means(6.0, panic, panic_rps),
        counts=Counts(ready, starting, frozen),
        desired=desired,
    )


def report(
    at: float,
    concurrency: float = 0.0,
    *,
    span: float = 1.0,
    in_flight: int | None = None,
    queued: int = 0,
    requests: int = 0,
    rejected: int = 0,
    name: str = "web",
    source: str = "gateway",
) -> LoadReport:
    """A span of even load that goes on, unless `in_flight` says otherwise."""
    return LoadReport(
        service=name,
        at=at,
        span=span,
        busy_seconds=concurrency * span,
        requests=requests,
        rejected=rejected,
        in_flight=round(concurrency) if in_flight is None else in_flight,
        queued=queued,
        source=source,
    )


def replica(name: str, state: State = State.READY, service: str = "web") -> Replica:
    """A record in the registry, with an address."""
    return Replica(name, service, "r1", state, 0.0, 0.0, address=Address("127.0.0.1", 1))


class Page:
    """A book of leases in memory."""

    def __init__(self) -> None:
        self.leases: Sequence[Kept] = []

    def read(self) -> Sequence[Kept]:
        return self.leases

    def write(self, leases: Sequence[Kept]) -> None:
        self.leases = leases
