"""Which traffic is asked for: files of it, shapes of it, and the part of its time that is wanted.

Pure. A Demand is small and can be sent to another process, which reads the same traffic from it.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from simulation.distributions import Constant, Distribution

USUAL_WORK = Constant(0.2)  # seconds of a request of which nothing else is known


@dataclass(frozen=True, slots=True)
class Demand:
    """`duration` is that of shapes, in seconds. `service` gets the requests for which nothing names
    one. `work`: how long every request takes; None: as recorded, else USUAL_WORK. `begin` and `end`
    are the wanted part, in seconds from the start. `knows_memory`: what a trace tells of it counts.
    Requests for the services of `without` are left out. `recorded_until`: of recordings, which may
    be written to meanwhile, what came before (seconds since 1970)."""

    traces: tuple[Path, ...] = ()
    shapes: tuple[str, ...] = ()
    duration: float = 3600.0
    service: str = "web"
    work: Distribution | None = None
    evenly: bool = False
    knows_memory: bool = True
    begin: float = 0.0
    end: float = math.inf
    without: tuple[str, ...] = ()
    recorded_until: float = math.inf
    seed: int = 1
