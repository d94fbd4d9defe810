"""Runs the probes that replicas are owed and writes the verdicts.

A replica has a watch while it starts, is ready or unhealthy, and a task for each duty; nothing
exists for a service that sleeps. Only repeated probes share a limit: a start never waits for them.
A verdict is written in the turn of the loop in which the try ended.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from random import Random

from cluster.events import Events
from cluster.lifecycle import Event, State
from cluster.model import Replica
from cluster.registry import Registry
from cluster.tasks import Tasks
from config.health import Check, Health, Probe, StartupProbe
from config.service import Service
from health import probes
from health.duties import NONE, Duty, duties, is_static, is_watched, repeated
from health.metrics import HealthMetrics
from health.schedule import FIRST_TRY, first_due, next_due, next_try, timeout_of
from health.telling import tell
from health.verdict import Finding, Opening, Result, Verdict, Vitals, judge

Attempt = Callable[[Check, Replica, float], Awaitable[Finding]]

# The longest pause, in seconds, while nobody waits: an unhealthy replica, a dead endpoint.
UNHURRIED = 5.0
_TCP = StartupProbe(tcp=True)


@dataclass(slots=True)
class _Watch:
    """What we know and do about one replica; replaced when its address changes."""

    replica: Replica
    spec: Service | None = None
    vitals: Vitals = field(default_factory=Vitals)
    tasks: dict[Duty, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def health(self) -> Health:
        return self.spec.health if self.spec else Health()

    def is_at(self, duty: Duty) -> bool:
        task = self.tasks.get(duty)
        return task is not None and not task.done()


class Prober:
    """`limit` bounds the repeated probes under way at once; `attempt` makes one try."""

    def __init__(
        self,
        registry: Registry,
        execute: probes.Execute,
        tasks: Tasks,
        events: Events,
        clock: Callable[[], float],
        rng: Random,
        metrics: HealthMetrics,
        limit: int = 50,
        attempt: Attempt | None = None,
    ) -> None:
        self._registry = registry
        self._tasks = tasks
        self._events = events
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._slots = asyncio.Semaphore(limit)
        self._attempt = attempt or functools.partial(probes.attempt, execute=execute)
        self._watches: dict[str, dict[str, _Watch]] = {}
        self._closed = False
        registry.on_replica(self._on_replica)
        registry.on_service(self._on_service)

    def confirm(self, replica: str) -> None:
        """Traffic was refused: look at once, and take the replica out if it is true.

        Does nothing for an endpoint that others run, or while a look is under way.
        """
        known = self._registry.replica(replica)
        if known is None or known.state is not State.READY or is_static(known):
            return
        watch = self._watches.get(known.service, {}).get(replica)
        if watch is not None and not watch.is_at(Duty.CONFIRM):
            self._start(watch, Duty.CONFIRM)

    def close(self) -> None:
        """End every task and start no more."""
        self._closed = True
        for service, watches in tuple(self._watches.items()):
            for replica in tuple(watches):
                self._unwatch(service, replica)

    # Who is watched, and for what

    def _on_replica(self, replica: Replica) -> None:
        # Another listener may have moved it on meanwhile: the registry has the truth.
        self._sync(replica.service, replica.id)

    def _on_service(self, service: str) -> None:
        """Forgotten replicas and a new spec are only announced by the name of the service."""
        spec = self._registry.specs.get(service)
        for replica, watch in tuple(self._watches.get(service, {}).items()):
            if watch.spec is not spec or self._registry.replica(replica) is None:
                self._sync(service, replica)

    def _sync(self, service: str, replica_id: str) -> None:
        replica = self._registry.replica(replica_id)
        if replica is None or self._closed or not self._is_owed(replica):
            self._unwatch(service, replica_id)
            return
        watch = self._watch(replica)
        watch.replica = replica
        watch.spec = self._registry.specs.get(service)
        self._assign(watch, duties(replica, watch.spec.health) if watch.spec else NONE)

    def _is_owed(self, replica: Replica) -> bool:
        """A one-shot listens nowhere; only its end says how it went."""
        return is_watched(replica) and not self._registry.is_one_shot(replica.service)

    def _watch(self, replica: Replica) -> _Watch:
        watches = self._watches.setdefault(replica.service, {})
        watch = watches.get(replica.id)
        if watch is None or _moved(watch.replica, replica):
            self._unwatch(replica.service, replica.id)
            watch = _Watch(replica)
            self._watches.setdefault(replica.service, {})[replica.id] = watch
        return watch

    def _unwatch(self, service: str, replica: str) -> None:
        watches = self._watches.get(service)
        if watches is None:
            return
        watch = watches.pop(replica, None)
        if not watches:
            del self._watches[service]
        if watch is not None:
            self._stop(watch, frozenset(watch.tasks))

    def _assign(self, watch: _Watch, owed: frozenset[Duty]) -> None:
        keep = owed | {Duty.CONFIRM} if watch.replica.state is State.READY else owed
        self._stop(watch, watch.tasks.keys() - keep)
        for duty in sorted(owed - watch.tasks.keys()):
            self._start(watch, duty)

    def _start(self, watch: _Watch, duty: Duty) -> None:
        work = self._work(watch, duty)
        task = self._tasks.start(work, name=f"health {duty} {watch.replica.id}")
        watch.tasks[duty] = task
        task.add_done_callback(functools.partial(_done, watch, duty))

    def _stop(self, watch: _Watch, stale: AbstractSet[Duty]) -> None:
        # A task may stop itself here, by its own verdict: it then ends at its next await.
        for duty in stale:
            watch.tasks.pop(duty).cancel()

    # The tasks

    async def _work(self, watch: _Watch, duty: Duty) -> None:
        if duty in (Duty.STARTUP, Duty.RECOVERY):
            await self._open(watch, duty)
        elif duty is Duty.CONFIRM:
            await self._confirm(watch)
        else:
            await self._repeat(watch, duty)

    async def _open(self, watch: _Watch, duty: Duty) -> None:
        opening, one = Opening(self._clock()), FIRST_TRY
        while True:
            check = opening.check(watch.health)
            finding = await self._probe(watch, duty, check, timeout_of(one, check))
            now = self._clock()
            verdict = opening.record(finding, watch.replica, watch.health, now)
            if verdict is not None and self._apply(watch, verdict):
                return
            # Open now, readiness is the next to ask: at once.
            one = (
                FIRST_TRY
                if finding.passed
                else next_try(one, check, _longest_pause(duty, opening, watch.health, now))
            )
            await asyncio.sleep(min(one.pause, opening.until_deadline(watch.health, now)))

    async def _repeat(self, watch: _Watch, duty: Duty) -> None:
        due = first_due(_repeated(watch, duty).every, self._rng, self._clock())
        while True:
            await asyncio.sleep(due - self._clock())
            async with self._slots:
                check = _repeated(watch, duty)
                finding = await self._probe(watch, duty, check, check.timeout)
            watch.vitals.of(duty).record(finding)
            verdict = judge(watch.replica, watch.vitals, watch.health)
            if verdict is not None:
                self._apply(watch, verdict)
            due = next_due(due, check.every, self._rng, self._clock())

    async def _confirm(self, watch: _Watch) -> None:
        timeout = watch.health.startup.timeout
        finding = await self._probe(watch, Duty.CONFIRM, _TCP, timeout)
        if finding.result is Result.FAILED:
            watch.vitals.readiness.record(finding)
            reason = f"a request was refused and a probe confirms it: {finding.text}"
            self._apply(watch, Verdict(Event.UNREADY, reason))

    async def _probe(self, watch: _Watch, duty: Duty, check: Check, timeout: float) -> Finding:
        finding = await self._attempt(check, watch.replica, timeout)
        self._metrics.probes.labels(watch.replica.service, duty, finding.result).inc()
        return finding

    def _apply(self, watch: _Watch, verdict: Verdict) -> bool:
        """Write it; False when it changes nothing."""
        replica, now = watch.replica, self._clock()
        if verdict.event is not None and not self._registry.advance(
            replica.id, verdict.event, verdict.reason, now
        ):
            return False
        tell(self._events, replica, verdict)
        return verdict.event is not None


def _repeated(watch: _Watch, duty: Duty) -> Probe:
    # The duty ends with its probe; the default is for the turn in between.
    return repeated(duty, watch.health) or Probe(tcp=True)


def _longest_pause(duty: Duty, opening: Opening, health: Health, now: float) -> float:
    unhurried = duty is Duty.RECOVERY or opening.is_overdue(health, now)
    return max(health.startup.every, UNHURRIED) if unhurried else health.startup.every


def _moved(former: Replica, replica: Replica) -> bool:
    return (former.instance, former.address) != (replica.instance, replica.address)


def _done(watch: _Watch, duty: Duty, task: asyncio.Task[None]) -> None:
    if watch.tasks.get(duty) is task:
        del watch.tasks[duty]
