"""A scaler that acts on a real registry, under virtual time: for the tests of the thin shell."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry

from autoscaler.metrics import AutoscalerMetrics
from autoscaler.scaler import Scaler
from cluster.events import Events
from cluster.messages import Wake
from cluster.model import Desired
from cluster.registry import Registry
from config.service import Service
from tests.support.scaling_facts import report
from tests.support.virtual_time import run

T = TypeVar("T")
WALL = 1_700_000_000.0  # seconds since the epoch: the wall clock at loop time 0


class Plane:
    """A scaler with a real registry; what was wanted, by the loop time of each change.

    `wall` is what the wall clock shows at loop time 0: who changes it sets the clock.
    """

    def __init__(self, *services: Service) -> None:
        self.loop = asyncio.get_running_loop()
        self.wall = WALL
        self.registry = Registry()
        self.events = Events(lambda: WALL)
        self.collectors = CollectorRegistry()
        self.scaler = Scaler(
            self.registry,
            self.events,
            self.loop.time,
            lambda: self.wall + self.loop.time(),
            AutoscalerMetrics(self.collectors),
        )
        self.wanted: list[tuple[float, int]] = []
        self.registry.on_service(self._note)
        self.configure({spec.name: spec for spec in services})

    def configure(self, specs: Mapping[str, Service]) -> None:
        self.registry.configure(specs)
        self.scaler.configure(specs)

    def wake(self, name: str = "web") -> None:
        self.scaler.wake(Wake(name))

    def desired(self, name: str = "web") -> Desired:
        return self.registry.desired(name)

    def scale(self, replicas: int, duration: float | None = None, name: str = "web") -> None:
        self.scaler.scale(name, replicas, duration, self.loop.time())

    def sample(self, name: str, **labels: str) -> float | None:
        """None: there is no such child."""
        return self.collectors.get_sample_value(f"tidegate_{name}", labels)

    def timers(self) -> list[float]:
        handles = self.loop._scheduled  # type: ignore[attr-defined]
        return [handle.when() for handle in handles if not handle.cancelled()]

    async def load(self, seconds: int, concurrency: float, name: str = "web") -> None:
        """A report each second, the last one idle."""
        for second in range(seconds):
            await asyncio.sleep(1)
            left = 0 if second == seconds - 1 else None
            self.scaler.report(
                report(self.loop.time(), concurrency, in_flight=left, requests=1, name=name)
            )

    async def loop_until_asleep(self, name: str = "web") -> None:
        """Needs the scaler's loop beside it; an hour is long enough."""
        async with asyncio.timeout(3600):
            while self.desired(name).replicas:  # noqa: ASYNC110 (time is virtual)
                await asyncio.sleep(1)

    def _note(self, name: str) -> None:
        number = self.desired(name).replicas
        if not self.wanted or self.wanted[-1][1] != number:
            self.wanted.append((self.loop.time(), number))


def in_time(steps: Callable[[], Awaitable[T]]) -> T:
    async def whole() -> T:
        return await steps()

    return run(whole())


async def with_loop(plane: Plane, steps: Awaitable[T]) -> T:
    """The steps, with the scaler's loop beside them."""
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(plane.scaler.run(), name="autoscaler")
        try:
            return await steps
        finally:
            loop.cancel()


async def settled(plane: Plane, seconds: float) -> Plane:
    await with_loop(plane, asyncio.sleep(seconds))
    return plane
