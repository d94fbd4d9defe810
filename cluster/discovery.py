"""What really runs: the engine's list, held against our records.

Level-based: a hint of the engine only makes us look, and every `resync` seconds we look anyway.
What we did not start ourselves (a former Tidegate with the same owner did) is adopted, never
restarted; what belongs to no configured service is discarded. Being missing in one list proves
nothing, because lists may be stale: only what two in a row do not know is gone.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

from cluster.calls import Calls
from cluster.events import Events
from cluster.failures import Failures
from cluster.keeping import Keeping
from cluster.lifecycle import Event, State, may
from cluster.metrics import ClusterMetrics
from cluster.model import Exit, Instance, InstanceStatus, Replica
from cluster.registry import Registry
from cluster.runtime import Runtime, RuntimeFailure

RESYNC = 30.0
# News come in crowds, and a list call competes with the start that caused them.
GATHER = 0.02
# An engine that is away is asked for often enough that all is well soon after its return; to be
# refused by a local socket costs nothing.
AGAIN_FIRST = 0.5
AGAIN_LONGEST = 5.0


_STATES = {
    InstanceStatus.RUNNING: State.STARTING,
    InstanceStatus.FROZEN: State.FROZEN,
    InstanceStatus.EXITED: State.STOPPED,
}


class Discovery:
    """`adopt(service, count)` is told before the adopted replicas appear in the registry."""

    def __init__(
        self,
        registry: Registry,
        runtime: Runtime,
        failures: Failures,
        events: Events,
        metrics: ClusterMetrics,
        clock: Callable[[], float],
        *,
        adopt: Callable[[str, int], None],
        discard: Callable[[Instance], None],
        resync: float = RESYNC,
        keeping: Keeping | None = None,
        jitter: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._registry = registry
        self._runtime = runtime
        self._failures = failures
        self._events = events
        self._calls = Calls(metrics, clock)
        self._clock = clock
        self._adopt = adopt
        self._discard = discard
        self._resync = resync
        self._keeping = keeping
        self._hint = asyncio.Event()
        self._engine_answers = True
        self._jitter = jitter
        self._missing: set[str] = set()
        self._withheld: set[str] = set()

    async def run(self) -> None:
        """For ever. An engine that is away is tried again with growing pauses."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="follow the engine's news")
            group.create_task(self._look_again_and_again(), name="list the engine's instances")

    async def sync(self) -> bool:
        """One look; False when the engine did not answer."""
        before, withheld = self._registry.known(), self._withheld
        self._withheld = set()
        try:
            instances = await self._calls("list", self._runtime.instances())
        except RuntimeFailure as failure:
            self._withheld |= withheld
            self._engine_is(False, failure.message)
            return False
        except BaseException:
            self._withheld |= withheld
            raise
        self._compare(instances, before)
        for replica in withheld - self._withheld:
            self._registry.withhold(replica, False)
        self._engine_is(True)
        return True

    def look(self) -> None:
        """Look soon: something may have changed."""
        self._hint.set()

    async def _follow(self) -> None:
        pause = AGAIN_FIRST
        while True:
            begun = self._clock()
            await self._until_it_breaks()
            if self._clock() - begun > AGAIN_LONGEST:
                pause = AGAIN_FIRST
            await asyncio.sleep(pause * self._jitter())
            pause = min(AGAIN_LONGEST, pause * 2)
            await self._reconnect()

    async def _until_it_breaks(self) -> None:
        try:
            async for hint in self._runtime.watch():
                if hint.ended is not None:
                    self._has_ended(hint.ended, hint.exit)
                self._hint.set()
        except RuntimeFailure as failure:
            self._engine_is(False, failure.message)

    def _has_ended(self, instance: str, exit: Exit | None) -> None:
        """Noted at once where it is known how: a list would be late by what the engine takes."""
        for replica in self._registry.known().values():
            if replica.instance == instance:
                if exit is not None:
                    self._note_end(replica.id, exit)
                else:
                    self._withhold(replica.id)

    def _withhold(self, replica: str) -> None:
        """Until the next look has told how it ended, or that it runs again."""
        self._withheld.add(replica)
        self._registry.withhold(replica, True)

    async def _reconnect(self) -> None:
        try:
            await self._runtime.open()
        except RuntimeFailure as failure:
            self._engine_is(False, failure.message)

    async def _look_again_and_again(self) -> None:
        pause = self._resync
        while True:
            await self._hint_or(pause)
            if await self.sync():
                pause = self._resync
            else:
                pause = min(AGAIN_LONGEST, AGAIN_FIRST if pause == self._resync else pause * 2)
                # What was hinted at is not known yet; but who does not answer is not pressed.
                await asyncio.sleep(pause * self._jitter())
                self._hint.set()

    async def _hint_or(self, pause: float) -> None:
        try:
            async with asyncio.timeout(pause):
                await self._hint.wait()
        except TimeoutError:
            return
        await asyncio.sleep(GATHER)
        self._hint.clear()

    def _compare(self, instances: Sequence[Instance], before: dict[str, Replica]) -> None:
        """`before` was known when the list was asked for.

        Only an instance that was known then can be missing from the list, and what was known then
        but is forgotten now is no stranger: it ended in between.
        """
        self._note_losses(instances, before)
        # An end of what was stopped already is old news, also when it was started again since.
        stopped = {one.id for one in before.values() if one.state is State.STOPPED}
        for instance in instances:
            if instance.status is InstanceStatus.EXITED and instance.replica not in stopped:
                self._note_end(instance.replica, instance.exit or Exit())
                continue
            known = before.get(instance.replica)
            is_running = instance.status is InstanceStatus.RUNNING
            if is_running and (known is None or known.health is not instance.health):
                self._registry.note_health(instance.replica, instance.id, instance.health)
            if known is not None:
                self._note_move(known, instance)
        self._take_in(
            [
                instance
                for instance in instances
                if instance.replica not in before
                and self._registry.replica(instance.replica) is None
            ]
        )

    def _note_losses(self, instances: Sequence[Instance], before: dict[str, Replica]) -> None:
        seen = {instance.replica for instance in instances}
        missing = {
            replica.id
            for replica in before.values()
            if replica.instance is not None and replica.id not in seen
        }
        for replica in missing & self._missing:
            self._note_loss(before[replica])
        if self._missing != missing:
            self._hint.set()
        self._missing = missing

    def _note_move(self, former: Replica, instance: Instance) -> None:
        """Somebody else has started it again, and it is not where requests are sent to."""
        if instance.address == former.address or instance.id != former.instance:
            return
        known = self._registry.replica(former.id)
        if (
            known is None
            or None in (instance.address, former.address)
            or (former.instance, former.address) != (known.instance, known.address)
        ):
            return
        reason = f"it was started again by somebody else, at {instance.address}"
        self._registry.advance(former.id, Event.EXITED, reason, self._clock())

    def _note_loss(self, former: Replica) -> None:
        known = self._registry.replica(former.id)
        if former.state is State.STOPPED:
            # Kept no more: somebody has removed it.
            if known is not None and known.state is State.STOPPED:
                self._registry.forget(former.id)
        else:
            self._registry.advance(former.id, Event.EXITED, "it is gone", self._clock())

    def _note_end(self, replica: str, end: Exit) -> None:
        known = self._registry.replica(replica)
        if known is None or not may(known.state, Event.EXITED):
            return
        if end.code == 0 and self._registry.is_one_shot(known.service):
            self._complete(known)
            return
        self._failures.why(replica, "out-of-memory" if end.oom else "", end.message)
        if end.was_killed:
            self._failures.was_killed(replica)
        self._registry.advance(replica, Event.EXITED, end.cause, self._clock())

    def _complete(self, replica: Replica) -> None:
        if not may(replica.state, Event.COMPLETED):
            self._registry.advance(replica.id, Event.EXITED, "exited with code 0", self._clock())
            return
        self._registry.complete(replica.id)
        self._events.emit(
            "replica-completed",
            f"{replica.id} has completed",
            service=replica.service,
            replica=replica.id,
        )
        self._registry.advance(replica.id, Event.COMPLETED, "completed", self._clock())

    def _take_in(self, strangers: Sequence[Instance]) -> None:
        wanted: list[Instance] = []
        unwanted: list[Instance] = []
        for instance in sorted(strangers, key=lambda instance: instance.started_at):
            spec = self._registry.specs.get(instance.service)
            claimed = spec is not None and not spec.endpoints
            alive = instance.status is not InstanceStatus.EXITED
            if claimed and not alive and self._keeping and self._keeping.was_kept(instance):
                self._registry.add(self._adopted(instance))
                continue
            (wanted if claimed and alive else unwanted).append(instance)
        for service, count in Counter(instance.service for instance in wanted).items():
            if self._registry.desired(service).replicas < count:
                self._adopt(service, count)
        for instance in wanted:
            self._registry.add(self._adopted(instance))
        for instance in unwanted:
            self._discard(instance)

    def _adopted(self, instance: Instance) -> Replica:
        state = _STATES[instance.status]
        was = "was kept" if state is State.STOPPED else "was running already"
        self._events.emit(
            "replica-adopted",
            f"{instance.replica} {was} and is adopted",
            service=instance.service,
            replica=instance.replica,
        )
        return Replica(
            instance.replica,
            instance.service,
            instance.revision,
            state,
            started_at=instance.started_at,
            since=self._clock(),
            instance=instance.id,
            address=instance.address,
            reason="adopted",
            health=instance.health,
            adopted=True,
        )

    def _engine_is(self, answers: bool, why: str = "") -> None:
        self._failures.engine_answers(answers)
        if answers is self._engine_answers:
            return
        self._engine_answers = answers
        if answers:
            self._events.emit("engine-back", f"{self._runtime.name} answers again")
        else:
            self._events.emit("engine-away", why, level=logging.ERROR)
