"""Which endpoint with room gets the next request.

Pure. Endpoints come oldest first; `limit` is the most requests one may have, 0 is no limit. Every
way of choosing returns an index, or -1 when no endpoint has room.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from config.service import Balance


class Draws(Protocol):
    """The part of random.Random that is needed; injected, so that a test can repeat it."""

    def sample(self, population: Sequence[int], k: int) -> list[int]: ...


class Loaded(Protocol):
    """What has requests in flight."""

    in_flight: int


Pick = Callable[[Sequence["Loaded"], int], int]

NO_LIMIT = 1 << 62


def least_in_flight(endpoints: Sequence[Loaded], limit: int) -> int:
    """The least loaded; of equal ones the oldest, so that the youngest fall idle and can go."""
    lowest = limit or NO_LIMIT
    best = -1
    for index, endpoint in enumerate(endpoints):
        load = endpoint.in_flight
        if load < lowest:
            if load == 0:
                return index
            lowest = load
            best = index
    return best


def first_available(endpoints: Sequence[Loaded], limit: int) -> int:
    """The oldest with room: fills one after the other."""
    for index, endpoint in enumerate(endpoints):
        if not limit or endpoint.in_flight < limit:
            return index
    return -1


class RoundRobin:
    """Each in turn, those without room skipped."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, endpoints: Sequence[Loaded], limit: int) -> int:
        count = len(endpoints)
        for step in range(count):
            index = (self._next + step) % count
            if not limit or endpoints[index].in_flight < limit:
                self._next = index + 1
                return index
        return -1


class RandomOfTwo:
    """The less loaded of two drawn at random (power of two choices)."""

    __slots__ = ("_rng",)

    def __init__(self, rng: Draws) -> None:
        self._rng = rng

    def __call__(self, endpoints: Sequence[Loaded], limit: int) -> int:
        if len(endpoints) < 3:
            return least_in_flight(endpoints, limit)
        one, other = self._rng.sample(range(len(endpoints)), 2)
        drawn = other if endpoints[other].in_flight < endpoints[one].in_flight else one
        if not limit or endpoints[drawn].in_flight < limit:
            return drawn
        return least_in_flight(endpoints, limit)


def picker(balance: Balance, rng: Draws) -> Pick:
    """The way of choosing that a service asked for; its answer is an index, -1 for none."""
    match balance:
        case "least_in_flight":
            return least_in_flight
        case "first_available":
            return first_available
        case "round_robin":
            return RoundRobin()
        case "random_of_two":
            return RandomOfTwo(rng)
