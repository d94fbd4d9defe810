"""The actions of a plan, carried out on an engine with which we place instances ourselves.

Each action has one task, each replica at most one action at a time. Results become facts in the
registry; nothing here decides.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cluster.calls import Calls
from cluster.cold_starts import ColdStarts
from cluster.events import Events
from cluster.failures import Failures
from cluster.gate import Gate
from cluster.lifecycle import Event, State
from cluster.messages import Drained
from cluster.metrics import ClusterMetrics
from cluster.model import Instance, Replica
from cluster.registry import Registry
from cluster.routed import Routed
from cluster.runtime import InstanceRuntime, RuntimeFailure
from cluster.starts import Starts
from cluster.tasks import Tasks
from cluster.workload import Workload
from config.service import Service

STOP_AGAIN_AFTER = (0.5, 1.0, 2.0, 5.0)
THAW_AGAIN_AFTER = (0.1, 0.5, 1.0, 2.0, 5.0)
FREEZE_AGAIN_AFTER = 5.0
DISCARD_GRACE = 10.0

Given = Callable[[str], Mapping[str, str]]


class Placing:
    def __init__(
        self,
        registry: Registry,
        runtime: InstanceRuntime,
        tasks: Tasks,
        failures: Failures,
        events: Events,
        metrics: ClusterMetrics,
        clock: Callable[[], float],
        wall: Callable[[], float],
        new_id: Callable[[str], str],
        given: Given = lambda service: {},
        jitter: Callable[[], float] = lambda: 1.0,
        starts: Starts | None = None,
    ) -> None:
        """`given` is what each replica of a service has in its environment from us. `jitter`:
        about 1; what a pause before trying an engine again is multiplied with. Without `starts`,
        any number may be started at once."""
        self._registry = registry
        self._runtime = runtime
        self._tasks = tasks
        self._failures = failures
        self._events = events
        self._metrics = metrics
        self.gate = Gate()
        self._calls = Calls(metrics, clock, self.gate)
        self._clock = clock
        self._wall = wall
        self._new_id = new_id
        self._given = given
        self._jitter = jitter
        self._starts = starts or Starts(registry, metrics)
        self._cold_starts = ColdStarts(registry, metrics, clock)
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._routed = Routed(registry)

    # Actions: they return at once

    def start(self, workload: Workload) -> None:
        replica = self._new_id(workload.service)
        self._registry.add(
            Replica(
                replica,
                workload.service,
                workload.revision,
                State.STARTING,
                started_at=self._wall(),
                since=self._clock(),
            )
        )
        self._run(replica, "start", self._start(replica, workload))

    def revive(self, replica: str) -> None:
        if replica not in self._busy and self._registry.advance(
            replica, Event.REVIVE, "started again", self._clock()
        ):
            self._run(replica, "start again", self._revive(replica))

    def drain(
        self, replica: str, reason: str, limit: float, grace: float, keep: bool = False
    ) -> None:
        """Also takes over from a start that is under way."""
        if not self._registry.advance(replica, Event.DRAIN, reason, self._clock()):
            return
        former = self._busy.pop(replica, None)
        if former is not None:
            former.cancel()
        self._run(replica, "drain", self._drain(replica, former, limit, grace, keep))

    def remove(self, replica: str, grace: float) -> None:
        self._unless_busy(replica, "remove", lambda: self._remove(replica, grace))

    def freeze(self, replica: str, limit: float) -> None:
        self._unless_busy(replica, "freeze", lambda: self._freeze(replica, limit))

    def thaw(self, replica: str) -> None:
        self._unless_busy(replica, "thaw", lambda: self._thaw(replica))

    def discard(self, instance: Instance) -> None:
        """An instance of ours that no service claims."""
        self._unless_busy(
            instance.replica, "discard", lambda: self._stop_instance(instance.id, DISCARD_GRACE)
        )

    def drained(self, message: Drained) -> None:
        self._routed.drained(message)

    async def stop_all(self, grace: float | None = None) -> None:
        """End of the world: undo half-done starts, stop what runs, each with its own grace."""
        for task in list(self._busy.values()):
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
        async with asyncio.TaskGroup() as group:
            for service in self._registry.used_services():
                spec = self._registry.specs.get(service) or Service(name=service)
                patience = spec.stop_grace if grace is None else grace
                for replica in self._registry.replicas(service):
                    stop = self._stop_for_good(replica, patience)
                    group.create_task(stop, name=f"stop {replica.id}")

    # Their tasks

    async def _start(self, replica: str, workload: Workload) -> None:
        async with self._starts.place(replica, workload.service):
            start = self._runtime.start(replica, self._equipped(workload))
            await self._begin(replica, workload.service, self._calls("start", start), "started")

    async def _revive(self, replica: str) -> None:
        known = self._registry.replica(replica)
        if known is None or known.instance is None:
            return
        async with self._starts.place(replica, known.service):
            resume = self._calls("resume", self._runtime.resume(known.instance))
            await self._begin(replica, known.service, resume, "started again")

    async def _begin(
        self, replica: str, service: str, start: Awaitable[Instance], verb: str
    ) -> None:
        begun = self._clock()
        try:
            instance = await start
        except RuntimeFailure as failure:
            self._metrics.starts.labels(service, "failed").inc()
            self._failures.why(replica, failure.code)
            self._registry.advance(replica, Event.EXITED, failure.message, self._clock())
            return
        self._metrics.starts.labels(service, "started").inc()
        self._cold_starts.made(replica, service, begun)
        self._events.emit(
            "replica-started",
            f"{replica} {verb} at {instance.address}",
            service=service,
            replica=replica,
        )
        self._oust(instance)
        self._registry.locate(replica, instance.id, instance.address, instance.health)

    def _oust(self, instance: Instance) -> None:
        """Whoever is still believed at its address has ended, and we have not heard of it. Not so
        where all share an address of this host (the network `host`): several may listen there."""
        if instance.address is None or instance.address.is_loopback:
            return
        for other in self._registry.claimants(instance.address):
            if other != instance.replica:
                reason = f"its address {instance.address} is {instance.replica}'s now"
                self._registry.advance(other, Event.EXITED, reason, self._clock())

    def _equipped(self, workload: Workload) -> Workload:
        """With what is no part of its revision."""
        given = tuple(self._given(workload.service).items())
        return replace(workload, env=(*workload.env, *given)) if given else workload

    async def _drain(
        self,
        replica: str,
        former: "asyncio.Task[None] | None",
        limit: float,
        grace: float,
        keep: bool,
    ) -> None:
        if former is not None:
            await asyncio.wait([former])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._routed.left(replica)
        known = self._registry.replica(replica)
        if keep and known and known.instance and await self._halted(known.instance, grace):
            self._keep(replica, known.instance, known.reason)
            return
        if known is not None and known.instance is not None:
            await self._stop_instance(known.instance, grace)
        self._registry.advance(replica, Event.EXITED, known.reason if known else "", self._clock())
        self._end(replica, "stopped")

    async def _halted(self, instance: str, grace: float) -> bool:
        """False: it cannot be kept, so it is stopped for good."""
        try:
            await self._calls("halt", self._runtime.halt(instance, grace))
        except RuntimeFailure:
            return False
        return True

    def _keep(self, replica: str, instance: str, reason: str) -> None:
        known = self._registry.replica(replica)
        self._routed.forget(replica)
        self._registry.locate(replica, instance, None)
        self._registry.advance(replica, Event.EXITED, reason, self._clock())
        self._events.emit(
            "replica-stopped",
            f"{replica} stopped and kept: {reason}",
            service=known.service if known else None,
            replica=replica,
        )

    async def _remove(self, replica: str, grace: float) -> None:
        known = self._registry.replica(replica)
        if known is not None and known.instance is not None:
            await self._stop_instance(known.instance, grace)
        self._end(replica, "removed")

    async def _freeze(self, replica: str, limit: float) -> None:
        known = self._registry.replica(replica)
        if known is None or known.instance is None:
            return
        if not self._registry.advance(replica, Event.FREEZE, "idle", self._clock()):
            return
        try:
            async with asyncio.timeout(limit):
                await self._routed.left(replica)
            await self._calls("freeze", self._runtime.freeze(known.instance))
        except (RuntimeFailure, TimeoutError) as failure:
            self._registry.advance(replica, Event.THAW, f"not frozen: {failure}", self._clock())
            await asyncio.sleep(FREEZE_AGAIN_AFTER)

    async def _thaw(self, replica: str) -> None:
        """Ready before it is thawed: the kernel takes connections and bytes for a frozen replica,
        so its requests are on their way while the engine is still at work. An engine in trouble is
        asked again and again: the replica lives, and what it was sent waits in it; it gets nothing
        more until it is thawed."""
        known = self._registry.replica(replica)
        if known is None or known.instance is None:
            return
        self._registry.advance(replica, Event.THAW, "woken", self._clock())
        for pause in _endless(THAW_AGAIN_AFTER):
            failure = await self._thawed(known.instance)
            if failure is None:
                self._registry.advance(replica, Event.THAW, "woken", self._clock())
                return
            if not failure.transient:
                self._failures.why(replica, failure.code)
                self._registry.advance(replica, Event.EXITED, failure.message, self._clock())
                return
            why = f"not thawed yet: {failure.message}"
            self._registry.advance(replica, Event.FREEZE, why, self._clock())
            await asyncio.sleep(pause * self._jitter())

    async def _thawed(self, instance: str) -> RuntimeFailure | None:
        """Why not, where it did not succeed."""
        try:
            await self._calls("thaw", self._runtime.thaw(instance))
        except RuntimeFailure as failure:
            return failure
        return None

    async def _stop_instance(self, instance: str, grace: float) -> None:
        """Until it worked: an engine that is away for a while must not leave leaks behind."""
        for attempt, pause in enumerate(_endless(STOP_AGAIN_AFTER)):
            try:
                await self._calls("stop", self._runtime.stop(instance, grace))
                return
            except RuntimeFailure as failure:
                if attempt == 0:
                    self._tell_stop_failed(instance, failure, "it is tried again until it works")
                await asyncio.sleep(pause * self._jitter())

    async def _stop_for_good(self, replica: Replica, grace: float) -> None:
        self._registry.advance(replica.id, Event.DRAIN, "Tidegate stops", self._clock())
        if replica.instance is not None:
            try:
                await self._calls("stop", self._runtime.stop(replica.instance, grace))
            except RuntimeFailure as failure:
                hint = "it is left behind; the next Tidegate with this owner takes it over"
                self._tell_stop_failed(replica.instance, failure, hint)
        self._registry.forget(replica.id)

    def _tell_stop_failed(self, instance: str, failure: RuntimeFailure, hint: str) -> None:
        message = f"cannot stop {instance}: {failure.message}; {hint}"
        self._events.emit("stop-failed", message, level=logging.ERROR)

    # Bookkeeping

    def _run(self, replica: str, verb: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks.start(work, f"{verb} {replica}")
        self._busy[replica] = task
        task.add_done_callback(lambda done: self._finished(replica, done))

    def _unless_busy(
        self, replica: str, verb: str, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        if replica not in self._busy:
            self._run(replica, verb, work())

    def _finished(self, replica: str, done: "asyncio.Task[None]") -> None:
        """Whatever could not be done while the replica was busy is planned now."""
        if self._busy.get(replica) is done:
            del self._busy[replica]
            if (known := self._registry.replica(replica)) is not None:
                self._registry.touch(known.service)

    def _end(self, replica: str, verb: str) -> None:
        known = self._registry.replica(replica)
        if known is None:
            return
        self._events.emit(
            f"replica-{verb}",
            f"{replica} {verb}: {known.reason}",
            service=known.service,
            replica=replica,
        )
        self._routed.forget(replica)
        self._registry.forget(replica)


def _endless(pauses: Sequence[float]) -> Iterator[float]:
    """These, and the last one for ever."""
    return itertools.chain(pauses, itertools.repeat(pauses[-1]))
