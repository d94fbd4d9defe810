"""Looks at the memory limit on every sweep, and has clients turned away while memory is short.

What is under way goes on, and so does whoever waits for a replica. A connection without a request
is closed, and a head that has only begun is refused. A gateway without a limit has none of this.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from cluster import cgroup
from gateway import shedding
from gateway.shedding import Facts

if TYPE_CHECKING:
    from gateway.context import Context

_LOOK_AFTER = 2**20  # bytes taken since the last look
_TRIM_EVERY = 1.0  # seconds

OnShedding = Callable[[bool, str], None]


class Pressure:
    """Of one gateway process. `pause`: seconds until the next sweep, at the latest. `is_unsettled`:
    sweeps are needed although nobody is connected."""

    __slots__ = (
        "_began_with", "_context", "_group", "_on_shedding", "_since", "_taken", "_trim",
        "_trimmed_at", "is_unsettled", "pause",
    )  # fmt: skip

    def __init__(
        self, context: "Context", group: cgroup.Group, on_shedding: OnShedding | None = None
    ) -> None:
        """`on_shedding` is told when it begins and when it ends, and why."""
        self._context = context
        self._group = group
        self._on_shedding = on_shedding
        self._began_with = 0
        self._taken = 0
        self._since: float | None = None  # when it began to shed, if it does
        self._trim = trimmer()
        self._trimmed_at = -math.inf
        self.is_unsettled = False
        self.pause = math.inf

    def begin(self) -> None:
        """What this process has now is not for clients."""
        self._began_with = cgroup.resident()

    def sweep(self, now: float) -> None:
        self._look(now)
        connections = self._context.connections
        if self._since is not None:
            for connection in connections:
                connection.give_way(now)
        if self.is_unsettled and now - self._trimmed_at >= _TRIM_EVERY:
            self._trimmed_at = now
            self._trim(0)
            self.is_unsettled = bool(connections) or self._since is not None

    def took(self, size: int) -> bool:
        """So many bytes of a client are kept; whether memory is short. One turn of the loop may
        read from thousands, and no sweep comes in between."""
        self._taken += size
        if self._taken >= _LOOK_AFTER:
            self._look(self._context.loop.time())
        return self._since is not None

    def _look(self, now: float) -> None:
        self._taken = 0
        share = self._context.limits.memory
        memory = self._group.read() if share else None
        if memory is None:
            self.pause, self.is_unsettled = math.inf, False
            self._shed(None, "there is no limit any more")
            return
        facts = Facts(memory.limit, memory.used, self._grown(memory))
        self.pause = shedding.pause(facts, share)
        since = self._since
        sheds = shedding.sheds(facts, share, None if since is None else now - since)
        self._shed((now if since is None else since) if sheds else None, str(facts))
        self.is_unsettled = sheds or (self.is_unsettled and shedding.is_much(facts))

    def _shed(self, since: float | None, why: str) -> None:
        is_news = (since is None) != (self._since is None)
        self._since = since
        if is_news:
            self._context.crowd.shed(since is not None)
            if self._on_shedding is not None:
                self._on_shedding(since is not None, why)

    def _grown(self, memory: cgroup.Memory) -> int:
        """The kernel deals connections out evenly: the others have grown like this one."""
        everyone = self._context.everyone
        processes = 1 if everyone is None else everyone.processes
        return (cgroup.resident() - self._began_with) * processes + memory.sockets


def trimmer() -> Callable[[int], object]:
    """What is freed stays with the allocator, in pieces, to be used again. Only that of glibc has
    to be told to give it back, and can be; with others this does nothing."""
    import ctypes  # what only a gateway with a limit pays for

    return getattr(ctypes.CDLL(None), "malloc_trim", bool)
