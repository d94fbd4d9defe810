"""What a way of deciding how many replicas there should be has to offer.

Pure. `scaling.policy` chooses one: ours (decider.py), or one that is faithful to Knative's KPA, to
Kubernetes' HPA with KEDA, or to Ray Serve. Whatever decides: the operator's hand comes first, a
request that finds no replica wakes the service at once with `initial` replicas, `min`, `max` and
schedules are always kept, a rule without data never scales down, and `idle.freeze_after` freezes
what is idle, because that changes no number. The way to zero is each one's own: the time of
`idle.stop_after` is ours alone, but null keeps every one of them from zero.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from autoscaler.decision import Counts, Decision, Observation
from autoscaler.load import Load
from config.scaling import Scaling


@dataclass(frozen=True, slots=True)
class Windows:
    """Seconds that the two means of an observation reach back; `by_age`: never further than the
    service has been awake. `since_served`: the shorter one no further than a replica has served
    after a wake, where that tells of more."""

    stable: float
    panic: float
    by_age: bool = False
    since_served: bool = False

    @property
    def longest(self) -> float:
        return max(self.stable, self.panic)


class Behaviour(Protocol):
    """Decides for one awake service. All moments are loop time."""

    @property
    def windows(self) -> Windows: ...

    @property
    def stop_after(self) -> float | None:
        """Seconds from the last activity to zero. None: never, or `decide` itself leads there."""

    @property
    def is_in_panic(self) -> bool: ...

    @property
    def panic_until(self) -> float | None:
        """If nothing more happens. None: no panic."""

    @property
    def steps_down_at(self) -> float:
        """When `decide` would reduce without any news. Infinity: not, or nobody can tell."""

    def configure(self, scaling: Scaling) -> None: ...

    def hold(self, replicas: int, limit: str, reason: str, now: float) -> None:
        """So many were started for a wake, or found running with their load unknown: keep them
        as long as the original would."""

    def decide(self, seen: Observation, now: float) -> Decision: ...

    def confirms(self, load: Load, counts: Counts, desired: int, now: float) -> bool:
        """Whether `decide` would surely change nothing, neither the number nor the mode, told at a
        tenth of the cost; True counts as a decision made, and says that it is busy. Asked of a
        service that is awake and not held by hand. False says nothing."""

    def next_look(self, now: float) -> float:
        """When to decide again while there is anything to decide, later than `now`."""


def next_multiple(period: float, now: float) -> float:
    """Looks of all services fall together, so that many of them wake the process once."""
    return (math.floor(now / period) + 1) * period


def given(scaling: Scaling, key: str, original: float) -> float:
    """What the file says of `key`, or else the default of the original."""
    return getattr(scaling, key) if key in scaling.model_fields_set else original
