"""One coarse timer for all that is late: deadlines, reports, idle connections, shunned replicas;
and for clients that leave while they are not read.

It runs only while there is something to look at; an idle gateway has no timer at all.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from config.settings import Limits
from gateway.destination import Destination
from gateway.routed import Routed

if TYPE_CHECKING:
    from gateway.context import Context

OnSweep = Callable[[float, bool], None]

IDLE_UPSTREAM = 60.0
AT_ONCE = 200  # requests refused in one turn of the loop, each of which takes some 50 us
_REPORT_EVERY = 1.0
_SHORTEST, _LONGEST = 0.02, 0.25


def interval(limits: Limits, services: Iterable[Routed]) -> float:
    """Seconds between two sweeps: a tenth of the shortest timeout, within bounds."""
    timeouts = [limits.header_timeout, limits.idle_timeout]
    for service in services:
        asked = service.timeouts
        timeouts += [asked.connect, asked.response, asked.idle, service.queue.timeout]
    shortest = min((timeout for timeout in timeouts if timeout > 0), default=_LONGEST * 10)
    return min(_LONGEST, max(_SHORTEST, shortest / 10))


class Sweep:
    """Looks after everything that waits."""

    __slots__ = ("_context", "_due", "_on_sweep", "_timer", "destinations", "interval")

    def __init__(self, context: "Context", on_sweep: OnSweep | None = None) -> None:
        self._context = context
        self._on_sweep = on_sweep
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self.destinations: dict[Destination, None] = {}
        self.interval = _LONGEST

    def start(self) -> None:
        if self._timer is None:
            self._context.refresh_date()
            self._wait(self.interval)

    def _wait(self, pause: float) -> None:
        loop = self._context.loop
        self._due = loop.time() + pause
        self._timer = loop.call_later(pause, self._run)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def is_running(self) -> bool:
        return self._timer is not None

    def activate(self, destination: Destination, now: float) -> None:
        """It has traffic again: its reports span from now."""
        destination.reporting = True
        destination.counters.since = now
        self.destinations[destination] = None
        self.start()

    def _run(self) -> None:
        self._timer = None
        now = self._context.loop.time()
        if now - self._due > self.interval:
            self._after_a_turn()
            return
        self._context.refresh_date()
        self._context.crowd.look()
        pressure = self._context.pressure
        if pressure is not None:
            pressure.sweep(now)
        late = [one for one in self._context.connections if one.deadline <= now]
        for connection in late[:AT_ONCE]:
            connection.expired(now)
        for connection in list(self._context.paused):
            connection.leave_if_gone()
        for destination in list(self.destinations):
            self._look_after(destination, now)
        if self._on_sweep is not None:
            self._on_sweep(now, bool(self.destinations))
        is_unsettled = pressure is not None and pressure.is_unsettled
        if self._context.connections or self.destinations or is_unsettled:
            pause = self.interval if pressure is None else min(self.interval, pressure.pause)
            if len(late) > AT_ONCE:
                pause = 0.0
            self._wait(pause)

    def _after_a_turn(self) -> None:
        """This process was held up: what others sent meanwhile lies there unread, and is read
        before they are said to be late. Once: who is held up all the time has to look as well."""
        self._timer = self._context.loop.call_later(_SHORTEST, self._run)
        self._due = math.inf

    def close_one_idle(self) -> None:
        """Of any destination: the connection that was used least lately in its pool."""
        for destination in self.destinations:
            for slot in destination.dispatcher.slots:
                if slot.idle:
                    slot.idle[0].drop()
                    return

    def _look_after(self, destination: Destination, now: float) -> None:
        if destination.dispatcher.reopen():
            self._context.admit(destination)
        if destination.dispatcher.is_growing:
            destination.dispatcher.grow(now)
        for slot in destination.dispatcher.slots:
            if slot.parked and not slot.connecting:
                # The next one is tried when this one succeeds.
                slot.parked.popitem(last=False)[0].connect(slot)
        if destination.reporting and now - destination.counters.since >= _REPORT_EVERY - 0.01:
            self._report(destination, now)
        resting = self._close_idle(destination, now)
        if not destination.reporting and not resting:
            del self.destinations[destination]

    def _report(self, destination: Destination, now: float) -> None:
        counters = destination.counters
        # The last report is one of silence: no request since the former and none under way.
        silent = counters.level == 0 and counters.requests == counters.reported_requests
        if silent and counters.busy == 0:
            destination.reporting = False
        if counters.level or self._context.silence.is_any:
            self._context.silence.look(self._context.connections, now)
        self._context.report(destination, now)

    def _close_idle(self, destination: Destination, now: float) -> bool:
        """Close connections that were not used for long; whether some are left."""
        left = False
        for slot in destination.dispatcher.slots:
            # Used last, lies last.
            while slot.idle and now - slot.idle[0].idle_since >= IDLE_UPSTREAM:
                slot.idle[0].drop()
            left = left or bool(slot.idle)
        return left
