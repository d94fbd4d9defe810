"""Connections to the API: a bounded number of them, and none that can hold the others up.

A client that sends its head or body too slowly is cut off. When all places are taken, the one that
has been idle longest makes room; when none is idle, the newcomer is told so. What cannot be read
as HTTP is answered with a problem as well, and its bytes, which may hold a token, are not logged.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from admin.problems import CONTENT_TYPE, Problem
from admin.views import as_json

log = logging.getLogger("tidegate.admin")

MOST = 256
IDLE = 30.0  # seconds for a head, the first one as well, and between two requests
BODY = 10.0  # seconds for a body; the largest is small
_LONGEST_LINE = 8190  # bytes; of the request line and of one field
_MOST_FIELDS = 64


class Connections:
    """Makes them for a listening socket. `most` at once, each idle for `idle` seconds at most."""

    def __init__(self, most: int = MOST, idle: float = IDLE) -> None:
        self._most = most
        self._idle = idle
        self._open: dict[_Connection, None] = {}  # the longest idle first
        self._busy: set[object] = set()

    def factory(self, server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
        """What `create_server` calls for each client."""
        loop = asyncio.get_running_loop()

        def make() -> asyncio.BaseProtocol:
            if len(self._open) >= self._most and not self._make_room():
                return _Refusal()
            return _Connection(
                server,
                loop=loop,
                opened=self._open,
                access_log=None,
                keepalive_timeout=self._idle,
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
                max_headers=_MOST_FIELDS,
            )

        return make

    @contextlib.contextmanager
    def busy(self, request: web.Request) -> Iterator[None]:
        """While its request is answered, a connection is not idle."""
        connection = request.protocol
        self._busy.add(connection)
        try:
            yield
        finally:
            self._busy.discard(connection)
            if isinstance(connection, _Connection) and connection in self._open:
                self._open[connection] = self._open.pop(connection)

    def _make_room(self) -> bool:
        for connection in self._open:
            if connection not in self._busy:
                del self._open[connection]
                connection.force_close()
                return True
        log.warning(
            "the admin API has %d connections, none of them idle; another one is refused: "
            "who follows events or logs, and has forgotten it?",
            self._most,
        )
        return False


class _Connection(RequestHandler):
    def __init__(self, *arguments: object, opened: dict["_Connection", None], **rest: object):
        super().__init__(*arguments, **rest)  # type: ignore[arg-type]
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._opened[self] = None
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._opened.pop(self, None)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        log.debug("a request that is no valid HTTP: %s", type(exc).__name__)
        response = _answer(Problem("malformed-request", "this is no valid HTTP/1.1 request"))
        response.force_close()
        return response


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        problem = Problem("too-many-connections", "close one, or try again later")
        body = as_json(problem.body())
        transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\n"
            b"Content-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
            % (CONTENT_TYPE.encode(), len(body), body)
        )
        transport.close()


async def read_in_time(request: web.Request, patience: float = BODY) -> bytes:
    """The whole body. Raises Problem."""
    try:
        async with asyncio.timeout(patience):
            return await request.read()
    except TimeoutError:
        raise Problem("body-timeout", f"the body did not come within {patience:g} s") from None


def _answer(problem: Problem) -> web.Response:
    return web.Response(
        status=problem.status, body=as_json(problem.body()), content_type=CONTENT_TYPE
    )
