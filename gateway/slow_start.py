"""A replica that is new to the traffic gets a share of it that grows to a whole one.

Pure. It stands around the service's way of choosing, and only while some replica is new, so a
service without it pays nothing. Two bounds, both growing from a tenth to everything (Envoy's least
weight): what is in flight at a new one counts as so many times more, and of the times that it is
chosen it is passed over in proportion. The first is felt under load, the second when there is
little. Where nobody else has room it gets the request all the same: nothing waits for a warm one.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.balancer import NO_LIMIT, Loaded, Pick

LEAST = 0.1


class Newcomer(Loaded, Hashable, Protocol):
    """What may be new: told apart by identity."""


@dataclass(slots=True)
class _Growth:
    """`turn` is how much of its next turn it has earned."""

    since: float
    weight: float = LEAST
    turn: float = 0.0


@dataclass(slots=True)
class _Seen:
    """An endpoint as the way of choosing is to see it."""

    in_flight: int


class SlowStart:
    """Itself a way of choosing. `weights` are as of the last `age`."""

    __slots__ = ("_growths", "pick", "seconds")

    def __init__(self, pick: Pick, seconds: float) -> None:
        self.pick = pick
        self.seconds = seconds
        self._growths: dict[Newcomer, _Growth] = {}

    def add(self, newcomer: Newcomer, now: float) -> None:
        self._growths[newcomer] = _Growth(now)

    def age(self, now: float, present: Sequence[Newcomer]) -> bool:
        """What is grown up or gone is like all others. Returns whether any other is left."""
        for newcomer in self._growths.keys() - set(present):
            del self._growths[newcomer]
        for newcomer, growth in tuple(self._growths.items()):
            growth.weight = weight(now - growth.since, self.seconds)
            if growth.weight >= 1.0:
                del self._growths[newcomer]
        if len(self._growths) == len(present):
            self._measure_by_the_oldest()
        return bool(self._growths)

    def _measure_by_the_oldest(self) -> None:
        """All are new: somebody has to have a whole share."""
        most = max((growth.weight for growth in self._growths.values()), default=1.0)
        for growth in self._growths.values():
            growth.weight /= most

    def __call__(self, endpoints: Sequence[Newcomer], limit: int) -> int:
        bound = limit or NO_LIMIT
        seen = [_Seen(self._load(endpoint)) for endpoint in endpoints]
        while (index := self.pick(seen, bound)) >= 0:
            growth = self._growths.get(endpoints[index])
            if growth is None:
                return index
            growth.turn += growth.weight
            if growth.turn >= 1.0:
                growth.turn -= 1.0
                return index
            seen[index].in_flight = bound
        return self.pick(endpoints, limit)

    def _load(self, endpoint: Newcomer) -> int:
        growth = self._growths.get(endpoint)
        return endpoint.in_flight if growth is None else int(endpoint.in_flight / growth.weight)


def weight(age: float, seconds: float) -> float:
    """Of a full share, from LEAST to 1, in a straight line."""
    return 1.0 if age >= seconds else max(LEAST, age / seconds)
