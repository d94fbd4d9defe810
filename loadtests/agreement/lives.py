"""How long starts and stops of replicas took in a real run, and the same once more in a simulation.

Pure. The n-th replica of a service that is simulated starts and stops as the n-th one did.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

Happenings = Sequence[Mapping[str, Any]]  # as `GET /v1/events` gives them


@dataclass(frozen=True, slots=True)
class Lives:
    """Seconds, in the order in which the replicas were asked for: from then until each was ready;
    and from the decision to sleep until it was gone, of those that ended so."""

    starts: tuple[float, ...]
    stops: tuple[float, ...]

    @property
    def average(self) -> "Lives":
        """All of them the same."""
        stops = (statistics.fmean(self.stops),) if self.stops else ()
        return Lives((statistics.fmean(self.starts),), stops)


def lives_of(service: str, events: Happenings, born: Mapping[str, datetime]) -> Lives:
    """`born` is when each replica was asked for. Raises LookupError when none ever came up.

    What ends for another reason than silence may have been busy when it was told to: what its
    requests took is no stop.
    """
    starts: dict[str, float] = {}
    stops: dict[str, float] = {}
    asleep_since: datetime | None = None
    for event in events:
        if event["service"] != service:
            continue
        at, replica = datetime.fromisoformat(event["at"]), event["replica"]
        match event["kind"]:
            case "scaled":
                asleep_since = at if "→ 0 replicas" in event["message"] else None
            case "replica-ready" if replica in born:
                starts[replica] = (at - born[replica]).total_seconds()
            case "replica-stopped" if asleep_since is not None:
                stops[replica] = (at - asleep_since).total_seconds()
    if not starts:
        raise LookupError(f"no replica of {service} was ever ready")
    return Lives(_in_order(starts, born), _in_order(stops, born))


def _in_order(seconds: Mapping[str, float], born: Mapping[str, datetime]) -> tuple[float, ...]:
    known = [one for one in seconds if one in born]
    return tuple(seconds[one] for one in sorted(known, key=lambda one: born[one]))


class InTurn:
    """A distribution that gives these one after the other, then their mean."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self.mean = statistics.fmean(seconds)
        self._left = list(reversed(seconds))

    def draw(self, rng: "random.Random") -> float:
        return self._left.pop() if self._left else self.mean
