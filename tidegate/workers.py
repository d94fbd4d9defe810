"""The gateway in processes of its own, seen from the control process.

The control process binds the listening sockets and keeps them, so a gateway process that dies
refuses nobody: clients wait in the backlog until its successor accepts. What a new one must know
(configuration and current snapshots) is kept here; what it had counted is not lost with it.
"""

import asyncio
import dataclasses
import itertools
import logging
import os
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence

from pydantic import TypeAdapter

from cluster import wire
from cluster.events import Events
from cluster.messages import Drained, EndpointSnapshot, LoadReport, Outcome, Wake
from cluster.model import Address
from cluster.tasks import Tasks
from config.service import Service
from config.settings import Gateway as Settings
from gateway.gateway import GatewayEvents
from gateway.listener import bind_all, bind_for_many, staying, wanted
from gateway.routed import FIELDS
from gateway.stats import GatewayStats
from tidegate.descriptors import Passing
from tidegate.link import Link
from tidegate.sharing import Shared, Sharing
from tidegate.tally import merged, of_the_dead

log = logging.getLogger("tidegate.workers")

START_DEADLINE = 30.0
COUNT_DEADLINE = 1.0
RESTART_PAUSE = 1.0

_STATS = TypeAdapter(GatewayStats)


def count(settings: Settings) -> int:
    """Gateway processes; `auto` is one for each core that we may use."""
    return len(os.sched_getaffinity(0)) if settings.workers == "auto" else settings.workers


class Workers:
    """Stands where a Gateway stands: configure, apply, start, drain, stats."""

    def __init__(
        self,
        settings: Settings,
        events: GatewayEvents,
        happenings: Events,
        tasks: Tasks,
        log_arguments: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._events = events
        self._happenings = happenings
        self._tasks = tasks
        self._log_arguments = log_arguments
        self._services: Mapping[str, Service] = {}
        self._snapshots: dict[str, EndpointSnapshot] = {}
        self._count = count(settings)
        self._sharing = Sharing(self._count) if self._count > 1 else None
        self._sockets: list[list[socket.socket]] = []  # for each process its own
        self._workers: dict[str, Worker] = {}
        self._before = GatewayStats(0.0, {}, {}, {})
        self._draining = False

    def configure(self, services: Mapping[str, Service], settings: Settings) -> None:
        # A gateway process that is started later has the sockets that we have now.
        self._services = services
        self._settings = staying(self._settings, settings) if self._sockets else settings
        for name in self._snapshots.keys() - services.keys():
            del self._snapshots[name]
        limits = {name: service.concurrency for name, service in services.items()}
        unlimited = self._sharing.configure(limits) if self._sharing else ()
        for worker in self._workers.values():
            worker.link.send(self._configure())
            for (service, replica), number in unlimited:
                worker.link.send(wire.Unshare(service, replica, number))
        self._share(self._snapshots.values())

    def apply(self, snapshot: EndpointSnapshot) -> None:
        self._snapshots[snapshot.service] = snapshot
        for worker in self._workers.values():
            worker.apply(snapshot)
        self._share([snapshot])

    def _share(self, snapshots: Iterable[EndpointSnapshot]) -> None:
        """Places of new replicas of services with a limit are shared by all processes."""
        for key, shared in self._sharing.meet(snapshots) if self._sharing else ():
            for worker in self._workers.values():
                worker.share(key, shared)

    async def start(self) -> list[Address]:
        """Raises ListenError when an address is taken, TimeoutError when one does not come up."""
        if self._count > 1:
            self._sockets = bind_for_many(wanted(self._settings), self._count)
        else:
            self._sockets = [bind_all(wanted(self._settings))]
        began = [asyncio.Event() for _ in range(self._count)]
        for row, event in enumerate(began):
            self._tasks.start(self._keep_alive(row, event), f"gateway {row}")
        async with asyncio.timeout(START_DEADLINE):
            await asyncio.gather(*(event.wait() for event in began))
        return [Address(*end.getsockname()[:2]) for end in self._sockets[0]]

    async def drain(self, timeout: float) -> None:
        self._draining = True
        for end in itertools.chain(*self._sockets):
            end.close()
        await asyncio.gather(*(worker.drain(timeout) for worker in self._workers.values()))

    async def refresh(self) -> None:
        """Fetch the counts that `stats` tells. A worker that is too slow keeps its last ones."""
        await asyncio.gather(*(worker.count(COUNT_DEADLINE) for worker in self._workers.values()))

    def stats(self, now: float) -> GatewayStats:
        living = [worker.stats for worker in self._workers.values()]
        return merged([self._before, *living], now)

    # One worker after the other

    async def _keep_alive(self, row: int, began: asyncio.Event) -> None:
        """Started again at once when it dies; with a pause when it dies again and again."""
        loop = asyncio.get_running_loop()
        name = f"gateway-{row}"
        while not self._is_over():
            begun = loop.time()
            await self._live(row, name, began)
            if self._is_over():
                return
            self._happenings.emit(
                "gateway-died",
                f"{name} died and is replaced; the requests in it were cut",
                level=logging.ERROR,
            )
            if loop.time() - begun < RESTART_PAUSE:
                await asyncio.sleep(RESTART_PAUSE)

    def _is_over(self) -> bool:
        return self._draining

    async def _live(self, row: int, name: str, began: asyncio.Event) -> None:
        ours, theirs = socket.socketpair()
        passing = Passing(asyncio.get_running_loop())
        with theirs, passing.theirs:
            process = await self._spawn(row, name, theirs, passing.theirs)
        worker = Worker(await Link.over(ours), name, passing)
        self._workers[name] = worker
        try:
            if self._is_over():
                worker.link.close()
            else:
                self._instruct(row, worker)
            async for message in worker.link.messages():
                self._hear(worker, message, began)
        finally:
            del self._workers[name]
            worker.link.close()
            passing.close()
            await process.wait()
            if self._sharing:
                self._sharing.bury(row)
            self._bury(worker)

    async def _spawn(
        self, row: int, name: str, theirs: socket.socket, descriptors: socket.socket
    ) -> asyncio.subprocess.Process:
        """With our import path, and without what the working directory may hold."""
        passed = [theirs.fileno(), *(end.fileno() for end in self._sockets[row])]
        sharing: list[str] = []
        if self._sharing:
            bells, board = self._sharing.bells, self._sharing.board.descriptor
            passed += [descriptors.fileno(), board, *bells]
            sharing = ["--row", str(row), "--board", str(board)]
            sharing += ["--descriptors", str(descriptors.fileno()), "--bells", *map(str, bells)]
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)  # noqa: ASYNC240
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "tidegate.worker"),
            *("--link", str(theirs.fileno()), "--name", name, *self._log_arguments),
            *sharing,
            stdin=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=passed,
        )

    def _instruct(self, row: int, worker: "Worker") -> None:
        worker.link.send(self._configure())
        for snapshot in self._snapshots.values():
            worker.apply(snapshot)
        for key, shared in self._sharing.everything() if self._sharing else ():
            worker.share(key, shared)
        worker.link.send(wire.Begin(tuple(end.fileno() for end in self._sockets[row])))

    def _configure(self) -> wire.Configure:
        return wire.Configure(
            self._settings.model_dump(mode="json", exclude_defaults=True),
            {
                name: service.model_dump(mode="json", exclude_defaults=True, include=set(FIELDS))
                for name, service in self._services.items()
            },
            self._sharing.lines_in_use() if self._sharing else {},
            tuple(name for name, one in self._services.items() if one.scaling.is_timed),
        )

    def _hear(self, worker: "Worker", message: wire.Message, began: asyncio.Event) -> None:
        match message:
            case LoadReport():
                worker.note(message)
                self._events.report(message)
            case Wake():
                self._events.wake(message)
            case Outcome():
                self._events.outcome(message)
            case wire.Left(drained, version):
                key = drained.service, drained.replica
                # Not when it was sent the replica again meanwhile.
                if worker.holds.get(key, -1) <= version:
                    worker.holds.pop(key, None)
                    self._pass_on(drained)
            case wire.Began():
                began.set()
            case wire.Counts(ticket, stats):
                worker.counted(ticket, _STATS.validate_python(stats))
            case wire.DrainedAll():
                worker.is_empty.set()
            case _:
                raise wire.Malformed(f"{message} goes the other way")

    def _pass_on(self, message: Drained) -> None:
        """A replica is drained when no worker has anything of it."""
        key = message.service, message.replica
        if not any(key in worker.holds for worker in self._workers.values()):
            self._unshare(key)
            self._events.drained(message)

    def _unshare(self, key: tuple[str, str]) -> None:
        snapshot = self._snapshots.get(key[0])
        if not self._sharing or (snapshot and key[1] in {e.replica for e in snapshot.endpoints}):
            return
        if (number := self._sharing.forget(key)) is not None:
            for worker in self._workers.values():
                worker.link.send(wire.Unshare(*key, number))

    def _bury(self, worker: "Worker") -> None:
        """What was in flight there is over; what it counted counts on."""
        worker.is_empty.set()
        self._before = merged([self._before, of_the_dead(worker.stats)], worker.stats.at)
        for report in worker.busy.values():
            self._events.report(
                dataclasses.replace(
                    report,
                    span=0.0,
                    busy_seconds=0.0,
                    requests=0,
                    rejected=0,
                    in_flight=0,
                    queued=0,
                    pending=(),
                    latencies=(),
                    service_times=(),
                    waits=(),
                )
            )
        for service, replica in worker.holds:
            self._pass_on(Drained(service, replica))


