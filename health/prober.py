"""Runs the probes that replicas are owed and writes the verdicts.

A replica has a watch while it starts, is ready or unhealthy, and a task for each duty; nothing
exists for a service that sleeps. Starts and repeated probes have limits of their own: a start never
waits for those. A verdict is written in the turn of the loop in which the try ended.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from random import Random

from cluster.events import Events
from cluster.lifecycle import Event, State
from cluster.model import InstanceHealth, Replica
from cluster.registry import Registry
from cluster.tasks import Tasks
from config.health import Check, Health, Probe, StartupProbe
from health import probes
from health.duties import (
    NONE,
    Duty,
    duties,
    is_judged_by_engine,
    is_static,
    is_watched,
    repeated,
)
from health.eviction import Ward
from health.evictor import Evicted, Evictor, MayRun
from health.metrics import HealthMetrics
from health.schedule import FIRST_TRY, first_due, next_due, next_try, timeout_of
from health.slots import Slots
from health.telling import tell
from health.verdict import (
    IMAGE_SAYS_NO,
    Finding,
    Opening,
    Result,
    Verdict,
    fails_liveness,
    image_says,
    judge,
)
from health.watch import Watch, done, moved, ward_of

Attempt = Callable[[Check, Replica, float], Awaitable[Finding]]

# The longest pause, in seconds, while nobody waits: an unhealthy replica, a dead endpoint.
UNHURRIED = 5.0
# How often an eviction that was put off is asked for again (seconds).
ASK_AGAIN = 5.0
_TCP = StartupProbe(tcp=True)


class Prober:
    """`limit` bounds the repeated probes under way at once, `starts` those of starts; `attempt`
    makes one try; `evicted` is told of what is taken out for good; `may_run` says whether there
    is room for one more replica of a service."""

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
        *,
        starts: int = 100,
        evicted: Evicted = lambda service, replica, reason: None,
        may_run: MayRun = lambda service: True,
    ) -> None:
        self._registry = registry
        self._tasks = tasks
        self._events = events
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._slots = Slots(limit)
        self._starts = Slots(starts)
        self._crowd = 0
        self._evictor = Evictor(registry, events, metrics, evicted, may_run)
        self._attempt = attempt or functools.partial(probes.attempt, execute=execute)
        self._watches: dict[str, dict[str, Watch]] = {}
        self._closed = False
        registry.on_replica(self._on_replica)
        registry.on_service(self._on_service)

    def confirm(self, replica: str) -> None:
        """Traffic met a refusal or silence: look at once, take the replica out if it is true.

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
        if not self._heard(watch):
            self._assign(watch, self._owed(watch))

    def _owed(self, watch: Watch) -> frozenset[Duty]:
        if watch.spec is None:
            return NONE
        evicted = self._evictor.is_out(watch.replica.id)
        return duties(watch.replica, watch.spec.health, evicted)

    def _is_owed(self, replica: Replica) -> bool:
        """A one-shot listens nowhere; only its end says how it went."""
        return is_watched(replica) and not self._registry.is_one_shot(replica.service)

    def _watch(self, replica: Replica) -> Watch:
        watches = self._watches.setdefault(replica.service, {})
        watch = watches.get(replica.id)
        if watch is None or moved(watch.replica, replica):
            self._unwatch(replica.service, replica.id)
            watch = Watch(replica, self._clock())
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

    def _assign(self, watch: Watch, owed: frozenset[Duty]) -> None:
        keep = owed | {Duty.CONFIRM} if watch.replica.state is State.READY else owed
        self._stop(watch, watch.tasks.keys() - keep)
        for duty in sorted(owed - watch.tasks.keys()):
            self._start(watch, duty)

    def _start(self, watch: Watch, duty: Duty) -> None:
        work = self._work(watch, duty)
        task = self._tasks.start(work, name=f"health {duty} {watch.replica.id}")
        watch.tasks[duty] = task
        task.add_done_callback(functools.partial(done, watch, duty))

    def _stop(self, watch: Watch, stale: AbstractSet[Duty]) -> None:
        # A task may stop itself here, by its own verdict: it then ends at its next await.
        for duty in stale:
            watch.tasks.pop(duty).cancel()

    # The tasks

    async def _work(self, watch: Watch, duty: Duty) -> None:
        match duty:
            case Duty.STARTUP | Duty.RECOVERY:
                await self._open(watch, duty)
            case Duty.CONFIRM:
                await self._confirm(watch)
            case Duty.PATIENCE:
                await self._wait_for_image(watch)
            case Duty.HEED:
                await self._heed_image(watch)
            case _:
                await self._repeat(watch, duty)

    async def _open(self, watch: Watch, duty: Duty) -> None:
        hurried = duty is Duty.STARTUP and not is_static(watch.replica)
        self._crowd += hurried
        try:
            await self._try_until_open(watch, duty)
        finally:
            self._crowd -= hurried

    async def _try_until_open(self, watch: Watch, duty: Duty) -> None:
        opening, one = Opening(self._clock()), FIRST_TRY
        while True:
            check = opening.check(watch.health)
            async with self._starts.of(watch.replica.service):
                finding = await self._probe(watch, duty, check, timeout_of(one, check))
            now = self._clock()
            late = self._late(watch, opening, now)
            verdict = opening.record(finding, watch.replica, watch.health, now, late)
            if verdict is not None and self._apply(watch, verdict):
                return
            longest = _longest_pause(duty, opening, watch.health, now)
            # Open now, readiness is the next to ask: at once.
            one = FIRST_TRY if finding.passed else next_try(one, check, longest, self._crowd)
            await asyncio.sleep(min(one.pause, opening.until_deadline(watch.health, now)))

    def _late(self, watch: Watch, opening: Opening, now: float) -> Event | None:
        """What becomes of it if it is late."""
        is_of_interest = watch.replica.adopted and opening.is_overdue(watch.health, now)
        if not is_of_interest or watch.spec is None:
            return Event.CONDEMNED
        return self._evictor.late(watch.spec)

    async def _repeat(self, watch: Watch, duty: Duty) -> None:
        due = first_due(_repeated(watch, duty).every, self._rng, self._clock())
        while True:
            await asyncio.sleep(due - self._clock())
            async with self._slots.of(watch.replica.service):
                check = _repeated(watch, duty)
                finding = await self._probe(watch, duty, check, check.timeout)
            watch.vitals.of(duty).record(finding)
            evicted = self._evictor.is_out(watch.replica.id)
            verdict = judge(watch.replica, watch.vitals, watch.health, evicted)
            if duty is Duty.LIVENESS and finding.result is not Result.UNKNOWN:
                self._mind(watch, check)
            if verdict is not None:
                self._apply(watch, verdict)
            due = next_due(due, check.every, self._rng, self._clock())

    async def _confirm(self, watch: Watch) -> None:
        timeout = watch.health.startup.timeout
        async with self._starts.of(watch.replica.service):
            finding = await self._probe(watch, Duty.CONFIRM, _TCP, timeout)
        if finding.result is Result.FAILED:
            watch.vitals.readiness.record(finding)
            reason = f"requests failed and a probe confirms it: {finding.text}"
            self._apply(watch, Verdict(Event.UNREADY, reason))

    async def _wait_for_image(self, watch: Watch) -> None:
        """Not for ever, where the operator has set a deadline."""
        deadline = watch.health.startup.deadline
        await asyncio.sleep(watch.began + deadline - self._clock())
        reason = f"the HEALTHCHECK of its image did not pass within {deadline:g} s"
        self._apply(watch, Verdict(Event.CONDEMNED, reason))

    async def _heed_image(self, watch: Watch) -> None:
        """The engine tells once; an eviction that has to wait is asked for again."""
        while True:
            self._evict(watch, Verdict(None, IMAGE_SAYS_NO), "healthcheck")
            await asyncio.sleep(ASK_AGAIN)

    # What liveness says

    def _heard(self, watch: Watch) -> bool:
        """News of the engine's own check; True when it changed what the replica is."""
        replica, spec = watch.replica, watch.spec
        news = None
        if spec is not None and is_judged_by_engine(replica, spec.health):
            news = replica.health
        former, watch.heard = watch.heard, news
        if news is former:
            return False
        if news is InstanceHealth.HEALTHY:
            self._lives(watch)
        verdict = image_says(replica, former, self._clock() - watch.began)
        return verdict is not None and self._apply(watch, verdict)

    def _mind(self, watch: Watch, check: Probe) -> None:
        failed = fails_liveness(watch.replica, watch.vitals, watch.health)
        if failed is not None:
            self._evict(watch, failed, Duty.LIVENESS)
        elif watch.vitals.liveness.passes(check):
            self._lives(watch)

    def _lives(self, watch: Watch) -> None:
        if self._evictor.is_guarding(watch.replica.service):
            self._evictor.passes(watch.replica, self._ward(watch.replica.service), watch.began)

    def _evict(self, watch: Watch, verdict: Verdict, kind: str) -> None:
        replica, now = watch.replica, self._clock()
        if watch.spec is None or not watch.is_judged:
            return
        ward = self._ward(replica.service)
        outcome = self._evictor.fails(replica, ward, watch.spec, verdict, kind, now)
        if outcome is None:
            return
        if outcome.event is Event.CONDEMNED:
            self._apply(watch, outcome)
        elif not self._registry.advance(replica.id, Event.UNREADY, outcome.reason, now):
            # It was out already: only what may bring it back is another.
            self._sync(replica.service, replica.id)

    def _ward(self, service: str) -> Ward:
        watches = self._watches.get(service, {}).values()
        return ward_of(watches, self._evictor.is_out, self._registry.desired(service).replicas)

    async def _probe(self, watch: Watch, duty: Duty, check: Check, timeout: float) -> Finding:
        finding = await self._attempt(check, watch.replica, timeout)
        self._metrics.probes.labels(watch.replica.service, duty, finding.result).inc()
        return finding

    def _apply(self, watch: Watch, verdict: Verdict) -> bool:
        """Write it; False when it changes nothing."""
        replica, now = watch.replica, self._clock()
        if verdict.event is not None and not self._registry.advance(
            replica.id, verdict.event, verdict.reason, now
        ):
            return False
        tell(self._events, replica, verdict)
        return verdict.event is not None


def _repeated(watch: Watch, duty: Duty) -> Probe:
    # The duty ends with its probe; the default is for the turn in between.
    return repeated(duty, watch.health) or Probe(tcp=True)


def _longest_pause(duty: Duty, opening: Opening, health: Health, now: float) -> float:
    unhurried = duty is Duty.RECOVERY or opening.is_overdue(health, now)
    return max(health.startup.every, UNHURRIED) if unhurried else health.startup.every
