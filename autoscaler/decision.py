"""A decision: what was seen, what each rule wished, what limited it, what came out, and why.

Pure values, whole enough to show an operator, and to judge a decision long after it was made.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from autoscaler.gauges import Gauge
from autoscaler.rules import Means, Wish
from cluster.model import Mode
from config.rules import MetricRule


@dataclass(frozen=True, slots=True)
class Counts:
    """The replicas of a service that serve or soon may."""

    ready: int = 0
    starting: int = 0
    frozen: int = 0

    @property
    def present(self) -> int:
        """There, on its way, or a thaw away."""
        return self.ready + self.starting + self.frozen

    @property
    def capacity(self) -> int:
        """What the rates are relative to: at least 1."""
        return max(1, self.present)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between how many replicas there must be, and why."""

    least: int
    most: int
    why_least: str
    why_most: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What a decision is made from. `desired` is the wish before it; `bounds` are those of a
    schedule, instead of the configured ones. `is_blind`: a gateway that was busy fell silent."""

    stable: Means
    panic: Means
    counts: Counts = Counts()
    desired: int = 0
    in_flight: int = 0
    queued: int = 0
    gauges: Mapping[MetricRule, Gauge] = field(default_factory=dict)
    bounds: Bounds | None = None
    is_blind: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that changed the number, and why."""

    limit: str
    before: int
    after: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """`at` is loop time when it comes from here, and wall-clock seconds in a history."""

    at: float
    replicas: int
    mode: Mode
    reason: str
    inputs: Observation
    frozen: bool = False
    wishes: tuple[Wish, ...] = ()
    limits: tuple[Limit, ...] = ()

    @property
    def before(self) -> int:
        return self.inputs.desired

    def to_dict(self) -> dict[str, object]:
        """For programs: numbers, strings, lists and dicts only."""
        return {
            "at": self.at,
            "before": self.before,
            "replicas": self.replicas,
            "frozen": self.frozen,
            "mode": self.mode.value,
            "reason": self.reason,
            "inputs": inputs_of(self.inputs),
            "wishes": [{**asdict(wish), "reason": wish.reason} for wish in self.wishes],
            "limits": [asdict(limit) for limit in self.limits],
        }


def inputs_of(seen: Observation) -> dict[str, float]:
    """The observation as operators read it."""
    return {
        "ready": seen.counts.ready,
        "starting": seen.counts.starting,
        "frozen": seen.counts.frozen,
        "in_flight": seen.in_flight,
        "queued": seen.queued,
        "stable_concurrency": round(seen.stable.concurrency, 3),
        "panic_concurrency": round(seen.panic.concurrency, 3),
        "stable_rps": round(seen.stable.rps, 3),
        "panic_rps": round(seen.panic.rps, 3),
    }
