"""Traffic: which service gets a request when, and how long it works on it.

Pure. Times are seconds from the start. A Traffic is replayed, never used up: each call of
`arrivals` gives the same ones, in the order of time, so that two policies are compared on equal
terms. Nothing is held for one request longer than it takes to hand it on.
"""

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING

from config.addresses import SERVICE_NAME
from config.wording import shown

if TYPE_CHECKING:
    import random

Arrival = tuple[float, float, int]
"""Seconds from the start, seconds of work, index of the service."""

Dice = Callable[[], "random.Random"]
"""Makes generators of random numbers that all roll the same: `simulation.dice.seeded`."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """`seconds` is the length: no arrival is before 0 or after it.

    `memory` is bytes per replica by service, 0 where it is unknown; () where nothing is known.
    Raises ValueError for what no configuration could name, and for what never ends.
    """

    services: tuple[str, ...]
    seconds: float
    arrivals: Callable[[], Iterator[Arrival]]
    memory: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in self.services:
            if not SERVICE_NAME.fullmatch(name):
                raise ValueError(f"{shown(name)} cannot name a service: {_NAMES}")
        if not self.services or len(set(self.services)) < len(self.services):
            raise ValueError("traffic needs services, each with a name of its own")
        if not 0 < self.seconds < math.inf:
            raise ValueError(f"traffic must last more than 0 s, got {self.seconds}")
        if self.memory and len(self.memory) != len(self.services):
            raise ValueError("memory is known for every service or for none")


_NAMES = "use at most 63 of a-z, 0-9 and -, with no - at either end"


def cut(traffic: Traffic, start: float, end: float) -> Traffic:
    """What arrives from `start` until before `end`, counted from `start`; all services stay.

    What arrives at the very end of the traffic belongs to its last part.
    Raises ValueError where nothing of the traffic's time is left.
    """
    last = min(end, traffic.seconds)
    if not 0 <= start < last:
        raise ValueError(
            f"nothing lies between {start:g} s and {end:g} s of {traffic.seconds:g} s of traffic"
        )

    def arrivals() -> Iterator[Arrival]:
        rest: Iterator[Arrival] = dropwhile(lambda arrival: arrival[0] < start, traffic.arrivals())
        if end < traffic.seconds:
            rest = takewhile(lambda arrival: arrival[0] < end, rest)
        return ((at - start, work, service) for at, work, service in rest)

    return Traffic(traffic.services, last - start, arrivals, traffic.memory)


def merged(*parts: Traffic) -> Traffic:
    """All of them at once, from the same start; services of one name are one service.

    Of several memories of a service the first that is known counts.
    """
    services = tuple(dict.fromkeys(name for part in parts for name in part.services))
    index = {name: number for number, name in enumerate(services)}
    numbers = [[index[name] for name in part.services] for part in parts]

    def arrivals() -> Iterator[Arrival]:
        streams = (_renumbered(part, new) for part, new in zip(parts, numbers, strict=True))
        return heapq.merge(*streams)

    seconds = max((part.seconds for part in parts), default=0.0)
    return Traffic(services, seconds, arrivals, _memories(parts, numbers, len(services)))


def _renumbered(part: Traffic, numbers: list[int]) -> Iterator[Arrival]:
    if numbers == list(range(len(numbers))):
        return part.arrivals()
    return ((at, work, numbers[service]) for at, work, service in part.arrivals())


def _memories(
    parts: Sequence[Traffic], numbers: Sequence[list[int]], services: int
) -> tuple[float, ...]:
    memory = [0.0] * services
    for part, new in zip(parts, numbers, strict=True):
        for service, size in zip(new, part.memory, strict=False):
            memory[service] = memory[service] or size
    return tuple(memory) if any(memory) else ()


@dataclass(frozen=True, slots=True)
class Summary:
    """`mean` is requests a second, `peak` the most that arrive within any one second.

    `busy` is how many are worked on at a time on average if none ever waits (Little's law).
    """

    requests: int
    mean: float
    peak: int
    busy: float
    by_service: tuple[int, ...]


def counted(traffic: Traffic) -> Summary:
    """Replays the traffic once."""
    by_service = [0] * len(traffic.services)
    work = 0.0
    peak = 0
    last_second: deque[float] = deque()
    for at, takes, service in traffic.arrivals():
        by_service[service] += 1
        work += takes
        last_second.append(at)
        while last_second[0] <= at - 1:
            last_second.popleft()
        peak = max(peak, len(last_second))
    requests = sum(by_service)
    return Summary(
        requests=requests,
        mean=requests / traffic.seconds,
        peak=peak,
        busy=work / traffic.seconds,
        by_service=tuple(by_service),
    )
