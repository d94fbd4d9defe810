"""The traffic of the comparison: the same round again and again, every arrival given.

Pure. Four services, so that what a simulation has to get right happens each minute: a herd at a
service that sleeps, bursts that a hard limit makes queue, a ramp that scales up and down by the
average, and lone visits, each a cold start.

What happens must not hang on a few milliseconds, or the two could not be compared. So no silence is
near to `idle.stop_after`, wishes are well away from the next number of replicas, and crowds come
half a second before the moment of the autoscaler's two seconds that a report of them could miss.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from config.scaling import PolicyName
from simulation.pacing import Piece, evenly
from simulation.traffic import Arrival, Traffic

_AT_ONCE = 0.2  # seconds in which a herd comes


@dataclass(frozen=True, slots=True)
class Part:
    """A service of the comparison: `pieces` are the rates of one round, each request takes
    `work` seconds. At most `most` replicas, each with `concurrency` at once of which `target` are
    wanted."""

    name: str
    work: float
    concurrency: int
    target: float
    most: int
    pieces: tuple[Piece, ...]

    def spec(self, policy: PolicyName, stop_after: float) -> dict[str, Any]:
        return {
            "concurrency": self.concurrency,
            "scaling": {
                "policy": policy,
                "max": self.most,
                "rules": [{"metric": "concurrency", "target": self.target}],
                "stable_window": "10s",
                "panic_window": "3s",
                "idle": {"stop_after": f"{stop_after:g}s"},
            },
        }

    def once(self) -> Iterator[float]:
        """A piece is a crowd of its own, half a gap after its start."""
        for piece in self.pieces:
            yield from evenly((piece,))


@dataclass(frozen=True, slots=True)
class Trace:
    """`rounds` of `period` seconds, then `silence`: all sleep when it ends. All of it comes `later`
    by so many seconds than it begins."""

    parts: tuple[Part, ...]
    rounds: int
    period: float = 60.0
    silence: float = 6.0
    stop_after: float = 8.0
    policy: PolicyName = "tidegate"
    later: float = 0.0

    @property
    def seconds(self) -> float:
        return self.later + self.rounds * self.period + self.silence

    def traffic(self, part: Part) -> Traffic:
        """Of one service alone."""

        def arrivals() -> Iterator[Arrival]:
            for number in range(self.rounds):
                for at in part.once():
                    yield self.later + number * self.period + at, part.work, 0

        return Traffic((part.name,), self.seconds, arrivals)

    def schedule(self) -> list[tuple[float, Part]]:
        """Of all services, in the order of time."""
        found = [(at, one) for one in self.parts for at, _, _ in self.traffic(one).arrivals()]
        return sorted(found, key=lambda arrival: arrival[0])


def crowd(start: float, requests: int) -> Piece:
    return steady(start, start + _AT_ONCE, requests / _AT_ONCE)


def steady(start: float, end: float, rate: float) -> Piece:
    return Piece(start, end, rate, rate)


def lone(*seconds: float) -> tuple[Piece, ...]:
    return tuple(crowd(at, 1) for at in seconds)


_RAMP = (Piece(6.5, 24.5, 0.5, 10.0), steady(24.5, 32.5, 10.0), Piece(32.5, 40.5, 10.0, 0.5))
PARTS = (
    Part("herd", 1.0, 5, 4.0, 4, (crowd(2.5, 60), crowd(32.5, 40))),
    Part("bursts", 0.5, 2, 1.5, 4, (steady(4.5, 10.5, 8.0), steady(34.5, 38.5, 12.0))),
    Part("ramp", 0.5, 3, 2.0, 4, _RAMP),
    Part("visits", 0.2, 1, 1.0, 1, lone(3.5, 23.5, 43.5)),
)
