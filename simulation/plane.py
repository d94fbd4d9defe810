"""The control plane of a simulation: that of production, on an engine that does what is assumed.

Probes ask the simulated engine whether a replica would answer. What is measured elsewhere (CPU,
memory, Prometheus, Redis, JSON) is not simulated: such rules have no data, and hold.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import Iterator, Sequence

from autoscaler.leases import Kept
from cluster.model import Replica
from cluster.starts import starts_of
from cluster.tasks import Tasks
from config.settings import Settings
from control.ground import Clock, Ground
from control.plane import Levels, Plane, plane_on
from health.duties import Check
from health.prober import Attempt
from health.verdict import Finding, Result
from runtimes.simulated import SimulatedRuntime
from simulation.replicas import AssumedEngine

_OWNER = "simulation"


class Blank:
    """A book of leases that nobody keeps."""

    def read(self) -> Sequence[Kept]:
        return ()

    def write(self, leases: Sequence[Kept]) -> None:
        """Nothing outlives a simulation."""


@contextlib.contextmanager
def plane_of(
    settings: Settings, engine: AssumedEngine, tasks: Tasks, clock: Clock, wall: Clock, seed: int,
    levels: Levels,
) -> Iterator[Plane]:  # fmt: skip
    """Not yet begun. `clock` is loop time, `wall` seconds since 1970. `levels`: requests in flight
    and queued at this moment, by service."""
    runtime = SimulatedRuntime(_OWNER, engine)
    ground = Ground.of(runtime, tasks, clock, wall, random.Random(seed))
    plane = plane_on(ground, levels=levels, leases=Blank(), courses=None, attempt=_asking(engine))
    plane.starts.configure(starts_of(settings.host, len(os.sched_getaffinity(0))))
    memory = settings.host.memory  # a share of this machine is none of the simulated one
    plane.host.configure(None if isinstance(memory, float) else memory)
    try:
        yield plane
    finally:
        plane.reconciler.halt()
        plane.close()


def _asking(engine: AssumedEngine) -> Attempt:
    """A try that comes too early waits for the port instead of coming again and again: what is
    assumed of a start is the time until its probe has passed."""

    async def attempt(check: Check, replica: Replica, timeout: float) -> Finding:
        listens_in = engine.listens_in(replica.instance or "")
        if listens_in is None or listens_in > timeout:
            await asyncio.sleep(timeout if listens_in else 0.0)
            return Finding(Result.FAILED, "the simulated engine says that nobody listens")
        await asyncio.sleep(listens_in)
        return Finding(Result.PASSED, "the simulated engine says that it listens")

    return attempt
