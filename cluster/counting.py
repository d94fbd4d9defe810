"""The actions of a plan, carried out on an engine that owns the count.

The engine places, restarts and replaces by itself; we tell it one number for each service, and
which instances we can spare. Replicas appear and go through discovery only. Whatever action made
us act, the number is computed from the whole state, so telling it twice does no harm.
"""

import asyncio
import contextlib
from collections.abc import Callable

from cluster.calls import Calls
from cluster.events import Events
from cluster.failures import Failures
from cluster.gate import Gate
from cluster.lifecycle import Event, State
from cluster.messages import Drained
from cluster.metrics import ClusterMetrics
from cluster.model import Instance, Replica, Trouble
from cluster.registry import Registry
from cluster.routed import Routed
from cluster.runtime import CountRuntime, RuntimeFailure
from cluster.tasks import Tasks
from cluster.workload import Workload, workload_of
from config.service import Service

TELL_AGAIN_AFTER = 5.0


class Counting:
    def __init__(
        self,
        registry: Registry,
        runtime: CountRuntime,
        tasks: Tasks,
        failures: Failures,
        events: Events,
        metrics: ClusterMetrics,
        clock: Callable[[], float],
        workload: Callable[[Service], Workload] = workload_of,
    ) -> None:
        """`workload` tells what a service is to run now."""
        self._registry = registry
        self._runtime = runtime
        self._tasks = tasks
        self._failures = failures
        self._events = events
        self.gate = Gate()
        self._calls = Calls(metrics, clock, self.gate)
        self._clock = clock
        self._workload = workload
        self._routed = Routed(registry)
        self._told: dict[str, tuple[str, int]] = {}
        self._telling: set[str] = set()
        self._draining: set[str] = set()
        registry.on_replica(self._forget_ended)

    # Actions: they return at once

    def start(self, workload: Workload) -> None:
        self._tell(workload.service)

    def revive(self, replica: str) -> None:
        """Such engines keep nothing for us."""

    def drain(
        self, replica: str, reason: str, limit: float, grace: float, keep: bool = False
    ) -> None:
        """Out of the snapshot first, if the engine lets us choose who goes."""
        known = self._registry.replica(replica)
        if known is None:
            return
        if not self._runtime.capabilities.choose_victim:
            self._tell(known.service)
        elif self._registry.advance(replica, Event.DRAIN, reason, self._clock()):
            self._draining.add(replica)
            self._tasks.start(self._drain(known, limit), f"drain {replica}")

    def remove(self, replica: str, grace: float) -> None:
        """The engine replaces what ended; only our record goes."""
        self._registry.forget(replica)

    def freeze(self, replica: str, limit: float) -> None:
        """Such engines cannot; the replica stays awake until it is stopped."""

    def thaw(self, replica: str) -> None:
        self._registry.advance(replica, Event.THAW, "woken", self._clock())

    def discard(self, instance: Instance) -> None:
        self._tasks.start(self._remove_service(instance.service), f"remove {instance.service}")

    def drained(self, message: Drained) -> None:
        self._routed.drained(message)

    async def stop_all(self, grace: float | None = None) -> None:
        for service in {*self._told, *self._registry.used_services()}:
            await self._remove_service(service)

    # Their tasks

    def _forget_ended(self, replica: Replica) -> None:
        if replica.state is State.STOPPED:
            self._routed.forget(replica.id)
            self._registry.forget(replica.id)

    async def _drain(self, replica: Replica, limit: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._routed.left(replica.id)
        self._draining.discard(replica.id)
        self._tell(replica.service)

    def _tell(self, service: str) -> None:
        """One call at a time for each service; what changes meanwhile is told afterwards."""
        if service not in self._telling:
            self._telling.add(service)
            self._tasks.start(self._tell_until_it_knows(service), f"count {service}")

    async def _tell_until_it_knows(self, service: str) -> None:
        try:
            while (spec := self._registry.specs.get(service)) is not None:
                workload = self._workload(spec)
                count, spare = self._count(service)
                if self._told.get(service) == (workload.revision, count):
                    return
                await self._tell_once(workload, count, spare)
        finally:
            self._telling.discard(service)

    async def _tell_once(self, workload: Workload, count: int, spare: list[str]) -> None:
        try:
            await self._calls("set_count", self._runtime.set_count(workload, count, spare))
        except RuntimeFailure as failure:
            self._registry.set_trouble(
                workload.service, Trouble(failure.code, failure.message, TELL_AGAIN_AFTER)
            )
            await asyncio.sleep(TELL_AGAIN_AFTER)
        else:
            self._told[workload.service] = (workload.revision, count)
            self._registry.set_trouble(workload.service, None)

    def _count(self, service: str) -> tuple[int, list[str]]:
        """Those still finishing requests are kept on top; those that are done may be taken."""
        draining = [r for r in self._registry.replicas(service) if r.state is State.DRAINING]
        busy = sum(replica.id in self._draining for replica in draining)
        spare = [r.instance for r in draining if r.instance and r.id not in self._draining]
        return self._registry.desired(service).replicas + busy, spare

    async def _remove_service(self, service: str) -> None:
        with contextlib.suppress(RuntimeFailure):
            await self._calls("remove", self._runtime.remove(service))
        self._told.pop(service, None)
