"""The start budget of a host: at most so many replicas are started at once.

A start has its place from the call to the engine until the replica is ready or has failed: both the
call and the boot are what a host suffers from. A replica that boots for longer than `BOOT` gives
its place up, because most of those wait for something, and others should not wait for them. While
places are free, a start waits for nothing, not even for another turn of the loop.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from cluster.lifecycle import State
from cluster.metrics import ClusterMetrics
from cluster.model import Replica
from cluster.registry import Registry
from cluster.turns import Turns
from config.settings import Host

BOOT = 0.5  # seconds
FEWEST_STARTS = 8
STARTS_PER_CORE = 4
_THERE = (State.STARTING, State.READY, State.UNHEALTHY, State.FROZEN)


class Starts:
    """`limit` 0 is no limit."""

    def __init__(self, registry: Registry, metrics: ClusterMetrics, limit: int = 0) -> None:
        self._registry = registry
        self._turns = Turns(limit)
        self._called: dict[str, asyncio.Future[None]] = {}
        self._booting: dict[str, asyncio.TimerHandle] = {}
        metrics.host.starts_under_way.set_function(lambda: self.under_way)
        metrics.host.starts_waiting.set_function(lambda: self._turns.waiting)
        registry.on_replica(self._follow)

    @property
    def under_way(self) -> int:
        """How many have a place."""
        return self._turns.under_way

    def configure(self, limit: int) -> None:
        self._turns.limit = limit
        self._admit()

    @contextlib.asynccontextmanager
    async def place(self, replica: str, service: str) -> AsyncIterator[None]:
        """For the call to the engine; entered once it may be made. The place is given back when the
        replica is starting no more."""
        await self._turn(replica, service)
        try:
            yield
        except BaseException:
            self._leave(replica)
            raise
        known = self._registry.replica(replica)
        if known is not None and known.state is State.STARTING:
            loop = asyncio.get_running_loop()
            self._booting[replica] = loop.call_later(BOOT, self._leave, replica)

    async def _turn(self, replica: str, service: str) -> None:
        present = self._registry.replicas(service)
        others = any(one.id != replica and one.state in _THERE for one in present)
        if self._turns.ask(service, replica, is_first=not others):
            return
        called = self._called[replica] = asyncio.get_running_loop().create_future()
        try:
            await called
        except asyncio.CancelledError:
            self._leave(replica)
            raise
        finally:
            del self._called[replica]

    def _follow(self, replica: Replica) -> None:
        if replica.state is not State.STARTING:
            self._leave(replica.id)

    def _leave(self, replica: str) -> None:
        if (timer := self._booting.pop(replica, None)) is not None:
            timer.cancel()
        self._turns.leave(replica)
        self._admit()

    def _admit(self) -> None:
        for replica in self._turns.admit():
            called = self._called.get(replica)
            if called is not None and not called.done():
                called.set_result(None)


def starts_of(host: Host, cores: int) -> int:
    """Starts at once; 0 is no limit. Most of a start is waiting for the engine and the disk, so
    that a few for each core keep all of them busy."""
    return max(FEWEST_STARTS, STARTS_PER_CORE * cores) if host.starts == "auto" else host.starts
