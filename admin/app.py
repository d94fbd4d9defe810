"""The server of the API: listens, checks who asks, routes by the table, ends in time.

The order of the checks: Host, origin, token, path, query. So somebody without the token learns
nothing, not even which paths exist.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry

from admin.access import (
    OPEN_PATHS,
    bears_token,
    host_of,
    is_cross_site,
    is_form,
    is_own_host,
    leased_service,
)
from admin.answers import Answers
from admin.connections import Connections
from admin.openapi import document
from admin.operation import Call, Operation
from admin.parameters import read_query
from admin.ports import ControlPlane
from admin.problems import Problem
from admin.refusals import answer_problems
from admin.routes import operations
from admin.streams import Followers
from admin.views import as_json
from cluster.model import Address
from config.addresses import is_loopback, split

BODY_LIMIT = 64 * 1024
_API_VERSION = "1"
_READING = ("GET", "HEAD")
_Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminListenError(Exception):
    """The API cannot listen there; the text says why and what to do."""


class AdminServer:
    """`heartbeat` is the silence, in seconds, after which a follower is sent a sign of life;
    `lease_token` tells the token that replicas of a service have, good for its leases alone."""

    def __init__(
        self,
        listen: str,
        token: str | None,
        plane: ControlPlane,
        metrics: CollectorRegistry,
        *,
        heartbeat: float = 15.0,
        lease_token: Callable[[str], str] | None = None,
        connections: Connections | None = None,
    ) -> None:
        self._listen = listen
        self._token = token
        self._lease_token = lease_token
        self._plane = plane
        self._followers = Followers(heartbeat)
        self._answers = Answers(plane, metrics, self._followers)
        self._connections = connections or Connections()
        self._runner: web.AppRunner | None = None
        self._listening: list[asyncio.Server] = []
        self._is_loopback = False
        self._paused: list[socket.socket] = []  # copies of what it will accept on again

    def use_token(self, token: str) -> bool:
        """From now on this one alone. Whether it is another than before."""
        changed, self._token = token != self._token, token
        self._describe()
        return changed

    @property
    def has_token(self) -> bool:
        return self._token is not None

    async def start(
        self, given: Sequence[socket.socket] = (), *, accepting: bool = True
    ) -> Address:
        """Where it listens; port 0 takes a free one. `given` are sockets for that address that
        listen already. Not `accepting`: clients wait until it proceeds. Raises AdminListenError."""
        host, port = self._checked_address()
        self._is_loopback = is_loopback(host)
        runner = web.AppRunner(self._application(), handler_cancellation=True, shutdown_timeout=5.0)
        await runner.setup()
        assert runner.server is not None
        try:
            self._listening = await self._accept_on(runner.server, host, port, given, accepting)
        except OSError as error:
            await runner.cleanup()
            raise AdminListenError(self._why_not(error)) from error
        self._runner = runner
        return Address(*self._listening[0].sockets[0].getsockname()[:2])

    async def _accept_on(
        self,
        server: web.Server,
        host: str,
        port: int,
        given: Sequence[socket.socket],
        accepting: bool = True,
    ) -> list[asyncio.Server]:
        loop, factory = asyncio.get_running_loop(), self._connections.factory(server)
        if given:
            return [
                await loop.create_server(factory, sock=listening, start_serving=accepting)
                for listening in given
            ]
        return [await loop.create_server(factory, host or None, port, start_serving=accepting)]

    def pause(self) -> list[socket.socket]:
        """Somebody else may take our place: whoever comes waits in the backlog, whoever is there
        may only look. The sockets are lent; they are ours. Raises OSError, and nothing changes."""
        ends = [end for server in self._listening for end in server.sockets]
        with contextlib.ExitStack() as undo:
            copies = [
                undo.enter_context(socket.socket(fileno=os.dup(end.fileno()))) for end in ends
            ]
            undo.pop_all()
        self._paused = copies
        for server in self._listening:
            server.close()
        self._listening = []
        return copies

    async def proceed(self) -> None:
        """Accept, if that has been put off."""
        paused, self._paused = self._paused, []
        if paused and self._runner is not None and self._runner.server is not None:
            self._listening = await self._accept_on(self._runner.server, "", 0, paused)
        for server in self._listening:
            await server.start_serving()

    async def stop(self) -> None:
        """Followers end at once, other answers have five seconds, reloads are waited for."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        for paused in self._paused:
            paused.close()
        for server in self._listening:
            server.close()
        self._followers.close()
        await runner.cleanup()
        await self._answers.finish()

    def _checked_address(self) -> tuple[str, int]:
        try:
            host, port = split(self._listen)
        except ValueError as error:
            raise AdminListenError(f"admin.listen: {error}") from error
        if self._token is None and not is_loopback(host):
            raise AdminListenError(
                f"admin.listen: {self._listen} can be reached by others: "
                "set admin.token_file, or listen on 127.0.0.1"
            )
        return host, port

    def _why_not(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            return (
                f"admin.listen: {self._listen} is in use: "
                "is another Tidegate running? Stop it, or choose another port"
            )
        # asyncio repeats the address in its text; the errno of a gaierror is none of the system's.
        is_of_system = error.errno is not None and not isinstance(error, socket.gaierror)
        why = os.strerror(error.errno or 0) if is_of_system else str(error)
        return f"admin.listen: cannot listen on {self._listen}: {why}"

    def _application(self) -> web.Application:
        application = web.Application(
            middlewares=[self._hold, answer_problems, self._admit], client_max_size=BODY_LIMIT
        )
        application.on_response_prepare.append(_guard)
        self._describe()
        for operation in operations(self._answers):
            _add(application.router, operation)
        return application

    def _describe(self) -> None:
        table = operations(self._answers)
        described = document(table, _API_VERSION, needs_token=self._token is not None)
        self._answers.description = as_json(described)

    @web.middleware
    async def _hold(self, request: web.Request, handler: _Next) -> web.StreamResponse:
        with self._connections.busy(request):
            return await handler(request)

    @web.middleware
    async def _admit(self, request: web.Request, handler: _Next) -> web.StreamResponse:
        if self._is_loopback and not is_own_host(host_of(request.host)):
            raise Problem(
                "misdirected-host", f'"{request.host}" is not this machine; use 127.0.0.1'
            )
        if is_cross_site(request.method, request.headers):
            raise Problem("cross-site", "a page of another web site may not change anything here")
        if is_form(request.method, request.headers):
            raise Problem("form-data", "send the body with Content-Type: application/json")
        if self._token is not None and request.path not in OPEN_PATHS:
            self._demand_token(request, self._token)
        if request.path not in OPEN_PATHS:
            await self._plane.refresh()
        if self._paused and request.method not in _READING:
            why = "another process takes the place of this one: send it again in a moment"
            raise Problem("not-ready", why, headers={"Retry-After": "1"})
        return await handler(request)

    def _demand_token(self, request: web.Request, token: str) -> None:
        if self._bears(request, token) or self._bears_lease_token(request):
            return
        raise Problem(
            "unauthorized",
            'send "Authorization: Bearer TOKEN" with the token of admin.token_file',
            headers={"WWW-Authenticate": 'Bearer realm="tidegate"'},
        )

    def _bears_lease_token(self, request: web.Request) -> bool:
        service = leased_service(request.method, request.path)
        if service is None or self._lease_token is None:
            return False
        return self._bears(request, self._lease_token(service))

    def _bears(self, request: web.Request, token: str) -> bool:
        return bears_token(request.headers.get("Authorization"), token)


async def _guard(request: web.Request, response: web.StreamResponse) -> None:
    """What replicas and clients said is in answers: no browser shall take them for a page."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "tidegate"


def _add(router: web.UrlDispatcher, operation: Operation) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        query = read_query(request.query, operation.query)
        return await operation.answer(Call(request, query))

    router.add_route(operation.method, operation.path, answer)
    if operation.method == "GET" and not operation.is_endless:
        router.add_route("HEAD", operation.path, answer)
