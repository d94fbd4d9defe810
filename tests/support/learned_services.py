"""Services that are called by a timer and sleep by what is learned of that, on virtual time."""

import asyncio
from collections.abc import Collection

from autoscaler.habits import Habits, KeptHabit, KeptKin
from autoscaler.scaler import Scaler
from tests.support.scaling_facts import report
from tests.support.scaling_plane import Plane

PERIOD = 900.0
LEARNED = {"idle": {"policy": "learned", "stop_after": 600.0, "wake_cost": 600.0}}


class Shelf:
    """A book in memory, with what was asked of it in order."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptHabit] = {}
        self.kin: KeptKin | None = None
        self.read_of: list[str] = []
        self.written: list[str] = []

    @property
    def services(self) -> Collection[str]:
        return self.kept.keys()

    def read(self, service: str) -> KeptHabit | None:
        self.read_of.append(service)
        return self.kept[service]

    def write(self, service: str, kept: KeptHabit) -> None:
        self.written.append(service)
        self.kept[service] = kept

    def remove(self, service: str) -> None:
        self.kept.pop(service, None)

    def read_kin(self) -> KeptKin | None:
        return self.kin

    def write_kin(self, kept: KeptKin) -> None:
        self.kin = kept


def remembering(plane: Plane, shelf: Shelf) -> Habits:
    """The plane gets a scaler that remembers there; nothing is configured yet."""
    clock = plane.loop.time

    def wall() -> float:
        return plane.wall + clock()

    habits = Habits(clock, wall, shelf)
    plane.scaler = Scaler(plane.registry, plane.events, clock, wall, plane.scaler._metrics, habits)
    return habits


async def call(plane: Plane, name: str = "web") -> bool:
    """One request, answered within two seconds. Whether it found a replica wanted."""
    found = plane.desired(name).replicas > 0
    plane.wake(name)
    await asyncio.sleep(1)
    plane.scaler.report(report(plane.loop.time(), 1, in_flight=1, requests=1, name=name))
    await asyncio.sleep(1)
    plane.scaler.report(report(plane.loop.time(), 0, in_flight=0, requests=0, name=name))
    return found


async def timer(plane: Plane, times: int, period: float = PERIOD, name: str = "web") -> list[bool]:
    found = []
    for _ in range(times):
        found.append(await call(plane, name))
        await asyncio.sleep(period - 2)
    return found
