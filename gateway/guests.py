"""Requests to a service that may be asleep and has something else to say to them than `wait`.

An ignored one is served while a replica is awake, and is load there, but no activity: it neither
wakes nor keeps awake. A lent one is answered by another service until its own has a replica; it is
the demand of its own all the while. A watching one is told how the wake goes, and is demand, too.
"""

from typing import TYPE_CHECKING

from gateway import waiting_page
from gateway.exchange import Exchange
from gateway.head import Request, Response
from gateway.phase import Phase
from gateway.problems import Problem

if TYPE_CHECKING:
    from gateway.destination import Destination
    from gateway.door import Door
    from gateway.downstream import Downstream

_TICK = 1.0  # seconds between two events of progress


class Ignored(Exchange):
    """One that is no activity."""

    __slots__ = ("_door",)

    keeps_awake = False

    def __init__(
        self, client: "Downstream", destination: "Destination", request: Request, now: float,
        door: "Door",
    ) -> None:  # fmt: skip
        super().__init__(client, destination, request, now)
        self._door = door

    def begin(self, now: float) -> None:
        counters = self.destination.counters
        counters.ignored += 1
        with counters.unnoticing():
            super().begin(now)

    def wait(self, now: float, *, first: bool = False) -> None:
        """Nobody is woken for it, so there would be nothing to wait for."""
        if self.destination.dispatcher.slots:
            super().wait(now, first=first)
        else:
            self.send_away(now)

    def send_away(self, now: float) -> None:
        """The service sleeps (again)."""
        self.leave_queue()
        self.status = self._door.write_static(self.client, self.request)
        self.end(self.status, now)
        self.client.done(now)

    def reject(self, problem: Problem, reason: str) -> None:
        """It was no demand that could have been served."""
        self.leave_queue()
        self.destination.counters.rejected[reason] += 1
        self.answer_problem(problem, self.client.context.loop.time())

    def end(self, status: int, now: float, whole: bool = False) -> None:
        counters = self.destination.counters
        counters.ignored -= 1
        with counters.unnoticing():
            super().end(status, now, whole)


class Lent(Exchange):
    """One that another service answers; `owners` have no replica yet, its own first."""

    __slots__ = ("_owners", "_service")

    def __init__(
        self, client: "Downstream", destination: "Destination", request: Request, now: float,
        owners: tuple["Destination", ...],
    ) -> None:  # fmt: skip
        super().__init__(client, destination, request, now)
        self._service = owners[0]
        self._owners = owners

    def begin(self, now: float) -> None:
        context = self.client.context
        for owner in self._owners:
            owner.counters.enter(now)
            owner.counters.held += 1
            owner.counters.cold_start_waits += 1
            if not owner.reporting:
                context.sweep.activate(owner, now)
            if owner.door is not None:
                owner.door.lent[self] = None
            context.wake(owner, now)
        super().begin(now)

    def reject(self, problem: Problem, reason: str) -> None:
        """Trouble of the other one is no reason not to wait for its own."""
        queued, now = self.phase is Phase.QUEUED, self.client.context.loop.time()
        if self._owners and queued and self.destination.trouble(now) is not None:
            self.go_home(self._owners[0], now)
        else:
            super().reject(problem, reason)

    def go_home(self, owner: "Destination", now: float) -> None:
        """It is served there, unless the other one has begun already."""
        if self.phase is not Phase.QUEUED:
            self._let_go(now)
            return
        self._let_go(now, keep=owner)
        self.leave_queue()
        self.destination.counters.withdraw(now)
        self.destination = self._service = owner
        slot = owner.dispatcher.acquire()
        if slot is None:
            self.wait(now)
        else:
            self.admitted(slot, now)

    def _send(self, response: Response, head: bytes, body: bytes) -> None:
        if self.destination is not self._service:
            head += b"\r\nTidegate-Fallback: " + self.destination.name.encode()
        super()._send(response, head, body)

    def end(self, status: int, now: float, whole: bool = False) -> None:
        self._let_go(now)
        super().end(status, now, whole)

    def _let_go(self, now: float, keep: "Destination | None" = None) -> None:
        """Of all whose demand it was."""
        owners, self._owners = self._owners, ()
        for owner in owners:
            if owner is not keep:
                owner.counters.withdraw(now)
            if owner.door is not None:
                owner.door.lent.pop(self, None)


class Watch(Exchange):
    """The event stream of a waiting page. It has no replica, and ends when there is one."""

    __slots__ = ("_door",)

    def __init__(
        self, client: "Downstream", destination: "Destination", request: Request, now: float,
        door: "Door",
    ) -> None:  # fmt: skip
        super().__init__(client, destination, request, now)
        self._door = door
        self.status = 200

    def begin(self, now: float) -> None:
        client, destination = self.client, self.destination
        destination.counters.enter(now)
        destination.counters.held += 1  # it has no wait and no latency of its own
        if not destination.reporting:
            client.context.sweep.activate(destination, now)
        self.phase = Phase.AWAITING  # something, not in the queue
        client.keep_alive = False
        self._tell(waiting_page.stream_head(client.context.date))
        self._door.watching[self] = None
        self.expired(now)

    def expired(self, now: float) -> None:
        """The next event is due."""
        context, destination = self.client.context, self.destination
        self.client.deadline = now + _TICK
        if destination.dispatcher.slots:
            self.finish(waiting_page.ready(), now)
        elif context.draining or destination.removed:
            self.finish(b"", now)
        else:
            context.wake(destination, now)
            if self.client.writable:
                self._tell(waiting_page.progress(self._door.waking(destination, now)))

    def finish(self, event: bytes, now: float) -> None:
        if event:
            self._tell(event)
        self.end(self.status, now)
        self.client.done(now)

    def _tell(self, data: bytes) -> None:
        self.client.transport.write(data)
        self.sent += len(data)

    def stream_deadline(self) -> None:
        """It has its own."""

    def end(self, status: int, now: float, whole: bool = False) -> None:
        self._door.watching.pop(self, None)
        super().end(status, now, whole)
