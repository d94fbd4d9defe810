"""One simulation among several: what is tried, and what came of it.

Pure. Small enough to be sent from one process to another.
"""

from dataclasses import dataclass

from config.settings import Settings
from simulation.curve import Curve
from simulation.result import Outcome


@dataclass(frozen=True, slots=True)
class Task:
    """One simulation. `part`: from which second of the traffic to which; None is all of it."""

    label: str
    settings: Settings
    part: tuple[float, float] | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """`outcome` is without its single waits, which `waits` sums up; of so many requests (`drawn`)
    the service time was drawn from what is supposed."""

    label: str
    outcome: Outcome
    waits: Curve
    drawn: int
