"""What is supposed of replicas, because no trace can tell it: how long they take, how they fail.

Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass

from simulation.distributions import Constant, Distribution

_QUICK, _AT_ONCE = Constant(0.15), Constant(0.05)  # seconds: Docker with a small program
Slowdown = Callable[[int], float]
"""Requests at once in a replica -> how many times longer each takes."""


def unhurried(at_once: int) -> float:
    """Requests do not disturb each other: they wait for something else."""
    return 1.0


@dataclass(frozen=True, slots=True)
class Cores:
    """Requests that share so many cores evenly (processor sharing, as it was when they came)."""

    number: float

    def __call__(self, at_once: int) -> float:
        return max(1.0, at_once / self.number)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """`start`: from the call to the engine until the replica listens. `thaw` and `stop`: of the
    engine's calls. `start_fails` and `answer_fails` are shares of all starts and answers;
    `crash`: how long a replica lives until it ends by itself, None for ever. `memory`: bytes of a
    replica of which nothing else is known."""

    start: Distribution = _QUICK
    stop: Distribution = _AT_ONCE
    slowdown: Slowdown = unhurried
    start_fails: float = 0.0
    answer_fails: float = 0.0
    crash: Distribution | None = None
    memory: float = 256 * 2**20


USUAL = Assumptions()
