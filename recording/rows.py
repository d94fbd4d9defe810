"""What is handed to the file and read from it.

Pure. Moments are seconds since 1970, spans of time seconds, memory and sizes bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from recording.seconds import Second

Outcome = Literal["ready", "failed", "given up"]


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a replica: `seconds` from when it was decided until it was ready, had failed, or
    was not wanted any more."""

    at: float
    service: str
    seconds: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the replicas of a service that were measured in a minute, what the largest used."""

    at: int
    service: str
    largest: int


@dataclass(slots=True)
class Batch:
    """What is written together."""

    seconds: list[tuple[int, str, Second]] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.seconds) + len(self.starts) + len(self.memory)

    def shed(self, most: int) -> int:
        """Keep only the newest so many seconds and starts; how many were given up."""
        lost = max(0, len(self.seconds) - most) + max(0, len(self.starts) - most)
        self.seconds = self.seconds[-most:]
        self.starts = self.starts[-most:]
        return lost

    def extend(self, later: "Batch") -> None:
        self.seconds += later.seconds
        self.starts += later.starts
        self.memory += later.memory


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Of one service in one second, or in a whole minute where single seconds are not kept any more
    (`seconds` 60). `busy_seconds`: the integral of in flight + queued. `replicas`: as many could be
    sent requests; in a minute, the mean over its seconds with traffic."""

    service: str
    at: int
    seconds: int
    requests: int
    rejected: int
    failures: int
    busy_seconds: float
    replicas: float


@dataclass(frozen=True, slots=True)
class Level:
    """How a service answered while each replica had about so many requests at once.

    `concurrency`: their mean number in one replica over `seconds` seconds with traffic. Histograms:
    times in the buckets of cluster/buckets.py, sizes in those of cluster/sizes.py; the names are
    recording.seconds.HISTOGRAMS, and their meanings those of cluster.messages.
    """

    service: str
    level: int
    concurrency: float
    seconds: int
    requests: int
    rejected: int
    failures: int
    request_bytes: int
    answer_bytes: int
    histograms: Mapping[str, Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a service: the first second, the end of the last, and how many requests."""

    service: str
    begin: int
    end: int
    requests: int
    starts: int
