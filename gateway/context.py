"""What all connections of one gateway share, and what it tells the others."""

import asyncio
import itertools
import math
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from typing import TYPE_CHECKING, Protocol

from cluster.messages import Drained, LoadReport, Outcome, OutcomeKind, Wake
from config.settings import Gateway as GatewaySettings
from config.settings import Limits
from gateway.access_log import AccessLog, access_log
from gateway.admission import Admission
from gateway.bulk import LONG
from gateway.crowd import Crowd
from gateway.destination import Destination, Route
from gateway.dispatch import Slot
from gateway.fields import Peer
from gateway.held import Held
from gateway.ignored import Network
from gateway.peers import Everyone
from gateway.pressure import Pressure
from gateway.problems import Problem
from gateway.routing import Table
from gateway.silence import Silence
from gateway.stats import UNTIMED
from gateway.turns import Turns

if TYPE_CHECKING:
    from gateway.downstream import Downstream
    from gateway.exchange import Exchange
    from gateway.sweep import Sweep


class GatewayEvents(Protocol):
    """Whoever wants to know what the gateway sees. Called in the loop; must return at once."""

    def wake(self, message: Wake) -> None: ...
    def report(self, message: LoadReport) -> None: ...
    def outcome(self, message: Outcome) -> None: ...
    def drained(self, message: Drained) -> None: ...


class Connection(Protocol):
    """A client that is connected, or just about to be. `deadline` is in seconds of the loop."""

    deadline: float

    @property
    def exchange(self) -> "Exchange | None":
        """Its present request."""

    def expired(self, now: float) -> None: ...
    def drain(self) -> None: ...
    def give_way(self, now: float) -> None: ...
    def abort(self) -> None: ...


class Entrance(Protocol):
    """Where a connection came in."""

    def opened(self, transport: asyncio.BaseTransport) -> tuple[Peer, Problem | None]:
        """Who it is, admitted, and why it cannot stay, if so."""

    def closed(self) -> None:
        """What it held here is free; its place among all is its own to leave."""


class Context:
    """The shared state of one gateway."""

    __slots__ = (
        "access_log", "admission", "connections", "crowd", "date", "draining", "emptied", "ending",
        "events", "everyone", "held", "id_line", "id_prefix", "idle_timeout", "ids", "limits",
        "loop", "patience", "paused", "pressure", "read_buffer", "rng", "routes", "silence",
        "source", "sweep", "table", "tasks", "trusted", "turns", "unrouted",
    )  # fmt: skip

    loop: asyncio.AbstractEventLoop
    turns: Turns
    sweep: "Sweep"

    def __init__(
        self,
        settings: GatewaySettings,
        events: GatewayEvents,
        rng: random.Random,
        source: str,
        everyone: Everyone | None = None,
    ) -> None:
        self.events = events
        self.everyone = everyone
        self.rng = rng
        self.source = source
        self.connections: set[Connection] = set()
        self.draining = False
        self.ending = False  # tunnels are to close
        self.patience = math.inf  # seconds for a client between two requests
        self.admission = Admission(self)
        self.crowd = Crowd(self)
        self.held = Held(everyone.held if everyone is not None else None)
        self.limit(settings.limits)
        self.table: Table[Route] = Table()
        self.routes: Mapping[str, Route] = {}  # by the service's name
        self.trusted: tuple[Network, ...] = ()
        self.access_log: AccessLog | None = access_log(settings.access_log)
        self.pressure: Pressure | None = None  # where memory has a limit
        self.paused: set[Downstream] = set()  # those that are not read now
        self.emptied = asyncio.Event()
        self.silence = Silence()
        self.unrouted: defaultdict[int, int] = defaultdict(int)
        self.tasks: set[asyncio.Task[None]] = set()
        self.read_buffer = memoryview(bytearray(LONG))
        self.id_prefix = b"%016x-" % rng.getrandbits(64)
        self.id_line = b"\r\nX-Request-Id: " + self.id_prefix
        self.ids: Iterator[int] = itertools.count(1)
        self.date = b""  # the Date field's value, kept fresh by the sweep (RFC 9110 §6.6.1)

    def limit(self, limits: Limits) -> None:
        """What clients may ask from now on."""
        self.limits = limits
        self.idle_timeout = limits.idle_timeout or math.inf
        if not self.draining:
            self.patience = self.idle_timeout
        self.held.limit = limits.most_held
        self.admission.limited()

    def refresh_date(self) -> None:
        self.date = formatdate(usegmt=True).encode()

    def destination(self, route: Route) -> Destination:
        """The destination of a route, made on first use."""
        destination = route.destination
        if destination is None:
            now = self.loop.time()
            destination = route.destination = Destination(
                route.service, self.rng, now, self.everyone, self.held
            )
            destination.snapshot = route.snapshot
            if route.snapshot is not None:
                destination.dispatcher.update(route.snapshot.endpoints)
        return destination

    def admit(self, destination: Destination) -> None:
        """Bind waiting requests to places that are free."""
        dispatcher = destination.dispatcher
        if not dispatcher.waiting:
            return
        now = self.loop.time()
        while (admitted := dispatcher.admit()) is not None:
            exchange, slot = admitted
            exchange.admitted(slot, now)

    def wake(self, destination: Destination, now: float) -> None:
        """Ask for a replica; the report goes first, so that the demand is known."""
        if not destination.removed and destination.may_wake(now):
            self.report(destination, now)
            self.events.wake(Wake(destination.name))

    def report(self, destination: Destination, now: float) -> None:
        counters, silence = destination.counters, self.silence.of(destination)
        quiet = counters.ignored + silence.silent
        active_at = counters.active_at(quiet, silence.since, now)
        span = counters.span(now)
        queued = len(destination.dispatcher.waiting)
        times = counters.times() if destination.service.timed else UNTIMED
        self.events.report(
            LoadReport(
                service=destination.name,
                at=now,
                span=span.seconds,
                busy_seconds=span.busy_seconds,
                requests=span.requests,
                rejected=span.rejected,
                in_flight=counters.level - queued,
                queued=queued,
                pending=destination.dispatcher.pending(),
                silent=min(quiet, counters.level),
                active_at=active_at,
                source=self.source,
                latencies=times.latencies,
                service_times=times.service_times,
                waits=times.waits,
                served=destination.dispatcher.served() if destination.service.compared else (),
                recorded=destination.recorded(),
            )
        )

    def tell(self, destination: Destination, slot: Slot, kind: OutcomeKind) -> None:
        """How a request ended: a success only matters after a failure."""
        ok = kind is OutcomeKind.OK
        if not ok or slot.failed:
            slot.has_failed(not ok)
            self.events.outcome(Outcome(destination.name, slot.endpoint.replica, kind))

    def tell_drained(self, destination: Destination, slot: Slot) -> None:
        self.events.drained(Drained(destination.name, slot.endpoint.replica))
