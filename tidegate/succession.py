"""The present gateway, and those of a former control process until they are empty.

A gateway that was there before us serves on its own until ours accepts on the same sockets. Then it
is taken over: it hears what we hear, tells what it sees, takes no new clients, and leaves when its
last request is answered. A replica is drained when neither has anything of it.
"""

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import socket
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from pydantic import TypeAdapter

from cluster import wire
from cluster.events import Events
from cluster.messages import Drained, EndpointSnapshot, LoadReport, Outcome, Wake
from cluster.model import Address
from cluster.tasks import Tasks
from config.service import Service
from config.settings import Gateway as Settings
from gateway.gateway import GatewayEvents
from gateway.listener import Given
from gateway.stats import GatewayStats
from tidegate.front import Front
from tidegate.link import Link
from tidegate.living import Living
from tidegate.offer import Found, Hung, found
from tidegate.tally import merged, of_the_dead

log = logging.getLogger("tidegate.succession")

PATIENCE = 5.0  # seconds in which an idle client may send a request on its connection
TAKE_DEADLINE = 5.0
COUNT_DEADLINE = 1.0

_STATS = TypeAdapter(GatewayStats)
_Key = tuple[str, str]


class Former(Living):
    """A gateway of a former control process, and ours until it is empty."""

    def __init__(self, one: Found, link: Link) -> None:
        super().__init__(link, f"gateway of process {one.pid}")
        self.pid = one.pid
        self.is_understood = one.is_understood
        self.is_taken = asyncio.Event()
        self._was_strange = False

    def strange(self, what: wire.Malformed) -> None:
        """It said something of another version, and is alive. Told once: it may say more."""
        self.heard()
        if not self._was_strange:
            self._was_strange = True
            log.warning("the %s says what is not understood: %s", self.name, what)

    def has_left(self) -> bool:
        """The answer of another version to TakeOver may not be understood."""
        return self.is_empty.is_set() and (self.is_taken.is_set() or self._was_strange)

    def apply(self, snapshot: EndpointSnapshot) -> None:
        if self.is_understood:
            super().apply(snapshot)

    async def count(self, deadline: float) -> None:
        if self.is_understood:
            await super().count(deadline)


