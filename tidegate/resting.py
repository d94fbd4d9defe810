"""At rest: nothing is acted on, the locks are free, and whoever comes may have the gateways.

In the order in which nobody else could be in the way, and back in the other.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from cluster.runtime import RuntimeFailure
from cluster.tasks import Tasks
from tidegate.build import System, offers_of
from tidegate.front import Inside
from tidegate.lock import AlreadyRunning, OwnerLock
from tidegate.offer import Offer
from tidegate.upgrade import Lost, Refused
from tidegate.worker import Orphanage, Worker

log = logging.getLogger("tidegate.upgrade")

# Seconds for calls to the engine that are under way: stops with their grace, starts.
PATIENCE = 30.0


class Resting:
    """Of one control process."""

    def __init__(self, system: System, lock: OwnerLock, tasks: Tasks, drain: float) -> None:
        self._system = system
        self._lock = lock
        self._tasks = tasks
        self._drain = drain
        self._discovering: asyncio.Task[None] | None = None
        self._deciding: list[asyncio.Task[None]] = []
        self._serving: asyncio.Task[None] | None = None
        self._offer: Offer | None = None

    def discover(self) -> None:
        """From now on, but not at rest."""
        if self._discovering is None:
            self._discovering = self._tasks.start(self._system.plane.discovery.run(), "discovery")

    def decides(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        """Those that end when another one decides."""
        self._deciding.extend(tasks)

    async def rest(self) -> list[socket.socket]:
        """The sockets of the admin API, whose clients wait from now on. Whatever it raises, all
        goes on; Refused says what the operator can do."""
        try:
            admin = await self._come_to_rest()
        except BaseException:
            await self._act()
            raise
        self._lock.release()
        return admin

    async def resume(self) -> None:
        """Nobody else lives in our place. Raises Lost when somebody does."""
        try:
            self._lock.take()
        except (AlreadyRunning, OSError) as error:
            raise Lost(f"it cannot go on either: {error}") from error
        await self._act()

    async def leave(self) -> None:
        """The other one is in charge: until the last request is answered here."""
        system = self._system
        for task in self._deciding:
            task.cancel()
        await system.measuring.close()
        await system.recorder.flush(last=True)
        system.plane.close()
        await system.admin.stop()
        if self._serving is not None:
            await asyncio.wait([self._serving])

    async def _come_to_rest(self) -> list[socket.socket]:
        system = self._system
        admin = system.admin.pause()
        system.plane.reconciler.halt()
        if not await system.plane.performer.gate.close(PATIENCE):
            raise Refused("a replica is being started or stopped for long: try again later")
        await self._stop_discovery()
        with contextlib.suppress(RuntimeFailure):
            await system.plane.runtime.close()
        system.gateway.let_go(True)
        self._offer_ours()
        # Before the lock is free: whoever takes it reads this.
        await system.habits.halt()
        return admin

    async def _act(self) -> None:
        """From wherever we are on the way to rest."""
        system = self._system
        try:
            if self._discovering is None:
                await self._look_anew()
        finally:
            self.discover()
            system.habits.begin()
            system.plane.performer.gate.open()
            system.plane.reconciler.begin()
            await system.admin.proceed()

    async def _look_anew(self) -> None:
        system = self._system
        await self._withdraw_ours()
        try:
            await system.plane.runtime.open()
        except RuntimeFailure as failure:
            log.error("%s; services wait until it answers", failure.message)
        # What the other one had begun already may serve somebody.
        if await system.gateway.look(offers_of(system.settings)):
            await system.gateway.take_over(system.control.snapshots(), self._drain)
        system.gateway.let_go(False)
        await system.plane.discovery.sync()

    async def _stop_discovery(self) -> None:
        """Before the engine is let go, or all would look lost."""
        discovering, self._discovering = self._discovering, None
        if discovering is not None:
            discovering.cancel()
            await asyncio.wait([discovering])

    def _offer_ours(self) -> None:
        """A gateway in this process is taken over like one of its own."""
        front = self._system.gateway.front
        if not isinstance(front, Inside):
            return
        worker = Worker(
            None, f"gateway of {os.getpid()}", self._tasks, Orphanage(None), front.gateway
        )
        self._offer = Offer(
            Path(offers_of(self._system.settings)), worker.listening, worker.taken, self._tasks
        )
        self._serving = self._tasks.start(worker.serve(None), "serve the next control process")
        self._offer.open()

    async def _withdraw_ours(self) -> None:
        if self._offer is not None:
            self._offer.close()
            self._offer = None
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])
            self._serving = None
