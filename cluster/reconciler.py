"""Brings what runs to what is wanted: look, plan, act, look again.

One step of a service is synchronous and sees its whole state; steps of one service never overlap.
Actions run as named tasks; each writes its result into the registry, and that is what leads to
the next look. A service for which nothing is to be done has no task and no timer.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, assert_never

from cluster.endpoints import StaticEndpoints
from cluster.failures import Failures
from cluster.host import HostMemory
from cluster.keeping import Keeping
from cluster.messages import Drained
from cluster.model import Desired
from cluster.order import Order
from cluster.plan import (
    Action,
    Drain,
    Freeze,
    Remove,
    Revive,
    Scene,
    Start,
    Thaw,
    plan,
    surge_of,
)
from cluster.registry import Registry
from cluster.rollout import Currency
from cluster.rollouts import Rollouts
from cluster.workload import Workload
from config.service import Service

REMOVED = Desired(0, reason="removed from the configuration")


class Performer(Protocol):
    """Carries actions out: cluster.placing or cluster.counting, as the engine demands.

    Every method but `stop_all` returns at once, and may be called again for the same replica.
    """

    def start(self, workload: Workload) -> None: ...
    def revive(self, replica: str) -> None: ...
    def drain(
        self, replica: str, reason: str, limit: float, grace: float, keep: bool = False
    ) -> None: ...
    def remove(self, replica: str, grace: float) -> None: ...
    def freeze(self, replica: str, limit: float) -> None: ...
    def thaw(self, replica: str) -> None: ...
    def drained(self, message: Drained) -> None: ...
    async def stop_all(self, grace: float | None = None) -> None: ...


class Reconciler:
    def __init__(
        self,
        registry: Registry,
        performer: Performer,
        static: StaticEndpoints,
        failures: Failures,
        pending: Callable[[str], Mapping[str, int]],
        rollouts: Rollouts,
        leased: Callable[[str], Collection[str]] = lambda service: (),
        *,
        keeping: Keeping | None = None,
        host: HostMemory | None = None,
    ) -> None:
        """`pending` is requests in flight by replica, `leased` the replicas to spare."""
        self._host = host
        if host is not None:
            host.on_room(self.look)
        self._keeping = keeping
        self._registry = registry
        self._performer = performer
        self._static = static
        self._failures = failures
        self._pending = pending
        self._leased = leased
        self._rollouts = rollouts
        self._order = Order(registry, lambda spec: rollouts.target(spec).revision)
        self._due: dict[str, asyncio.Handle] = {}
        self._later: dict[str, asyncio.TimerHandle] = {}
        self._running = False
        registry.on_service(self._look_around)

    def look(self, service: str) -> None:
        """Plan this service anew, in the next turn of the loop."""
        if service not in self._due and self._running:
            loop = asyncio.get_running_loop()
            self._due[service] = loop.call_soon(self._step, service)

    def waits_for(self, service: str) -> tuple[str, ...]:
        """What must come before its first replica, while it is wanted: `db (healthy)`."""
        spec = self._registry.specs.get(service)
        if spec is None or not self._registry.desired(service).replicas:
            return ()
        return self._order.waits_for(spec) if self._order.is_held(spec) else ()

    def _look_around(self, service: str) -> None:
        self.look(service)
        for neighbour in self._order.neighbours(service):
            self.look(neighbour)

    def begin(self) -> None:
        """Start to act. Before this, what runs already should have been discovered."""
        self._running = True
        self._order.configure(self._registry.specs)
        for service in self._registry.used_services():
            self.look(service)
        self.configure(self._registry.specs)

    def configure(self, specs: Mapping[str, Service]) -> None:
        """After the registry got new specs: what changed starts with a clean slate."""
        self._order.configure(specs)
        for name in self._rollouts.configure(specs):
            self._failures.forgive(name)
        for name in self._registry.used_services():
            if name not in specs:
                self._failures.forget(name)
        for name, spec in specs.items():
            if spec.endpoints:
                self.look(name)

    def drained(self, message: Drained) -> None:
        self._performer.drained(message)

    async def stop(self) -> None:
        """No more steps; every replica that we placed is stopped."""
        self.halt()
        await self._performer.stop_all()

    async def kill(self) -> None:
        """The same without patience: what is still there is killed."""
        self.halt()
        await self._performer.stop_all(grace=0.0)

    def halt(self) -> None:
        """No more steps; replicas stay as they are, half-done starts are undone."""
        self._running = False
        for handle in (*self._due.values(), *self._later.values()):
            handle.cancel()
        self._due.clear()
        self._later.clear()

    def _step(self, service: str) -> None:
        self._due.pop(service, None)
        spec = self._registry.specs.get(service)
        if spec is None:
            self._retire(service)
        elif spec.endpoints:
            self._follow_endpoints(spec)
        else:
            self._converge(spec)

    def _converge(self, spec: Service) -> None:
        service, desired = spec.name, self._registry.desired(spec.name)
        is_held = desired.replicas > 0 and self._order.is_held(spec)
        outlook = self._rollouts.look(spec, is_held=is_held)
        workload, current = outlook.workload, outlook.currency
        wait = self._failures.wait(service)
        self._failures.blame(service, self._order.trouble(spec) if is_held else None)
        once = self._registry.is_one_shot(service)
        scene = Scene(
            desired=replace(desired, replicas=min(1, desired.replicas)) if once else desired,
            revision=workload.revision,
            replicas=outlook.replicas,
            surge=surge_of(desired.replicas, spec.rollout.max_surge, spec.rollout.max_unavailable),
            pending=self._pending(service),
            may_start=wait == 0 and not self._order.is_done(spec),
            is_held=is_held,
            may_sleep=self._order.may_sleep(spec),
            leased=self._leased(service),
            keeps=self._keeping is not None and self._keeping.keeps(spec),
            kept=self._kept(spec, current),
            accepted=current.accepted,
            outdated=current.outdated,
            healthy_for=spec.rollout.healthy_for,
            now=outlook.now,
        )
        actions: Sequence[Action] = plan(scene)
        for action in self._host.fitting(actions, spec) if self._host else actions:
            self._act(action, spec, workload)
        waits = [wait] if wait and desired.replicas else []
        if outlook.wait is not None:
            waits.append(outlook.wait)
        if self._keeping is not None and scene.kept:
            waits.append(self._keeping.until_first_end(spec, scene.replicas, scene.kept))
        if waits:
            self._look_in(min(waits), service)

    def _kept(self, spec: Service, current: Currency) -> Collection[str]:
        if self._keeping is None:
            return ()
        replicas = [one for one in self._registry.replicas(spec.name) if current.holds(one)]
        return self._keeping.kept(spec, current.revision, replicas)

    def _act(self, action: Action, spec: Service, workload: Workload) -> None:
        match action:
            case Start(count):
                for _ in range(count):
                    self._performer.start(workload)
            case Revive(replica):
                self._performer.revive(replica)
            case Drain(replica, reason, keep):
                self._performer.drain(replica, reason, spec.drain, spec.stop_grace, keep)
            case Remove(replica, _):
                self._performer.remove(replica, spec.stop_grace)
            case Freeze(replica):
                self._performer.freeze(replica, spec.drain)
            case Thaw(replica):
                self._performer.thaw(replica)
            case _:
                assert_never(action)

    def _retire(self, service: str) -> None:
        """A service that is no longer configured."""
        scene = Scene(REMOVED, "", self._registry.replicas(service))
        for action in plan(scene):
            self._act(action, Service(name=service), Workload(service, ""))

    def _follow_endpoints(self, spec: Service) -> None:
        for replica in self._static.follow(spec):
            self._performer.drain(replica, "removed from the configuration", spec.drain, 0)

    def _look_in(self, seconds: float, service: str) -> None:
        if (former := self._later.pop(service, None)) is not None:
            former.cancel()
        loop = asyncio.get_running_loop()
        self._later[service] = loop.call_later(seconds, self._look_after_wait, service)

    def _look_after_wait(self, service: str) -> None:
        self._later.pop(service, None)
        self.look(service)
