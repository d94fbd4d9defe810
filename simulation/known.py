"""What need not be supposed of replicas, because a recording tells it.

Pure.
"""

from dataclasses import dataclass

from simulation.assumptions import Slowdown
from simulation.distributions import Distribution


@dataclass(frozen=True, slots=True)
class Known:
    """None where nothing was measured. `begins`: the first second, since 1970."""

    begins: float | None = None
    start: Distribution | None = None
    start_fails: float | None = None
    answer_fails: float | None = None
    slowdown: Slowdown | None = None


NOTHING = Known()
