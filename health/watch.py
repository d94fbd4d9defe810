"""What the prober knows and does about one replica."""

import asyncio
from dataclasses import dataclass, field

from cluster.model import InstanceHealth, Replica
from config.health import Health
from config.service import Service
from health.duties import Duty, is_judged_by_engine
from health.verdict import Vitals


@dataclass(slots=True)
class Watch:
    """Replaced when the replica's address changes. `began` is loop time; `heard` is what the
    engine's own check said last."""

    replica: Replica
    began: float
    spec: Service | None = None
    vitals: Vitals = field(default_factory=Vitals)
    heard: InstanceHealth | None = None
    tasks: dict[Duty, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def health(self) -> Health:
        return self.spec.health if self.spec else Health()

    @property
    def is_failing(self) -> bool:
        """Its liveness, or what stands in for it, failed the last time."""
        if is_judged_by_engine(self.replica, self.health):
            return self.replica.health is InstanceHealth.UNHEALTHY
        return self.vitals.liveness.failures > 0

    def is_at(self, duty: Duty) -> bool:
        task = self.tasks.get(duty)
        return task is not None and not task.done()


def moved(former: Replica, replica: Replica) -> bool:
    return (former.instance, former.address) != (replica.instance, replica.address)


def done(watch: Watch, duty: Duty, task: asyncio.Task[None]) -> None:
    if watch.tasks.get(duty) is task:
        del watch.tasks[duty]
