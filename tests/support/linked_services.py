"""Services that need each other, on an engine that does as told, for tests on virtual time."""

import asyncio

from cluster.model import Exit, Replica
from config.scaling import Idle, Scaling
from config.service import Service
from config.wake import Needed
from runtimes.simulated_engine import Behaviour, SimulatedEngine
from tests.cluster.builders import a_service
from tests.support.control_world import ControlWorld


def linked(
    name: str,
    *needed: str,
    group: str | None = None,
    stop_after: float | None = 60.0,
    freeze_after: float | None = None,
    **scaling: object,
) -> Service:
    """`needed` as `db`, or `db:started`."""
    idle = Idle(stop_after=stop_after, freeze_after=freeze_after)
    depends = []
    for text in needed:
        other, _, condition = text.partition(":")
        depends.append((other, Needed.model_validate({"condition": condition or "healthy"})))
    return a_service(
        name,
        depends_on=tuple(depends),
        group=group,
        scaling=Scaling().model_copy(update={"idle": idle, **scaling}),
    )


def slow(start: float = 0.0, listens_after: float = 0.0) -> Behaviour:
    return Behaviour(start_delay=start, listens_after=listens_after)


def scripted(**behaviours: Behaviour) -> SimulatedEngine:
    engine = SimulatedEngine()
    for name, behaviour in behaviours.items():
        engine.script(name, behaviour)
    return engine


def once(seconds: float, code: int = 0) -> Behaviour:
    return Behaviour(listens_after=None, exits_after=seconds, exit=Exit(code))


class Beginnings:
    """When each service got its first replica (loop time), and each later one."""

    def __init__(self, world: ControlWorld) -> None:
        self.of: dict[str, list[float]] = {}
        self._seen: set[str] = set()
        world.registry.on_replica(self._note)

    def _note(self, replica: Replica) -> None:
        if replica.id not in self._seen:
            self._seen.add(replica.id)
            now = asyncio.get_running_loop().time()
            self.of.setdefault(replica.service, []).append(now)

    def __getitem__(self, service: str) -> float:
        (only,) = self.of[service]
        return only


def now() -> float:
    return asyncio.get_running_loop().time()


def code_of(world: ControlWorld, service: str) -> str | None:
    """What waiting clients are told."""
    trouble = world.registry.snapshot(service).trouble
    return trouble.code if trouble else None


def used(world: ControlWorld, service: str = "web") -> None:
    """A second of traffic that is over."""
    world.load(1, service)
    world.load(0, service)
