"""What stands before a service that has something to say to requests while it sleeps.

A service without `scaling.idle.ignore` and `wake` has no door, and its requests pay nothing. Order:
ignored requests first (they must not wake); then the events of a waiting page; then, while no
replica is there, the page for people, the other service for everybody else, and else the queue.
"""

import math
from typing import TYPE_CHECKING

from config.wake import StaticAnswer
from gateway import ignored, waiting_page
from gateway.access_log import entry_of
from gateway.exchange import Exchange
from gateway.guests import Ignored, Lent, Watch
from gateway.head import Request
from gateway.navigation import is_navigation
from gateway.routed import Sleeping
from gateway.routing import normal_path
from gateway.waiting_page import EVENTS, Waking

if TYPE_CHECKING:
    from gateway.destination import Destination
    from gateway.downstream import Downstream

LONG = 0.3  # seconds of a start; what is shorter is better waited for than shown
_FORGOTTEN = 60.0  # seconds: more than any pause of somebody who waits


class Door:
    """Of one service. What it holds outlives a reload."""

    __slots__ = (
        "_asked_at", "_events", "_matcher", "_page", "_prefixes", "_static", "_waking_since",
        "fallback", "lent", "watching",
    )  # fmt: skip

    def __init__(self) -> None:
        self.lent: dict[Lent, None] = {}
        self.watching: dict[Watch, None] = {}
        self._waking_since = 0.0
        self._asked_at = -math.inf

    def configure(self, sleeping: Sleeping, paths: tuple[str, ...]) -> None:
        given = sleeping.ignored
        self._matcher = ignored.Matcher(given) if given is not None else None
        self._static = given.answer if given is not None else StaticAnswer()
        self._page = sleeping.page
        self.fallback = sleeping.fallback
        # By the normal path of each prefix, where its events are.
        self._prefixes = {
            normal_path(path.encode()).rstrip(b"/"): path.rstrip("/") + EVENTS for path in paths
        }
        self._events = {normal_path(path.encode()) for path in self._prefixes.values()}

    # A request comes

    def open(
        self, client: "Downstream", destination: "Destination", request: Request, now: float
    ) -> Exchange | None:
        """What becomes of it; None when it is answered already."""
        awake = bool(destination.dispatcher.slots)
        if self._ignores(client, request):
            if awake:
                return Ignored(client, destination, request, now, self)
            self._answer_static(client, destination, request, now)
            return None
        if self._page and self._asks_for_events(request):
            return Watch(client, destination, request, now, self)
        if awake:
            return Exchange(client, destination, request, now)
        self._note(now)
        if self._page and is_navigation(request) and self._is_worth_a_page(destination, now):
            self._show_page(client, destination, request, now)
            return None
        return self._lend(client, destination, request, now)

    def changed(self, destination: "Destination", now: float) -> None:
        """The endpoints are others now."""
        if destination.dispatcher.slots:
            self._asked_at = -math.inf
            for watch in list(self.watching):
                watch.expired(now)
            for lent in list(self.lent):
                lent.go_home(destination, now)
            return
        for waiting in list(destination.dispatcher.waiting):
            if isinstance(waiting, Ignored):
                waiting.send_away(now)
        if destination.trouble(now) is not None:
            for watch in list(self.watching):
                watch.expired(now)

    def waking(self, destination: "Destination", now: float) -> Waking:
        """How far it is."""
        self._note(now)
        snapshot = destination.snapshot
        return Waking(
            destination.name,
            now - self._waking_since,
            snapshot.start_seconds if snapshot is not None else None,
            destination.trouble(now),
        )

    def _note(self, now: float) -> None:
        """Somebody asks. A wake that nobody asked after for a while is over, whatever it led to."""
        if now - self._asked_at > _FORGOTTEN:
            self._waking_since = now
        self._asked_at = now

    # Ignored

    def _ignores(self, client: "Downstream", request: Request) -> bool:
        matcher = self._matcher
        return matcher is not None and matcher.matches(request, client.peer, client.context.trusted)

    def write_static(self, client: "Downstream", request: Request) -> int:
        """Returns its status."""
        if not client.may_stay():
            client.keep_alive = False
        client.transport.write(
            ignored.answer(
                self._static,
                date=client.context.date,
                head=request.method == b"HEAD",
                close=not client.keep_alive,
                minor=request.minor,
            )
        )
        return self._static.status

    def _answer_static(
        self, client: "Downstream", destination: "Destination", request: Request, now: float
    ) -> None:
        """Counted and logged as a request of the service, and nothing else happens."""
        status = self.write_static(client, request)
        destination.counters.answered(status)
        if client.context.access_log is not None:
            answered = Exchange(client, destination, request, now)
            client.context.access_log(entry_of(answered, status, now))
        client.done(now)

    # The page

    def _asks_for_events(self, request: Request) -> bool:
        target = request.target
        if request.method != b"GET" or request.length or not target.endswith(EVENTS.encode()):
            return False
        return normal_path(target) in self._events

    def _is_worth_a_page(self, destination: "Destination", now: float) -> bool:
        """A thaw is not. A start that nobody has measured yet is once it has taken that long."""
        waking, snapshot = self.waking(destination, now), destination.snapshot
        if waking.trouble is not None or waking.elapsed > LONG:
            return True
        is_thaw = snapshot is not None and snapshot.frozen
        return not is_thaw and (waking.expected or 0.0) > LONG

    def _show_page(
        self, client: "Downstream", destination: "Destination", request: Request, now: float
    ) -> None:
        context, counters = client.context, destination.counters
        exchange = client.exchange = Exchange(client, destination, request, now)
        counters.enter(now)
        counters.held += 1
        counters.cold_start_waits += 1
        if not destination.reporting:
            context.sweep.activate(destination, now)
        context.wake(destination, now)
        if not client.may_stay():
            client.keep_alive = False
        client.transport.write(
            waiting_page.page(
                self.waking(destination, now),
                self._events_of(request),
                date=context.date,
                close=not client.keep_alive,
                minor=request.minor,
                head=request.method == b"HEAD",
            )
        )
        exchange.end(503, now)
        client.done(now)

    def _events_of(self, request: Request) -> str:
        """Below the longest of the service's paths, as routing found it: no other service has it
        unless its path is longer still."""
        path = normal_path(request.target)
        found = [one for one in self._prefixes if (path + b"/").startswith(one + b"/")]
        return self._prefixes[max(found, key=len)] if found else EVENTS

    # The other service

    def _lend(
        self, client: "Downstream", destination: "Destination", request: Request, now: float
    ) -> Exchange:
        owners = [destination]
        while (other := _stand_in(client, owners[-1])) is not None and other not in owners:
            owners.append(other)
        *before, last = owners
        if not before:
            return Exchange(client, destination, request, now)
        return Lent(client, last, request, now, tuple(before))


def _stand_in(client: "Downstream", destination: "Destination") -> "Destination | None":
    """Who answers for it while it has no replica."""
    door = destination.door
    if door is None or door.fallback is None or destination.dispatcher.slots:
        return None
    route = client.context.routes.get(door.fallback)
    return None if route is None else client.context.destination(route)
