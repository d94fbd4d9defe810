"""Traffic of which every request was recorded with its moment, to the microsecond.

Pure. It starts with its first request. Requests may be added out of order, as logs hold them. What
is not known of a request, how long it took, is drawn anew at each replay, from equal dice.
"""

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from simulation.distributions import Distribution
from simulation.traffic import Arrival, Dice, Traffic

UNKNOWN = math.nan


@dataclass(slots=True)
class Recorded:
    """Some 20 bytes a request."""

    _at: "array[int]" = field(default_factory=lambda: array("q"))
    _took: "array[float]" = field(default_factory=lambda: array("d"))
    _service: "array[int]" = field(default_factory=lambda: array("L"))
    _numbers: dict[str, int] = field(default_factory=dict)

    def add(self, at: int, service: str, took: float = UNKNOWN) -> None:
        """`at` in microseconds since any moment, `took` in seconds."""
        self._at.append(at)
        self._took.append(took)
        self._service.append(self._numbers.setdefault(service, len(self._numbers)))

    def __len__(self) -> int:
        return len(self._at)

    def traffic(self, work: Distribution, dice: Dice) -> Traffic:
        """`work` is for the requests of which it is unknown. Lasts whole seconds.

        Raises ValueError if there is no request.
        """
        if not self._at:
            raise ValueError("holds no request")
        order = sorted(range(len(self)), key=self._at.__getitem__)
        at = array("q", map(self._at.__getitem__, order))
        took = array("d", map(self._took.__getitem__, order))
        service = array("L", map(self._service.__getitem__, order))
        first = at[0]

        def arrivals() -> Iterator[Arrival]:
            draw = partial(work.draw, dice())
            for moment, known, number in zip(at, took, service, strict=True):
                yield (moment - first) / 1e6, draw() if known != known else known, number

        return Traffic(tuple(self._numbers), (at[-1] - first) // 1_000_000 + 1.0, arrivals)
