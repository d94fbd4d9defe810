"""The gateway in processes of its own, seen from the control process.

The control process binds the listening sockets and keeps them, so a gateway process that dies
refuses nobody: clients wait in the backlog until its successor accepts. What a new one must know
(configuration and current snapshots) is kept here; what it had counted is not lost with it.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import TypeAdapter

from cluster import wire
from cluster.events import Events
from cluster.messages import Drained, EndpointSnapshot, LoadReport, Outcome, Wake
from cluster.model import Address
from cluster.tasks import Tasks
from config.service import Service
from config.settings import Gateway as Settings
from gateway.gateway import GatewayEvents
from gateway.listener import Given, ListenError, bind_all, bind_for_many, staying, wanted
from gateway.routed import FIELDS
from gateway.stats import GatewayStats
from tidegate.descriptors import Passing
from tidegate.link import Link
from tidegate.living import Living
from tidegate.sharing import Sharing
from tidegate.shedding import Shedding
from tidegate.tally import merged, of_the_dead

log = logging.getLogger("tidegate.workers")

START_DEADLINE = 30.0
COUNT_DEADLINE = 1.0
END_DEADLINE = 10.0
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
        offers: Path | None = None,
        orphan_timeout: float = 0.0,
    ) -> None:
        """`offers` is the folder in which the processes can be found by whoever comes after us."""
        self._offers = offers
        self._orphan_timeout = orphan_timeout
        self._pids: dict[int, int] = {}  # by row
        # Those that somebody else may have taken, by row: they may live, and have what they had.
        self._left: dict[int, asyncio.subprocess.Process] = {}
        self._in_doubt: set[tuple[str, str]] = set()
        self._kept = asyncio.Event()  # the processes are ours alone
        self._kept.set()
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
        self._workers: dict[str, Living] = {}
        self._before = GatewayStats(0.0, {}, {}, {})
        self._draining = False
        self._shedding = Shedding(happenings)

    def configure(self, services: Mapping[str, Service], settings: Settings) -> None:
        # A gateway process that is started later has the sockets that we have now.
        self._services = services
        self._settings = staying(self._settings, settings) if self._sockets else settings
        for name in self._snapshots.keys() - services.keys():
            del self._snapshots[name]
        unlimited = self._sharing.configure(self._limits()) if self._sharing else ()
        for worker in self._workers.values():
            worker.link.send(self._configure())
            for (service, replica), number in unlimited:
                worker.link.send(wire.Unshare(service, replica, number))
        self._share(self._snapshots.values(), ask=True)

    def apply(self, snapshot: EndpointSnapshot) -> None:
        self._snapshots[snapshot.service] = snapshot
        for worker in self._workers.values():
            worker.apply(snapshot)
        self._share([snapshot])

    def _share(self, snapshots: Iterable[EndpointSnapshot], *, ask: bool = False) -> None:
        """Places of new replicas of services with a limit are shared by all processes. `ask`: the
        replicas are not new, the limit is."""
        if self._sharing is None:
            return
        busy = [worker.row for worker in self._workers.values()] if ask else []
        for key, shared in self._sharing.meet(snapshots, busy):
            for worker in self._workers.values():
                worker.share(key, shared, ask=ask)

    async def start(self, given: Given = MappingProxyType({})) -> list[Address]:
        """Raises ListenError when an address is taken or a certificate cannot be read, TimeoutError
        when a process does not come up."""
        if self._count > 1:
            self._sockets = bind_for_many(wanted(self._settings), self._count, given)
        else:
            self._sockets = [bind_all(wanted(self._settings), given)]
        loop = asyncio.get_running_loop()
        began: list[asyncio.Future[None]] = [loop.create_future() for _ in range(self._count)]
        for row, future in enumerate(began):
            self._tasks.start(self._keep_alive(row, future), f"gateway {row}")
        async with asyncio.timeout(START_DEADLINE):
            await asyncio.gather(*began)
        return [Address(*end.getsockname()[:2]) for end in self._sockets[0]]

    async def drain(self, timeout: float, patience: float = 0.0) -> None:
        self._draining = True
        for end in itertools.chain(*self._sockets):
            end.close()
        await asyncio.gather(
            *(worker.drain(timeout, patience) for worker in self._workers.values())
        )

    async def refresh(self) -> None:
        """Fetch the counts that `stats` tells. A worker that is too slow keeps its last ones."""
        await asyncio.gather(*(worker.count(COUNT_DEADLINE) for worker in self._workers.values()))

    def stats(self, now: float) -> GatewayStats:
        living = [worker.stats for worker in self._workers.values()]
        return merged([self._before, *living], now)

    # One worker after the other

    async def _keep_alive(self, row: int, began: asyncio.Future[None]) -> None:
        """Started again at once when it dies, but at most once in RESTART_PAUSE."""
        loop = asyncio.get_running_loop()
        name = f"gateway-{row}"
        while not self._is_over():
            begun = loop.time()
            try:
                failure = await self._live(row, name, began)
            except (OSError, wire.Malformed) as error:
                why = f"{name} cannot run and is tried again: {error}"
            else:
                if failure is not None and not began.done() and not self._is_over():
                    began.set_exception(ListenError(failure))
                    return
                why = _obituary(name, failure)
            if self._is_over():
                return
            await self._kept.wait()
            self._happenings.emit("gateway-died", why, level=logging.ERROR)
            await asyncio.sleep(max(0.0, begun + RESTART_PAUSE - loop.time()))

    def pids(self) -> Collection[int]:
        return self._pids.values()

    def let_go(self, let_go: bool) -> None:
        """Whether others may take the processes: then those that leave us are not replaced."""
        if let_go:
            self._kept.clear()
            return
        self._part()
        doubts, self._in_doubt = self._in_doubt, set()
        for service, replica in doubts - self._endpoints():
            self._pass_on(Drained(service, replica))
        self._kept.set()

    def _part(self) -> None:
        """Those that left go on with the places that they have: neither are these given out again
        while they are in use, nor may a successor write to the same row."""
        left, self._left = self._left, {}
        if self._sharing is None or not left:
            return
        if not self._workers and any(one.returncode is None for one in left.values()):
            self._sharing.close()
            self._sharing = Sharing(self._count)
            self._sharing.configure(self._limits())
            self._sharing.meet(self._snapshots.values())
            return
        for row, process in left.items():
            if process.returncode is not None:
                self._sharing.bury(row)

    def _endpoints(self) -> set[tuple[str, str]]:
        snapshots = self._snapshots.values()
        return {(one.service, each.replica) for one in snapshots for each in one.endpoints}

    def _limits(self) -> dict[str, int]:
        return {name: service.concurrency for name, service in self._services.items()}

    def _is_over(self) -> bool:
        return self._draining

    async def _live(self, row: int, name: str, began: asyncio.Future[None]) -> str | None:
        """Until it ends; why it could not begin, if so."""
        ours, theirs = socket.socketpair()
        passing = Passing(asyncio.get_running_loop())
        try:
            with theirs, passing.theirs:
                process = await self._spawn(row, name, theirs, passing.theirs)
        except BaseException:
            ours.close()
            passing.close()
            raise
        self._pids[row] = process.pid
        worker = Living(await Link.over(ours), name, passing, row)
        self._workers[name] = worker
        watch = self._tasks.start(self._watch(worker, process), f"watch {name}")
        try:
            if self._is_over():
                worker.link.close()
            else:
                self._instruct(row, worker)
            async for message in worker.link.messages():
                worker.heard()
                self._hear(worker, message, began)
        finally:
            watch.cancel()
            worker.link.close()
            is_ours = self._kept.is_set()
            if is_ours:
                await _ended(process)
                self._withdraw_offer(process.pid)
            else:
                self._left[row] = process
            # From now on it is found like any other.
            del self._pids[row]
            # Its counts must be in one place or the other at any time, or they would go down.
            del self._workers[name]
            passing.close()
            if self._sharing and is_ours:
                self._sharing.bury(row)
            self._bury(worker)
        return worker.failure

    async def _watch(self, worker: Living, process: asyncio.subprocess.Process) -> None:
        """One that hangs holds up its clients, and those who wait behind it elsewhere."""
        await worker.hung()
        self._happenings.emit(
            "gateway-hung", f"{worker.name} does not answer and is killed", level=logging.ERROR
        )
        with contextlib.suppress(ProcessLookupError):
            process.kill()

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
        offers: list[str] = []
        if self._offers is not None:
            offers = ["--offers", str(self._offers), "--orphan-timeout", str(self._orphan_timeout)]
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)  # noqa: ASYNC240
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "tidegate.worker"),
            *("--link", str(theirs.fileno()), "--name", name, *self._log_arguments),
            *sharing,
            *offers,
            stdin=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=passed,
        )

    def _withdraw_offer(self, pid: int) -> None:
        """Of one that may not have had the time to do so."""
        if self._offers is not None:
            (self._offers / f"{pid}.sock").unlink(missing_ok=True)

    def _instruct(self, row: int, worker: Living) -> None:
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
                name: service.model_dump(mode="json", exclude_defaults=True, include=FIELDS)
                for name, service in self._services.items()
            },
            self._sharing.lines_in_use() if self._sharing else {},
            tuple(name for name, one in self._services.items() if one.is_timed),
        )

    def _hear(self, worker: Living, message: wire.Message, began: asyncio.Future[None]) -> None:
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
                if not began.done():
                    began.set_result(None)
            case wire.CannotBegin(reason):
                worker.failure = reason
                worker.link.close()
            case wire.Counts(ticket, stats):
                worker.counted(ticket, _STATS.validate_python(stats))
            case wire.DrainedAll():
                worker.is_empty.set()
            case wire.Joined(number):
                if self._sharing:
                    self._sharing.joined(worker.row, number)
            case wire.Shedding(sheds, why):
                self._shedding.tell(sheds, why, worker.name)
            case wire.Pong():
                pass
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

    def _bury(self, worker: Living) -> None:
        """What was in flight there is over; what it counted counts on."""
        worker.gone()
        self._shedding.tell(False, f"{worker.name} has ended", worker.name)
        self._before = merged([self._before, of_the_dead(worker.stats)], worker.stats.at)
        for report in worker.silenced():
            self._events.report(report)
        if worker.row in self._left:
            self._in_doubt |= worker.holds.keys()
            return
        for service, replica in worker.holds:
            self._pass_on(Drained(service, replica))


def _obituary(name: str, failure: str | None) -> str:
    if failure is not None:
        return f"{name} is tried again: {failure}"
    return f"{name} died and is replaced; the requests in it were cut"


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Its link is closed, so it ends by itself, unless it hangs."""
    try:
        async with asyncio.timeout(END_DEADLINE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
