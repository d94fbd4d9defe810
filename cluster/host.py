"""The memory of the host, shared by all services: what does not fit is not started.

A replica counts with its limit (`resources.memory`), else with what it was measured to use, else
with UNKNOWN. It counts from the decision to start it until it is gone. Who asked first is served
first, the higher priority before that; what is being freed for somebody is not given to others.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cluster.events import Events
from cluster.failures import HOST_FULL, Failures
from cluster.lifecycle import State
from cluster.metrics import ClusterMetrics
from cluster.model import Replica, Trouble, Usage
from cluster.plan import Action, Revive, Start
from cluster.registry import Registry
from cluster.room import IDLE_FOR, Idle, Need, Verdict, judge
from cluster.runtime import RuntimeFailure
from cluster.tasks import Tasks
from config.service import Service

UNKNOWN = 256 * 2**20  # bytes of a replica without a limit that nobody has measured yet
MEASURE_EVERY = 5.0
# Seconds in which requests wait although nobody could make room: whoever was in use a moment ago is
# soon known to be idle. After that they are refused at once.
PATIENCE = IDLE_FOR + 1.0
RETRY_AFTER = 5.0
_MOST_NAMED = 5
_GOING = (State.DRAINING, State.FAILED)
_GONE = (*_GOING, State.STOPPED)

IdleSince = Callable[[str], float | None]
PutToSleep = Callable[[str, str], None]


@dataclass(slots=True)
class _Share:
    """What a service holds, and how much of it is about to be free."""

    held: int = 0
    leaving: int = 0


@dataclass(slots=True)
class _Wait:
    """A service that does not fit; `promised` is what is being freed for it."""

    priority: int
    number: int
    since: float
    promised: int = 0
    told: bool = False


class HostMemory:
    """Without a budget it costs nothing and refuses nobody."""

    def __init__(
        self,
        registry: Registry,
        failures: Failures,
        events: Events,
        metrics: ClusterMetrics,
        clock: Callable[[], float],
        idle_since: IdleSince,
        put_to_sleep: PutToSleep,
        usage: Callable[[Sequence[str]], Awaitable[Mapping[str, Usage]]],
        levels: Callable[[], Awaitable[Mapping[str, int]]],
        tasks: Tasks,
    ) -> None:
        """`idle_since`: when a service was in use last, None while it must not be put to sleep.
        `levels`: requests in flight and queued at this moment, by service."""
        self._registry = registry
        self._failures = failures
        self._events = events
        self._metrics = metrics.host
        self._clock = clock
        self._idle_since = idle_since
        self._put_to_sleep = put_to_sleep
        self._usage = usage
        self._levels = levels
        self._tasks = tasks
        self._asking = False
        self._in_use: dict[str, float] = {}  # found so, and until when that is believed
        self._look: Callable[[str], None] = lambda service: None
        self._budget: int | None = None
        self._limited = asyncio.Event()
        self._shares: dict[str, _Share] = {}
        self._held = 0
        self._waiting: dict[str, _Wait] = {}
        self._number = 0
        self._measured: dict[str, int] = {}  # by service: the largest of its replicas, as last seen
        self._later: asyncio.TimerHandle | None = None
        registry.on_service(self._count)

    def configure(self, budget: int | None) -> None:
        """Bytes for all replicas together, None is no limit. What runs stays."""
        self._budget = budget
        (self._limited.set if budget is not None else self._limited.clear)()
        self._shares, self._held = {}, 0
        for service in self._registry.used_services() if budget is not None else ():
            self._count(service)
        self._tell_metrics()
        self._look_again()

    def on_room(self, look: Callable[[str], None]) -> None:
        """Called with each service that may fit now."""
        self._look = look

    def fell_idle(self) -> None:
        """Some service has no request any more: it may be put to sleep for those who wait."""
        if self._waiting:
            self._look_in(IDLE_FOR)

    def fitting(self, actions: Sequence[Action], spec: Service) -> Sequence[Action]:
        """Without the starts for which there is no room. Makes room for them where it can."""
        if self._budget is None and not self._waiting:
            return actions
        count = sum(_starts(action) for action in actions)
        if not count or self._budget is None:
            self._is_content(spec.name)
            return actions
        need = Need(spec.name, self._each(spec), count, spec.priority)
        verdict = judge(
            need, self._free_for(need), self._leaving(), list(self._idle()), self._clock()
        )
        if verdict.fits == count:
            self._is_content(spec.name)
            return actions
        self._wait(need, verdict)
        return _cut(actions, verdict.fits)

    def may_run(self, service: str) -> bool:
        """One more replica than are wanted of it fits, or others would make room for it."""
        spec = self._registry.specs.get(service)
        if self._budget is None or spec is None:
            return True
        staying = sum(one.state not in _GONE for one in self._registry.replicas(service))
        lacking = max(0, self._registry.desired(service).replicas - staying)
        need = Need(service, self._each(spec), lacking + 1, spec.priority)
        idle = list(self._idle())
        verdict = judge(need, self._free_for(need), self._leaving(), idle, self._clock())
        return verdict.seconds is not None or verdict.fits + verdict.coming >= need.count

    async def run(self) -> None:
        """Measures replicas without a limit, while there is a budget."""
        while True:
            await self._limited.wait()
            await self._measure()
            await asyncio.sleep(MEASURE_EVERY)

    # Those who do not fit

    def _wait(self, need: Need, verdict: Verdict) -> None:
        known = self._waiting.get(need.service)
        if known is None:
            self._number += 1
            known = self._waiting[need.service] = _Wait(need.priority, self._number, self._clock())
            self._metrics.full.labels(need.service).inc()
        known.promised = verdict.coming * need.each
        why = self._why(need)
        patience = known.since + PATIENCE - self._clock()
        if verdict.is_hopeless and patience > 0:
            self._look_in(patience)
        elif verdict.is_hopeless:
            message = "the host has no memory left for another replica"
            trouble = Trouble(HOST_FULL, message, RETRY_AFTER, why)
            self._failures.crowd_out(need.service, trouble)
            self._tell(need, known, why)
        elif verdict.coming and not verdict.stop:
            # Only now: whoever may make room may turn out to be in use.
            known.told = False
            self._failures.crowd_out(need.service, None)
        if verdict.stop and not self._asking:
            self._asking = True
            work = self._make_room(need.service, verdict.stop, why)
            self._tasks.start(work, f"make room for {need.service}")
        if verdict.seconds is not None:
            self._look_in(verdict.seconds)

    async def _make_room(self, needy: str, idle: Sequence[str], why: str) -> None:
        """Reports are up to a second old: who is idle by them is asked for once more."""
        try:
            levels = await self._levels()
        finally:
            self._asking = False
        known = self._waiting.get(needy)
        for service in idle if known is not None else ():
            if levels.get(service):
                self._in_use[service] = self._clock() + IDLE_FOR
            else:
                what = f"{needy} waits for {service}, which is idle and stopped for it"
                self._events.emit("host-full", f"{what}: {why}", service=needy)
                self._put_to_sleep(service, f"idle, and {needy} needs its memory (host.memory)")
        self._look_again()

    def _tell(self, need: Need, wait: _Wait, why: str) -> None:
        """Once, however often it is looked at."""
        if not wait.told:
            wait.told = True
            message = f"{need.service} is not started: {why}"
            self._events.emit("host-full", message, service=need.service, level=logging.WARNING)

    def _is_content(self, service: str) -> None:
        if self._waiting.pop(service, None) is not None:
            self._failures.crowd_out(service, None)
            self._look_again()

    def _why(self, need: Need) -> str:
        budget = self._budget or 0
        free = max(0, budget - self._held)
        largest = sorted(self._shares.items(), key=lambda item: -item[1].held)
        named = [f"{name}: {shown(share.held)}" for name, share in largest[:_MOST_NAMED]]
        more = len(largest) - len(named)
        held = ", ".join(named) + (f" and {more} more" if more else "")
        lacks = f"needs {shown(need.each)}, {shown(free)} free of {shown(budget)}"
        return f"{lacks}, held by {held}" if held else lacks

    def _look_in(self, seconds: float) -> None:
        """At the latest."""
        loop = asyncio.get_running_loop()
        if self._later is not None and self._later.when() <= loop.time() + seconds:
            return
        if self._later is not None:
            self._later.cancel()
        self._later = loop.call_later(max(0.0, seconds), self._look_now)

    def _look_now(self) -> None:
        self._later = None
        self._look_again()

    def _look_again(self) -> None:
        """In the order in which they are to be served."""
        for service, _ in sorted(self._waiting.items(), key=lambda item: _rank(item[1])):
            self._look(service)

    # Facts

    def _free_for(self, need: Need) -> int:
        known = self._waiting.get(need.service)
        rank = _rank(known or _Wait(need.priority, self._number + 1, 0.0))
        ahead = sum(wait.promised for wait in self._waiting.values() if _rank(wait) < rank)
        return (self._budget or 0) - self._held - ahead

    def _leaving(self) -> int:
        return sum(share.leaving for share in self._shares.values())

    def _idle(self) -> Iterator[Idle]:
        now = self._clock()
        self._in_use = {name: until for name, until in self._in_use.items() if until > now}
        for service, share in self._shares.items():
            spec = self._registry.specs.get(service)
            is_candidate = share.held > share.leaving and service not in self._in_use
            if spec is not None and is_candidate:
                since = self._idle_since(service)
                if since is not None:
                    yield Idle(service, share.held - share.leaving, since, spec.priority)

    def _each(self, spec: Service) -> int:
        return spec.resources.memory or self._measured.get(spec.name) or UNKNOWN

    def _count(self, service: str) -> None:
        """Something about this service has changed."""
        if self._budget is None:
            return
        spec = self._registry.specs.get(service)
        former = self._shares.pop(service, _Share())
        share = self._share(spec, service)
        if share.held:
            self._shares[service] = share
        self._held += share.held - former.held
        if spec is None:
            self._waiting.pop(service, None)
            if not share.held:
                self._measured.pop(service, None)
        if share.held != former.held:
            self._tell_metrics()
        if share.held < former.held:
            self._look_again()

    def _share(self, spec: Service | None, service: str) -> _Share:
        if spec is not None and spec.endpoints:
            return _Share()
        each = self._each(spec) if spec is not None else self._measured.get(service) or UNKNOWN
        present = [one for one in self._registry.replicas(service) if _takes_memory(one)]
        goes = not self._registry.desired(service).replicas
        going = [one for one in present if goes or one.state in _GOING]
        return _Share(each * len(present), each * len(going))

    async def _measure(self) -> None:
        without = {
            replica.instance: service
            for service in self._shares
            if (spec := self._registry.specs.get(service)) and not spec.resources.memory
            for replica in self._registry.replicas(service)
            if replica.instance is not None and _takes_memory(replica)
        }
        if not without:
            return
        try:
            usages = await self._usage(tuple(without))
        except RuntimeFailure:
            return  # what was measured last holds
        largest: dict[str, int] = {}
        for instance, usage in usages.items():
            service = without.get(instance, "")
            largest[service] = max(largest.get(service, 1), usage.memory)
        self._measured |= largest
        for service in largest:
            self._count(service)

    def _tell_metrics(self) -> None:
        self._metrics.memory.labels("budget").set(self._budget or 0)
        self._metrics.memory.labels("taken").set(self._held)


def shown(size: int) -> str:
    """For people: 512MiB, 3.5GiB."""
    if size >= 2**30:
        return f"{size / 2**30:.3g}GiB"
    return f"{size / 2**20:.3g}MiB"


def _rank(wait: _Wait) -> tuple[int, int]:
    return -wait.priority, wait.number


def _takes_memory(replica: Replica) -> bool:
    return replica.state is not State.STOPPED


def _starts(action: Action) -> int:
    if isinstance(action, Start):
        return action.count
    return int(isinstance(action, Revive))


def _cut(actions: Sequence[Action], fits: int) -> list[Action]:
    """Only the first so many starts."""
    kept: list[Action] = []
    for action in actions:
        count = min(_starts(action), fits)
        fits -= count
        if isinstance(action, Start):
            kept += [Start(count)] if count else []
        elif count or not isinstance(action, Revive):
            kept.append(action)
    return kept
