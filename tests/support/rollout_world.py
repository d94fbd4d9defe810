"""Services with revisions by colour on the simulated control plane, and questions about them."""

import asyncio

from cluster.lifecycle import State
from cluster.rollout import Phase
from cluster.runtime import RuntimeFailure
from config.scaling import Idle, Scaling
from config.service import Rollout, Service
from runtimes.simulated_engine import Behaviour
from tests.support.control_world import ControlWorld

CRASHES = Behaviour(exits_after=0.2, listens_after=None)
NEVER_READY = Behaviour(listens_after=None)
NO_IMAGE = Behaviour(failure=RuntimeFailure("image-missing", "no image web:2"))


def _service(**changes: object) -> Service:
    return Service(name="web", command=("serve",), **changes)


def web(colour: str = "blue", least: int = 2, **rollout: object) -> Service:
    scaling = Scaling().model_copy(update={"min": least})
    return _service(scaling=scaling, env=(("COLOUR", colour),), rollout=Rollout(**rollout))


def sleeper(colour: str = "blue", **rollout: object) -> Service:
    scaling = Scaling().model_copy(update={"idle": Idle(stop_after=60.0)})
    return _service(scaling=scaling, env=(("COLOUR", colour),), rollout=Rollout(**rollout))


def now() -> float:
    return asyncio.get_running_loop().time()


def names(world: ControlWorld) -> set[str]:
    return {replica.id for replica in world.replicas(State.READY)}


def revision(world: ControlWorld, service: Service) -> str:
    return world.rollouts.filed(service).revision


def phase(world: ControlWorld) -> Phase | None:
    status = world.rollouts.status(world.registry.specs["web"])
    return status.phase if status else None


async def settled(world: ControlWorld, service: Service, count: int = 2) -> None:
    """So many ready replicas of that revision, and nothing else."""
    wanted = revision(world, service)
    await world.until(
        lambda: (
            [one.revision for one in world.replicas()] == [wanted] * count
            and len(world.replicas(State.READY)) == count
        )
    )


async def proven(world: ControlWorld, service: Service, count: int = 2) -> None:
    """And it was so for long enough to be a revision to come back to."""
    await settled(world, service, count)
    await asyncio.sleep(service.rollout.healthy_for + 0.1)


class Watched:
    """How many were ready at the least and alive at the most, at every change."""

    def __init__(self, world: ControlWorld) -> None:
        self.least_ready = 1000
        self.most_alive = 0
        self._world = world
        world.registry.on_service(self._look)

    def _look(self, service: str) -> None:
        alive = (State.STARTING, State.READY, State.UNHEALTHY, State.FROZEN)
        self.least_ready = min(self.least_ready, self._world.ready())
        self.most_alive = max(self.most_alive, len(self._world.replicas(*alive)))
