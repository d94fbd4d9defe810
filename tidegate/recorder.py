"""Collects what services with `record: true` do, and has it written every few seconds by a thread.

Nothing is kept running while nothing is recorded. What cannot be written waits and is tried again;
that is told once, and after some minutes the oldest is given up and counted. Whatever happens to
the file, nothing else suffers.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter

from cluster.events import Events
from cluster.lifecycle import State
from cluster.messages import LoadReport
from cluster.model import Replica, Usage
from cluster.registry import Registry
from config.settings import Settings
from control.ground import Measure
from recording.accumulation import Accumulation
from recording.rows import Batch, Outcome, Start
from recording.schema import NAME, Unusable
from recording.writer import Writer

EVERY = 5.0  # seconds
MOST_WAITING = 20_000  # rows, of some 2 KB, that wait for a file that cannot be written
_ENDS: Mapping[State, Outcome] = {
    State.READY: "ready",
    State.FAILED: "failed",
    State.UNHEALTHY: "failed",
    State.DRAINING: "given up",
}  # what runs once has STOPPED


class RecorderMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.errors = Counter(
            "tidegate_recording_errors",
            "Attempts to write the recording that failed.",
            registry=registry,
        )
        self.lost = Counter(
            "tidegate_recording_lost",
            "Seconds of services, and starts, that were given up because they could not be "
            "written for long.",
            registry=registry,
        )


class Recorder:
    """`clock` is loop time, `wall` seconds since 1970."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        registry: Registry,
        events: Events,
        metrics: RecorderMetrics,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._wall = wall
        self._path = folder / NAME
        self._writer = Writer(self._path, settings.recording.keep, settings.recording.size)
        self._present = Accumulation()
        self._unwritten = Batch()
        self._recorded: set[str] = set()
        self._begun: dict[str, float] = {}  # replicas that start, since when
        self._service_of: dict[str, str] = {}  # the instances of those that are recorded
        self._has_news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._is_failing = False
        self.configure(settings)
        registry.on_replica(self._follow)

    def configure(self, settings: Settings) -> None:
        """What is too much now goes with the next that is written."""
        self._writer.keep, self._writer.size = settings.recording.keep, settings.recording.size
        self._recorded = {name for name, spec in settings.services.items() if spec.record}
        self._service_of = {
            replica.instance: name
            for name in self._recorded
            for replica in self._registry.replicas(name)
            if replica.instance is not None
        }

    # Facts

    def report(self, message: LoadReport) -> None:
        if message.recorded is None:
            return
        replicas = len(self._registry.snapshot(message.service).endpoints)
        at = self._wall() - self._clock() + message.at
        self._present.add(message, at, replicas)
        self._has_news.set()

    def noting(self, measure: Measure) -> Measure:
        """The same; what it finds out about memory is recorded."""

        async def measured(instances: Sequence[str]) -> Mapping[str, Usage]:
            usages = await measure(instances)
            self._note(usages)
            return usages

        return measured

    def _note(self, usages: Mapping[str, Usage]) -> None:
        for instance, usage in usages.items():
            if (service := self._service_of.get(instance)) is not None:
                self._present.used(service, self._wall(), usage.memory)
                self._has_news.set()

    def _follow(self, replica: Replica) -> None:
        if replica.service in self._recorded or replica.id in self._begun:
            self._follow_instance(replica)
            self._follow_start(replica)

    def _follow_instance(self, replica: Replica) -> None:
        if replica.instance is None:
            return
        if replica.state in (State.STOPPED, State.FAILED):
            self._service_of.pop(replica.instance, None)
        else:
            self._service_of[replica.instance] = replica.service

    def _follow_start(self, replica: Replica) -> None:
        """How long starts take. Of one that was adopted nobody knows when it began."""
        if replica.state is State.STARTING:
            if not replica.adopted:
                self._begun.setdefault(replica.id, self._clock())
            return
        begun = self._begun.pop(replica.id, None)
        if begun is not None and (outcome := _ENDS.get(replica.state)) is not None:
            took = self._clock() - begun
            self._present.started(Start(self._wall() - took, replica.service, took, outcome))
            self._has_news.set()

    # Writing

    async def run(self) -> None:
        """As long as there is something to write."""
        while True:
            await self._has_news.wait()
            await asyncio.sleep(EVERY)
            await self.flush()

    async def flush(self, *, last: bool = False) -> None:
        """`last`: also what more may be heard of. Not to be cancelled: the thread would go on."""
        async with self._writing:
            now = self._wall()
            self._unwritten.extend(self._present.take(now, everything=last))
            if not self._unwritten and self._writer.is_settled:
                if self._present.is_empty:
                    self._has_news.clear()
                return
            try:
                await asyncio.to_thread(self._write, now, last)
            except (Unusable, sqlite3.Error, OSError) as error:
                self._failed(error, now)
            else:
                self._is_failing = False

    async def close(self) -> None:
        """All is written, or given up."""
        await self.flush(last=True)
        self._writer.close()

    def _write(self, now: float, last: bool) -> None:
        """In a thread, while nobody else touches any of it."""
        if self._unwritten:
            self._writer.append(self._unwritten)
            self._unwritten = Batch()
        self._writer.finish(now, last=last)

    def _failed(self, error: Exception, now: float) -> None:
        self._metrics.errors.inc()
        lost = self._unwritten.shed(MOST_WAITING) + self._writer.shed(now)
        if lost:
            self._metrics.lost.inc(lost)
        if not self._is_failing:
            why = str(error)
            if not isinstance(error, Unusable):
                why = f"{self._path}: {error}: see whether its disk is full and it may be written"
            self._events.emit(
                "recording-failed",
                f"what services do cannot be recorded, {why}; all else goes on, and it is tried "
                "again and again",
                level=logging.ERROR,
            )
        self._is_failing = True
