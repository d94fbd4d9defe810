"""The gateway as others see it: configure, apply snapshots, start, drain, count."""

import asyncio
import dataclasses
import itertools
import logging
import random
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from cluster.cgroup import Group
from cluster.messages import Drained, EndpointSnapshot
from cluster.model import Address
from cluster.room import IDLE_FOR
from config import settings as config
from gateway import farewell, problems
from gateway.access_log import access_log
from gateway.certificates import BadCertificate
from gateway.context import Context, GatewayEvents
from gateway.destination import Destination, Route
from gateway.listener import (
    Given,
    Listener,
    ListenError,
    Network,
    bind_all,
    certificates_of,
    names_of,
    staying,
    trusted_networks,
    wanted,
)
from gateway.peers import Everyone
from gateway.pressure import OnShedding, Pressure
from gateway.routed import Routed
from gateway.routing import Table
from gateway.stats import GatewayStats
from gateway.sweep import AT_ONCE, OnSweep, Sweep, interval
from gateway.turns import Turns

log = logging.getLogger("tidegate.gateway")

FAREWELL = 5.0  # the last seconds of a drain, in which tunnels of replicas that stay may close

__all__ = ["Gateway", "GatewayEvents", "ListenError"]


class Gateway:
    """The data path. Lives in one event loop; every method must be called there."""

    def __init__(
        self,
        settings: config.Gateway,
        events: GatewayEvents,
        rng: random.Random,
        *,
        source: str = "gateway",
        everyone: Everyone | None = None,
        on_sweep: OnSweep | None = None,
        memory: Group | None = None,
        on_shedding: OnShedding | None = None,
    ) -> None:
        """`everyone`: the gateway processes that limits are shared with; None when alone.
        `on_sweep` is told the time, and whether there is traffic, while clients are connected.
        `memory` has the limit of this process, None when there is none; `on_shedding` is told when
        it is nearly reached, and when no longer, and why."""
        self._settings = settings
        self._context = Context(settings, events, rng, source, everyone)
        self._context.sweep = Sweep(self._context, on_sweep)
        if memory is not None:
            self._context.pressure = Pressure(self._context, memory, on_shedding)
        self._routes: dict[str, Route] = {}
        self._listeners: list[Listener] = []

    @property
    def context(self) -> Context:
        """For whoever makes requests in it that came by no connection."""
        return self._context

    def configure(self, services: Iterable[Routed], settings: config.Gateway) -> None:
        """Take over services and settings, at the start and on reload.

        What is in flight goes on; a removed service is unknown from now on. `listen` is only read
        by `start`, certificates whenever their files have changed.
        """
        if self._listeners:
            settings = staying(self._settings, settings)
            self._renew(settings)
        context = self._context
        former = self._routes
        self._routes = {service.name: self._route(service) for service in services}
        removed = [route for name, route in former.items() if name not in self._routes]
        context.table = Table(_entries(self._routes))
        context.routes = self._routes
        self._settings = settings
        context.limit(settings.limits)
        context.access_log = access_log(settings.access_log)
        context.sweep.interval = interval(
            settings.limits, (route.service for route in self._routes.values())
        )
        trusted = context.trusted = trusted_networks(settings.trusted_proxies)
        for listener in self._listeners:
            listener.trusted = trusted
        for route in removed:
            self._remove(route)

    def apply(self, snapshot: EndpointSnapshot) -> None:
        """Replace the endpoints of a service. Waiting requests that can go are sent at once;
        those that have no hope are answered. An older version than the present is ignored."""
        route = self._routes.get(snapshot.service)
        if route is None:
            return
        former = route.snapshot
        if former is not None and snapshot.version < former.version:
            return
        route.snapshot = snapshot
        if route.destination is not None:
            self._replace_endpoints(route.destination, snapshot)
        elif former is not None:
            self._drained_unused(former, snapshot)

    def admit(self, service: str) -> None:
        """Places may have fallen free in another process: bind who waits here."""
        route = self._routes.get(service)
        if route is not None and route.destination is not None:
            self._context.admit(route.destination)

    async def start(
        self, sockets: Sequence[socket.socket] = (), given: Given = MappingProxyType({})
    ) -> list[Address]:
        """Listen on everything in `settings`; the addresses, with the real ports.

        `sockets` are bound already, in the order of `listener.wanted`, and stand in for binding
        here; `given` stand in for those that they are named like. Raises ListenError; then
        nothing is listened on.
        """
        self._context.loop = asyncio.get_running_loop()
        self._context.turns = Turns(self._context.loop)
        trusted = trusted_networks(self._settings.trusted_proxies)
        listeners = list(self._made(trusted))
        if self._context.pressure is not None:
            self._context.pressure.begin()
        bound = sockets or bind_all(wanted(self._settings), given)
        for listening, listener in zip(bound, listeners, strict=True):
            self._listeners.append(listener)
            await listener.open(listening)
        return [listener.address for listener in self._listeners]

    async def drain(self, timeout: float, patience: float = 0.0) -> None:
        """Accept no more, let what is under way finish for `timeout` seconds, cut the rest.

        `patience` is how long, in seconds, a client that is idle may still send a request, so
        that none is closed while it does: somebody else accepts in our place, and the replicas
        stay. Then tunnels are not told to close before the time is nearly over.
        """
        context = self._context
        context.draining = True
        context.patience = min(context.idle_timeout, patience)
        # What is cut in the end should not be cut without a word.
        telling = self._end_tunnels(timeout - min(FAREWELL, timeout / 2) if patience else 0.0)
        for connection in list(context.connections):
            connection.drain()
        for listener in self._listeners:
            listener.close()
        try:
            async with asyncio.timeout(timeout):
                await self._emptied()
        except TimeoutError:
            for connection in list(context.connections):
                connection.abort()
            await self._emptied()
        finally:
            telling.cancel()
        self._report_the_rest()
        self._close_upstreams()
        if context.tasks:
            await asyncio.wait(context.tasks)
        context.sweep.stop()

    def listening(self) -> dict[str, socket.socket]:
        """What is accepted on, by `listener.names_of`."""
        sockets = [one.listening for one in self._listeners]
        names = names_of(wanted(self._settings)) if sockets else []
        return {name: one for name, one in zip(names, sockets, strict=True) if one is not None}

    def is_busy(self) -> bool:
        return bool(self._context.connections)

    def report_to(self, events: GatewayEvents) -> dict[tuple[str, str], int]:
        """Somebody else decides from now on, and numbers snapshots anew. Whoever waits is told of
        again. Returns the requests in flight by service and replica."""
        context = self._context
        context.events = events
        pending: dict[tuple[str, str], int] = {}
        for route in self._routes.values():
            if route.snapshot is not None:
                route.snapshot = dataclasses.replace(route.snapshot, version=0)
            if (destination := route.destination) is None:
                continue
            destination.woken_at = float("-inf")
            for replica, count in destination.dispatcher.pending():
                pending[route.service.name, replica] = count
            if destination.dispatcher.waiting:
                context.wake(destination, context.loop.time())
            elif destination.counters.level:
                context.report(destination, context.loop.time())
        return pending

    def stats(self, now: float) -> GatewayStats:
        """A copy of all counts."""
        context = self._context
        if context.silence.is_any:
            context.silence.look(context.connections, now)
        services = {
            name: one.counters.copy(
                len(one.dispatcher.waiting),
                one.dispatcher.pending(),
                context.silence.of(one).silent_for(IDLE_FOR, now),
            )
            for name, route in self._routes.items()
            if (one := route.destination) is not None
        }
        return GatewayStats(
            at=now,
            services=services,
            unrouted=dict(self._context.unrouted),
            connections={str(one.address): one.connections for one in self._listeners},
            shedding=int(context.crowd.is_shedding),
        )

    def _made(self, trusted: tuple[Network, ...]) -> Iterator[Listener]:
        """In the order of `listener.wanted`. Raises ListenError."""
        for _ in self._settings.listen:
            yield Listener(self._context, trusted)
        tls = self._settings.tls
        secure = [Listener(self._context, trusted, certificates_of(one)) for one in tls]
        yield from secure
        for one, listener in zip(tls, secure, strict=True):
            for _ in one.redirect:
                yield Listener(self._context, trusted, secure=listener)

    def _renew(self, settings: config.Gateway) -> None:
        """What was checked may be broken by now: then the present certificates stay."""
        secure = [one.certificates for one in self._listeners if one.certificates is not None]
        for certificates, listener in zip(secure, settings.tls, strict=True):
            try:
                certificates.load(listener.certificates)
            except BadCertificate as bad:
                log.error("%s keeps its former certificates: %s", listener.listen, bad)

    def _route(self, service: Routed) -> Route:
        route = self._routes.get(service.name)
        if route is None:
            return Route(service)
        route.service = service
        destination = route.destination
        if destination is not None:
            if destination.service.record != service.record:
                # What was until now is told as it was asked for.
                self._context.report(destination, self._context.loop.time())
            destination.configure(service)
            self._context.admit(destination)
        return route

    def _remove(self, route: Route) -> None:
        """Nobody waits for it any more, and its endpoints leave."""
        destination = route.destination
        if destination is None:
            if route.snapshot is not None:
                self._drained_unused(route.snapshot, EndpointSnapshot(route.service.name, 0))
            return
        destination.removed = True
        for exchange in list(destination.dispatcher.waiting):
            exchange.reject(problems.NO_ROUTE, "removed")
        version = route.snapshot.version + 1 if route.snapshot else 1
        former = route.snapshot.endpoints if route.snapshot else ()
        leaving = tuple(endpoint.replica for endpoint in former)
        snapshot = EndpointSnapshot(destination.name, version, draining=leaving)
        self._replace_endpoints(destination, snapshot)

    def _drained_unused(self, former: EndpointSnapshot, present: EndpointSnapshot) -> None:
        """Endpoints of a service that no request has used have nothing in flight."""
        staying = {endpoint.replica for endpoint in present.endpoints}
        for endpoint in former.endpoints:
            if endpoint.replica not in staying:
                self._context.events.drained(Drained(former.service, endpoint.replica))

    def _replace_endpoints(self, destination: Destination, snapshot: EndpointSnapshot) -> None:
        context, dispatcher = self._context, destination.dispatcher
        destination.snapshot = snapshot
        gone, drained = dispatcher.update(snapshot.endpoints, context.loop.time())
        for slot in gone:
            for upstream in list(slot.idle):
                upstream.drop()
            for exchange in reversed(slot.parked):
                exchange.requeue()
            slot.parked.clear()
            # Nothing of theirs was sent yet. And an address may be another's by the time the
            # connection is made: engines give those of the dead to the next one.
            for upstream in reversed(list(slot.connecting)):
                upstream.retreat()
        if dispatcher.retire(snapshot.draining):
            farewell.tell_all(context.connections)
        for replica in drained:
            context.events.drained(Drained(destination.name, replica))
        if destination.door is not None:
            destination.door.changed(destination, context.loop.time())
        if snapshot.ends_silent is not None:
            context.silence.end(destination, snapshot.ends_silent, context.loop.time())
        if snapshot.endpoints:
            destination.woken_at = float("-inf")
        self._refuse_waiting(destination)
        context.admit(destination)

    def _refuse_waiting(self, destination: Destination) -> None:
        """Those who have no hope, some in each turn of the loop: thousands would hold it up."""
        waiting, context = destination.dispatcher.waiting, self._context
        trouble = destination.trouble(context.loop.time())
        if trouble is None:
            return
        for exchange in list(itertools.islice(waiting, AT_ONCE)):
            exchange.reject(trouble, trouble.code)
        if waiting:
            context.turns.add(lambda: self._refuse_waiting(destination))

    def _end_tunnels(self, later: float) -> asyncio.TimerHandle:
        """Tell all of them to close, in so many seconds."""
        context, loop = self._context, asyncio.get_running_loop()

        def end() -> None:
            context.ending = True
            farewell.tell_all(context.connections)

        if later <= 0:
            end()
        return loop.call_later(later, end)

    async def _emptied(self) -> None:
        context = self._context
        while context.connections or context.tasks:
            if not context.connections:
                await asyncio.wait(context.tasks)
                continue
            context.emptied.clear()
            await context.emptied.wait()

    def _report_the_rest(self) -> None:
        """What is recorded is told to the last request."""
        for destination in list(self._context.sweep.destinations):
            if destination.account is not None:
                self._context.report(destination, self._context.loop.time())

    def _close_upstreams(self) -> None:
        for destination in list(self._context.sweep.destinations):
            for slot in destination.dispatcher.slots:
                for upstream in list(slot.idle):
                    upstream.drop()


def _entries(routes: Mapping[str, Route]) -> Iterator[tuple[str, str, Route]]:
    for route in routes.values():
        for host in route.service.hosts:
            for path in route.service.paths:
                yield host, path, route