class Worker:
    """What is known of one living gateway process."""

    def __init__(self, link: Link, name: str, passing: Passing) -> None:
        self.link = link
        self.name = name
        self._passing = passing
        self.stats = GatewayStats(0.0, {}, {}, {})
        # With the version of the last snapshot that had the replica.
        self.holds: dict[tuple[str, str], int] = {}
        self.busy: dict[str, LoadReport] = {}
        self.is_empty = asyncio.Event()
        self._tickets = 0
        self._counting: dict[int, asyncio.Event] = {}

    def apply(self, snapshot: EndpointSnapshot) -> None:
        for endpoint in snapshot.endpoints:
            self.holds[snapshot.service, endpoint.replica] = snapshot.version
        self.link.send(snapshot)

    def share(self, key: tuple[str, str], shared: Shared) -> None:
        self.link.send(wire.Share(*key, shared.number))
        self._passing.send(shared)

    def note(self, report: LoadReport) -> None:
        """Remember who was busy here, to end it if this process ends."""
        if report.in_flight or report.queued:
            self.busy[report.service] = report
        else:
            self.busy.pop(report.service, None)

    async def drain(self, timeout: float) -> None:
        self.is_empty.clear()
        self.link.send(wire.Drain(timeout))
        await self.is_empty.wait()

    async def count(self, deadline: float) -> None:
        self._tickets += 1
        ticket = self._tickets
        self._counting[ticket] = asyncio.Event()
        self.link.send(wire.Count(ticket))
        try:
            async with asyncio.timeout(deadline):
                await self._counting[ticket].wait()
        except TimeoutError:
            log.warning("%s did not tell its counts in time; it is overloaded", self.name)
        finally:
            del self._counting[ticket]

    def counted(self, ticket: int, stats: GatewayStats) -> None:
        self.stats = stats
        if (waiting := self._counting.get(ticket)) is not None:
            waiting.set()
