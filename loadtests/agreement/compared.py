"""What is compared, and how far the two may be apart.

Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.report import percentile

REPLICA_SECONDS, P95_WAIT = 0.10, 0.20


@dataclass(frozen=True, slots=True)
class Row:
    """`bar` is the share of the real value that the simulated one may be away from it; None: only
    shown."""

    what: str
    real: float
    simulated: float
    bar: float | None = None

    @property
    def apart(self) -> float:
        if not self.real:
            return 0.0 if not self.simulated else float("inf")
        return self.simulated / self.real - 1

    @property
    def holds(self) -> bool:
        return self.bar is None or abs(self.simulated - self.real) <= self.bar * self.real

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        wanted = f"within {self.bar:.0%}" if self.bar else "equal"
        return f"{wanted}: {'yes' if self.holds else 'NO'}"


@dataclass(frozen=True, slots=True)
class Side:
    """One run, of one service or of several. `waits` in seconds, of all requests, also of those
    that did not wait."""

    replica_seconds: float = 0.0
    cold_starts: float = 0.0
    starts: float = 0.0
    actions: int = 0
    failed: int = 0
    waits: Sequence[float] = ()

    def __add__(self, other: "Side") -> "Side":
        return Side(
            self.replica_seconds + other.replica_seconds,
            self.cold_starts + other.cold_starts,
            self.starts + other.starts,
            self.actions + other.actions,
            self.failed + other.failed,
            (*self.waits, *other.waits),
        )

    def wait(self, share: float) -> float:
        return percentile(self.waits, share)


def rows(real: Side, simulated: Side) -> list[Row]:
    """With the bars of those that have to hold."""

    def wait(what: str, share: float, bar: float | None = None) -> Row:
        return Row(f"{what} wait, s", real.wait(share), simulated.wait(share), bar)

    def mean(side: Side) -> float:
        return sum(side.waits) / len(side.waits)

    def waited(side: Side) -> int:
        return sum(one > 0.0 for one in side.waits)

    return [
        Row("replica-seconds", real.replica_seconds, simulated.replica_seconds, REPLICA_SECONDS),
        Row("cold starts", real.cold_starts, simulated.cold_starts, 0.0),
        wait("p95", 0.95, P95_WAIT),
        wait("p50", 0.5),
        wait("p99", 0.99),
        wait("longest", 1.0),
        Row("mean wait, s", mean(real), mean(simulated)),
        Row("requests that waited", waited(real), waited(simulated)),
        Row("starts", real.starts, simulated.starts),
        Row("changes of the number wanted", real.actions, simulated.actions),
        Row("not answered with 200", real.failed, simulated.failed),
    ]
