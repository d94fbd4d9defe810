"""An engine whose instances do what is assumed of them; chance decides, by a seed of its own.

What a start does depends on the service and on how many it had before, on nothing else: two
configurations that start the same replica see the same start.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

from cluster.model import Exit, InstanceStatus
from cluster.runtime import RuntimeFailure
from runtimes.simulated_engine import Behaviour, SimulatedEngine, Specimen
from simulation.assumptions import Assumptions

_START_FAILED = RuntimeFailure("start-failed", "the start failed, as was assumed", transient=False)


class AssumedEngine(SimulatedEngine):
    """`on_end` is told the name of each replica that has ended, in whatever way."""

    def __init__(self, assumptions: Assumptions, seed: int, on_end: Callable[[str], None]) -> None:
        super().__init__()
        self._assumptions = assumptions
        self._seed = seed
        self._on_end = on_end
        self._starts: Counter[str] = Counter()

    def next_behaviour(self, service: str) -> Behaviour:
        assumed, rng = self._assumptions, self._rng(service)
        takes, stop = assumed.start.draw(rng), assumed.stop.draw(rng)
        if rng.random() < assumed.start_fails:
            return Behaviour(start_delay=takes, failure=_START_FAILED)
        lives = None if assumed.crash is None else takes + assumed.crash.draw(rng)
        return Behaviour(
            listens_after=takes, exits_after=lives, stop_delay=stop, memory=int(assumed.memory)
        )

    def end(self, specimen: Specimen, exit: Exit) -> None:
        was_there = not specimen.has_ended
        super().end(specimen, exit)
        if was_there:
            self._on_end(specimen.instance.replica)

    def listens_in(self, instance: str) -> float | None:
        """Seconds until it listens, 0 when it does; None: not in this state."""
        specimen = self.specimen(instance)
        if specimen is None or specimen.instance.status is not InstanceStatus.RUNNING:
            return None
        after = specimen.behaviour.listens_after
        age = specimen.age(asyncio.get_running_loop().time())
        return None if after is None else max(0.0, after - age)

    def _rng(self, service: str) -> random.Random:
        self._starts[service] += 1
        return random.Random(f"{self._seed} {service} {self._starts[service]}")
