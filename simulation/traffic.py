"""Requests of several services, in the order in which they come.

Pure.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Arrival = tuple[float, float, int]


@dataclass(frozen=True, slots=True)
class Traffic:
    """`services` are named as in a configuration; `seconds` is how long it lasts. Each call of
    `arrivals` gives the same again: (seconds from the start, seconds of service time, index of the
    service). `memory`: bytes of one replica, by service; empty when nobody knows."""

    services: tuple[str, ...]
    seconds: float
    arrivals: Callable[[], Iterator[Arrival]]
    memory: tuple[float, ...] = ()
