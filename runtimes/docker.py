"""Replicas as containers of one Docker engine.

The engine is the truth: what is ours is read back from labels, under one name per replica, so
nothing is lost when an answer is, or when we are. Only the end of a container is believed to the
kernel before the engine tells it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from cluster.model import Exit, Instance, InstanceStatus, Usage
from cluster.runtime import Capabilities, Hint, LogLine, RuntimeFailure
from cluster.workload import Workload
from runtimes.docker_cgroup import usage_of
from runtimes.docker_connection import connect
from runtimes.docker_ends import Ends, Held
from runtimes.docker_engine import Deadlines, Engine
from runtimes.docker_exec import Commands
from runtimes.docker_launch import Launch
from runtimes.docker_news import News, beside
from runtimes.docker_sightings import Sightings
from runtimes.docker_spec import container_name, create_spec, networks_of
from runtimes.docker_streams import Output, events_of, news_of, output_of
from runtimes.docker_view import inspected, listed, mark_in, used
from runtimes.labels import OWNER

_STATS_AT_ONCE = 50
# Seconds until the engine is asked once more for what has ended and still runs by its word.
_ASK_AGAIN_AFTER = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_NOT_CONNECTED = "not connected to a Docker engine"


class DockerRuntime:
    """Containers on the engine at `url`, on `network`, with the owner's mark.

    With `publish`, replicas are reached through an ephemeral port of the engine's host instead
    of their own address: for engines in a virtual machine (Docker Desktop) or far away.
    """

    name = "docker"
    capabilities = Capabilities(freeze=True, keep=True, exec=True, logs=True, usage=True)

    def __init__(
        self,
        owner: str,
        url: str | None = None,
        network: str | None = None,
        publish: bool = False,
        *,
        deadlines: Deadlines | None = None,
    ) -> None:
        self._owner = owner
        self._url = url
        self._network = network
        self._publish = publish
        self._deadlines = deadlines or Deadlines()
        self._connected: Engine | None = None
        self._why_not = _NOT_CONNECTED
        self._launching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._sightings = Sightings()
        self._resuming: set[str] = set()
        self._commands = Commands()
        self._news = News()
        self._ends = Ends(self._has_ended)

    async def open(self) -> None:
        """The former connection, if any, serves until the new one stands; it stays when it is to
        the same engine, because a start may be under way on it."""
        try:
            fresh = await connect(self._url, self._deadlines)
        except RuntimeFailure as failure:
            self._why_not = failure.message
            raise
        former = self._connected
        if former is not None and former.speaks_as(fresh):
            await fresh.close()
            return
        self._connected = fresh
        if former is not None:
            await former.close()

    async def close(self) -> None:
        engine, self._connected = self._connected, None
        self._why_not = _NOT_CONNECTED
        self._ends.close()
        if engine is not None:
            await engine.close()

    async def instances(self) -> Sequence[Instance]:
        found = [
            instance
            for entry in await self._engine.listing(f"{OWNER}={self._owner}")
            if not self._is_launching(entry)
            and (instance := listed(entry, self._owner, self._publish_on))
        ]
        seen = [self._unless_resuming(one) for one in await self._completed(found)]
        running = [
            one.id
            for one in seen
            if one.status is not InstanceStatus.EXITED and not self._is_being_started(one)
        ]
        self._ends.seen({one.id for one in seen}, running)
        return seen

    async def watch(self) -> AsyncIterator[Hint]:
        engine = self._engine
        try:
            async with engine.stream("events", events_of(self._owner)) as lines:
                holding = self._ends.hold_others(engine.inspect)
                with beside(holding, "hold what others have started"):
                    self._sightings.listens()
                    yield Hint()
                    async for hint in self._news.with_events(lines, self._heard):
                        yield hint
        except RuntimeFailure:
            if engine is self._connected:
                raise

    async def logs(
        self, instance: str, *, tail: int = 100, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        engine = self._engine
        mark = mark_in(await engine.inspect(instance), self._owner)
        output = Output(mark.replica if mark else instance)
        path = f"containers/{instance}/logs"
        async with engine.stream(path, output_of(tail, follow)) as content:
            async for data in content.iter_any():
                for line in output.feed(data):
                    yield line
        for line in output.end():
            yield line

    async def execute(self, instance: str, command: Sequence[str], timeout: float) -> int:
        return await self._commands.run(self._engine, instance, command, timeout)

    async def usage(self, instances: Sequence[str]) -> Mapping[str, Usage]:
        """From control groups where they can be read; else the engine is asked, which takes a
        second or two: for many at a time, since it only waits."""
        self._engine  # noqa: B018 - raises when there is none
        found = await asyncio.to_thread(usage_of, instances)
        places = asyncio.Semaphore(_STATS_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for id in instances:
                    if id in found:
                        continue
                    group.create_task(self._use(id, found, places), name=f"usage of {id}")
        except* RuntimeFailure as failures:
            raise failures.exceptions[0] from None
        return found

    async def start(self, replica: str, workload: Workload) -> Instance:
        spec = create_spec(
            self._owner,
            replica,
            workload,
            network=self._network,
            publish_on=self._publish_on,
        )
        name = container_name(self._owner, replica)
        others = networks_of(workload, self._network)[1:]
        async with self._alone(name):
            launch = Launch(self._engine, name, spec, others, self._publish_on)
            started = await launch.run()
            self._runs(launch.facts)
        return started

    async def stop(self, instance: str, grace: float) -> None:
        engine = self._engine
        with _unless_gone():
            facts = await engine.inspect(instance)
            if mark_in(facts, self._owner) is None:
                return
            self._ends.let_go(instance)
            await _end(engine, facts, grace)
            await engine.remove(instance)
        self._commands.forget(instance)
        self._sightings.is_removed(instance)

    async def freeze(self, instance: str) -> None:
        await self._engine.pause(instance)

    async def thaw(self, instance: str) -> None:
        await self._engine.unpause(instance)

    async def halt(self, instance: str, grace: float) -> None:
        engine = self._engine
        facts = await engine.inspect(instance)
        self._ends.let_go(instance)
        await _end(engine, facts, grace)

    async def resume(self, instance: str) -> Instance:
        engine = self._engine
        self._resuming.add(instance)
        try:
            await self._start_again(instance)
            facts = await engine.inspect(instance)
            self._runs(facts)
            found = inspected(facts, self._owner, self._publish_on)
        finally:
            self._resuming.discard(instance)
        if found is None:
            raise RuntimeFailure("unknown-instance", f'"{instance}" is being removed')
        return found

    async def _start_again(self, instance: str) -> None:
        try:
            await self._engine.start(instance)
        except RuntimeFailure:
            # The engine answers 404 for whatever is missing: is it the container itself?
            await self._engine.inspect(instance)
            raise

    def _runs(self, facts: dict[str, Any]) -> None:
        """We have started it."""
        self._sightings.runs(facts["Id"])
        self._ends.starts(facts["Id"])
        self._ends.hold(facts)

    def _heard(self, line: bytes) -> Hint:
        """An event of the engine's."""
        news = news_of(line)
        self._sightings.heard(news.id, news.status)
        if news.starts:
            self._sightings.starts(news.id)
            self._ends.starts(news.id)
        return news.hint

    def _has_ended(self, container: Held, exit: Exit | None) -> None:
        """The kernel says so."""
        if exit is None:
            self._sightings.heard(container.id, InstanceStatus.EXITED)
        else:
            self._sightings.ends(container.id, exit)
        self._news.tell(Hint(container.service, container.id, exit))

    def _unless_resuming(self, instance: Instance) -> Instance:
        """What is being started again has not ended, whatever the listing still says."""
        if instance.id in self._resuming and instance.status is InstanceStatus.EXITED:
            return replace(instance, status=InstanceStatus.RUNNING, exit=None)
        return instance

    @property
    def _engine(self) -> Engine:
        if self._connected is None:
            raise RuntimeFailure("engine-unavailable", self._why_not, transient=True)
        return self._connected

    @property
    def _publish_on(self) -> str | None:
        return self._engine.host if self._publish else None

    @contextlib.asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        """One launch of a name at a time: the next one then finds what the first one made."""
        lock = self._launching.setdefault(name, asyncio.Lock())
        async with lock:
            yield

    def _is_launching(self, entry: dict[str, Any]) -> bool:
        """What we have made and not yet started is not a leftover of a crash."""
        return entry["State"] == "created" and any(
            name.removeprefix("/") in self._launching for name in entry["Names"]
        )

    def _is_being_started(self, instance: Instance) -> bool:
        """By us: it is inspected in a moment."""
        name = container_name(self._owner, instance.replica)
        return name in self._launching or instance.id in self._resuming

    async def _completed(self, found: list[Instance]) -> Sequence[Instance]:
        """With an inspection of each one of which the listing alone may not be believed."""
        looks: dict[str, Instance | None] = {}
        try:
            async with asyncio.TaskGroup() as group:
                for id in self._sightings.doubts(found):
                    group.create_task(self._look(id, looks), name=f"look at {id}")
        except* RuntimeFailure as failures:
            raise failures.exceptions[0] from None
        return self._sightings.settled(found, looks)

    async def _look(self, id: str, looks: dict[str, Instance | None]) -> None:
        looks[id] = None
        with _unless_gone():
            looks[id] = inspected(await self._settled(id), self._owner, self._publish_on)

    async def _settled(self, id: str) -> dict[str, Any]:
        """An inspection of a container; of one that has ended, when the engine has seen it too."""
        engine = self._engine
        facts = await engine.inspect(id)
        for pause in _ASK_AGAIN_AFTER:
            if not self._ends.has_ended(facts):
                break
            await asyncio.sleep(pause)
            facts = await engine.inspect(id)
        return facts

    async def _use(self, id: str, found: dict[str, Usage], places: asyncio.Semaphore) -> None:
        async with places:
            with _unless_gone():
                usage = used(await self._engine.stats(id))
                if usage is not None:
                    found[id] = usage


async def _end(engine: Engine, facts: dict[str, Any], grace: float) -> None:
    if facts["State"]["Paused"]:
        await engine.unpause(facts["Id"])  # asleep, it could not act on SIGTERM
    if facts["State"]["Running"]:
        await engine.stop(facts["Id"], grace)


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    """Nothing is left to do with a container that is no more."""
    try:
        yield
    except RuntimeFailure as failure:
        if failure.code != "unknown-instance":
            raise
