"""Traffic of which only counts are known: so many requests of a service in a minute, or a second.

Pure. Within its span each request comes at a moment of its own: uniformly at random, which is what
a Poisson process looks like once its count is known, or evenly. The counts are kept exactly.
Arrivals are made one span at a time.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulation.distributions import Distribution
from simulation.traffic import Arrival, Dice, Traffic

if TYPE_CHECKING:
    import random


@dataclass(slots=True)
class Counts:
    """How many requests each service gets in each span of so many seconds."""

    span: float
    _length: int = 0
    # By span that has any: service, count, service, count, …
    _spans: "dict[int, array[int]]" = field(default_factory=dict)

    def add(self, span: int, service: int, count: int) -> None:
        """`span` counts from 0."""
        self.lasts(span + 1)
        if count:
            self._spans.setdefault(span, array("Q")).extend((service, count))

    def lasts(self, spans: int) -> None:
        """At least so many spans, even if the last ones are empty."""
        self._length = max(self._length, spans)

    def __len__(self) -> int:
        return self._length

    def traffic(
        self,
        services: Sequence[str],
        work: Sequence[Distribution],
        dice: Dice,
        evenly: bool = False,
        memory: Sequence[float] = (),
    ) -> Traffic:
        """`work` is how long requests take, by service."""

        def arrivals() -> Iterator[Arrival]:
            rng = dice()
            draws = [each.draw for each in work]
            fill = self._evenly if evenly else self._uniformly
            for number, cells in sorted(self._spans.items()):
                batch: list[Arrival] = []
                start = number * self.span
                for service, count in zip(cells[::2], cells[1::2], strict=True):
                    at = fill(start, count, rng)
                    draw = draws[service]
                    batch += [(moment, draw(rng), service) for moment in at]
                batch.sort()
                yield from batch

        return Traffic(tuple(services), len(self) * self.span, arrivals, tuple(memory))

    def _uniformly(self, start: float, count: int, rng: "random.Random") -> Iterator[float]:
        roll, span = rng.random, self.span
        return (start + span * roll() for _ in range(count))

    def _evenly(self, start: float, count: int, rng: "random.Random") -> Iterator[float]:
        """With a phase for each service, or all the rare ones would come at once."""
        gap = self.span / count
        phase = rng.random()
        return (start + (number + phase) * gap for number in range(count))