class Succession:
    """Implements Front around the present one, and GatewayEvents for it."""

    def __init__(self, events: GatewayEvents, happenings: Events, tasks: Tasks) -> None:
        self.wake = events.wake
        self.report = events.report
        self.outcome = events.outcome
        self._events = events
        self._happenings = happenings
        self._tasks = tasks
        self.front: Front
        self._found: list[Found] = []
        self._formers: dict[int, Former] = {}
        self._present: set[_Key] = set()  # what the present gateway may have in flight
        self._before = GatewayStats(0.0, {}, {}, {})

    def lead(self, front: Front) -> None:
        """Which is the present one; to be called before anything else."""
        self.front = front

    async def look(self, offers: Path) -> bool:
        """Whether there are any from before; to be called before anything is applied."""
        ours = {f"{pid}.sock" for pid in self.pids()}
        paths = await asyncio.to_thread(
            lambda: sorted(path for path in offers.glob("*.sock") if path.name not in ours)
        )
        for one in await asyncio.gather(
            *(asyncio.to_thread(found, path) for path in paths), return_exceptions=True
        ):
            match one:
                case Found():
                    self._found.append(one)
                case Hung():
                    self._kill(one.pid, str(one))
                case BaseException():
                    raise one
        return bool(self._found)

    # As a Front

    def configure(self, services: Mapping[str, Service], settings: Settings) -> None:
        self.front.configure(services, settings)

    def apply(self, snapshot: EndpointSnapshot) -> None:
        if self._found or self._formers:
            self._note_present(snapshot)
        self.front.apply(snapshot)
        for former in self._formers.values():
            former.apply(snapshot)

    def _note_present(self, snapshot: EndpointSnapshot) -> None:
        self._present |= {(snapshot.service, one.replica) for one in snapshot.endpoints}

    async def start(self, given: Given) -> list[Address]:
        """`given` comes second to what is inherited."""
        return await self.front.start({**given, **_inherited(self._found)})

    async def take_over(self, snapshots: Iterable[EndpointSnapshot], drain: float) -> None:
        """Ours accepts: the former ones need not any more. `drain` in seconds is for what they
        have under way."""
        formers = [Former(one, await Link.over(one.end)) for one in self._found]
        for one in self._found:
            for lent in one.lent.values():
                lent.close()
        self._found.clear()
        snapshots = list(snapshots)
        if formers:
            for snapshot in snapshots:
                self._note_present(snapshot)
        for former in formers:
            self._formers[former.pid] = former
            former.link.send(wire.TakeOver())
            for snapshot in snapshots:
                former.apply(snapshot)
            self._tasks.start(self._accompany(former), former.name)
            self._tasks.start(former.drain(drain, PATIENCE), f"drain the {former.name}")
        for former in formers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TAKE_DEADLINE):
                    await former.is_taken.wait()
        if formers:
            self._happenings.emit(
                "gateway-taken-over",
                f"{len(formers)} gateways from before were taken over; they leave when they are "
                "empty",
            )

    async def drain(self, timeout: float, patience: float = 0.0) -> None:
        for one in self._found:
            one.close()
        self._found.clear()
        await asyncio.gather(
            self.front.drain(timeout, patience),
            *(former.drain(timeout, patience) for former in self._formers.values()),
        )

    async def refresh(self) -> None:
        await asyncio.gather(
            self.front.refresh(),
            *(former.count(COUNT_DEADLINE) for former in self._formers.values()),
        )

    def stats(self, now: float) -> GatewayStats:
        present = self.front.stats(now)
        if not self._formers and not self._before.services:
            return present
        formers = [former.stats for former in self._formers.values()]
        return merged([present, self._before, *formers], now)

    def pids(self) -> Collection[int]:
        return (*self.front.pids(), *self._formers)

    def let_go(self, let_go: bool) -> None:
        self.front.let_go(let_go)

    # What is told

    def drained(self, message: Drained) -> None:
        """By the present one."""
        self._present.discard((message.service, message.replica))
        self._pass_on(message)

    def _pass_on(self, message: Drained) -> None:
        key = message.service, message.replica
        holders = [former.holds for former in self._formers.values()]
        if key not in self._present and not any(key in holds for holds in holders):
            self._events.drained(message)

    async def _accompany(self, former: Former) -> None:
        """Until it has left."""
        watch = self._tasks.start(self._watch(former), f"watch the {former.name}")
        try:
            async for message in former.link.messages(former.strange):
                former.heard()
                self._hear(former, message)
                if former.has_left():
                    break
        finally:
            watch.cancel()
            former.link.close()
            self._bury(former)

    def _hear(self, former: Former, message: wire.Message) -> None:
        match message:
            case wire.Taken(holds):
                for service, replica in holds:
                    former.holds.setdefault((service, replica), -1)
                former.is_taken.set()
            case LoadReport():
                told = dataclasses.replace(message, source=f"{message.source} of {former.pid}")
                former.note(told)
                self._events.report(told)
            case Wake():
                self._events.wake(message)
            case Outcome():
                self._events.outcome(message)
            case wire.Left(drained, version):
                key = drained.service, drained.replica
                if former.holds.get(key, -1) <= version:
                    former.holds.pop(key, None)
                    self._pass_on(drained)
            case wire.Counts(ticket, stats):
                former.counted(ticket, _STATS.validate_python(stats))
            case wire.DrainedAll():
                former.is_empty.set()
            case _:
                pass

    async def _watch(self, former: Former) -> None:
        await former.hung()
        self._kill(former.pid, f"the {former.name} does not answer")

    def _kill(self, pid: int, why: str) -> None:
        may_be_killed = pid > 1 and pid != os.getppid()
        what = "is killed" if may_be_killed else "is left alone: it is what has started this one"
        self._happenings.emit("gateway-hung", f"{why} and {what}", level=logging.ERROR)
        if may_be_killed:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def _bury(self, former: Former) -> None:
        former.gone()
        former.is_taken.set()
        del self._formers[former.pid]
        self._before = merged([self._before, of_the_dead(former.stats)], former.stats.at)
        for report in former.silenced():
            self._events.report(report)
        for service, replica in list(former.holds):
            self._pass_on(Drained(service, replica))
        if not self._formers:
            self._present.clear()


def _inherited(found: Iterable[Found]) -> dict[str, list[socket.socket]]:
    sockets: dict[str, list[socket.socket]] = {}
    for one in found:
        for text, lent in one.lent.items():
            sockets.setdefault(text, []).append(lent)
    return sockets
