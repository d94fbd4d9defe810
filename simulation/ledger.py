"""What became of every request, and how long it waited.

Pure. All that did not wait are one number: of millions of requests most do not.
"""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol


class Ended(Protocol):
    """A request that has ended. `waited` in seconds until it was first bound, -1: never."""

    @property
    def started(self) -> float: ...
    @property
    def waited(self) -> float: ...


@dataclass(slots=True)
class Ledger:
    """`waits` are those of all that waited and were served, in seconds; `statuses` the answers of
    all; `lost` waited in vain."""

    waits: "array[float]" = field(default_factory=lambda: array("d"))
    statuses: Counter[int] = field(default_factory=Counter)
    at_once: int = 0
    lost: int = 0

    def note(self, request: Ended, status: int, now: float) -> None:
        self.statuses[status] += 1
        if request.waited == 0.0:
            self.at_once += 1
        elif request.waited > 0.0:
            self.waits.append(request.waited)
        else:
            self.lost += 1

    @property
    def requests(self) -> int:
        return self.at_once + len(self.waits) + self.lost

    @property
    def failed(self) -> int:
        return sum(number for status, number in self.statuses.items() if status >= 500)
