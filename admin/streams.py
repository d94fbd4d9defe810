"""Answers without an end: events as Server-Sent Events, logs as lines of JSON.

A follower costs one bounded queue. It ends when its client leaves (aiohttp then cancels the
handler), or at once when the server stops. While nothing happens a heartbeat is sent, so that both
sides notice a connection that died in silence.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from enum import Enum
from typing import TypeVar

from aiohttp import web

from admin.views import as_json, happening_view, log_line_view
from cluster.events import Events, Happening
from cluster.runtime import LogLine, RuntimeFailure

log = logging.getLogger("tidegate.admin")

# A stream of logs that fails does so at once or much later; for so long (seconds) the head of the
# answer is held back, so that the failure can still be told as a status code.
_HOLD_HEAD = 0.25


class _Mark(Enum):
    END = 0


_Item = TypeVar("_Item")
_LogItem = LogLine | RuntimeFailure | _Mark


class Followers:
    """The endless answers under way, and the way to end them all. `heartbeat` is in seconds."""

    def __init__(self, heartbeat: float) -> None:
        self.heartbeat = heartbeat
        self._scopes: set[asyncio.Timeout] = set()
        self._closed = False

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """The block ends early, without an error, on `close` or when the client has left."""
        try:
            async with asyncio.timeout(0 if self._closed else None) as scope:
                self._scopes.add(scope)
                try:
                    yield
                finally:
                    self._scopes.discard(scope)
        except ConnectionResetError:
            log.debug("a follower left")
        except TimeoutError:
            if not scope.expired():
                raise

    def close(self) -> None:
        self._closed = True
        now = asyncio.get_running_loop().time()
        for scope in tuple(self._scopes):
            scope.reschedule(now)

    def __len__(self) -> int:
        return len(self._scopes)


async def send_events(
    request: web.Request,
    events: Events,
    followers: Followers,
    *,
    since: int,
    service: str | None,
    follow: bool,
) -> web.StreamResponse:
    """The kept ones after `since`; when following also new ones, until one side ends it."""
    response = _answer("text/event-stream")
    async with followers.following():
        await response.prepare(request)
        with events.follow() as news:
            kept = events.since(since)
            await _send_kept(response, kept, service)
            if follow:
                last_id = _last_id(kept, since)
                await _send_news(response, news, followers.heartbeat, service, last_id)
    return response


async def send_logs(
    request: web.Request, lines: AsyncIterator[LogLine], followers: Followers
) -> web.StreamResponse:
    """Raises RuntimeFailure while it can still become a status code; after that it is the last
    line: `{"error": {"code": …, "message": …}}`."""
    response = _answer("application/x-ndjson")
    async with followers.following(), _pumped(lines) as queue:
        item = await _next(queue, _HOLD_HEAD)
        if isinstance(item, RuntimeFailure):
            raise item
        await response.prepare(request)
        if item is not None:
            await response.write(_line(item))
        while item is not _Mark.END and not isinstance(item, RuntimeFailure):
            item = await _next(queue, followers.heartbeat)
            await response.write(_line(item))
    return response


def resume_point(events: Events, since: int) -> int:
    """Where to go on. An id that was never given belongs to a former run: start from the oldest."""
    return since if since <= _last_id(events.since(), 0) else 0


def _answer(content_type: str) -> web.StreamResponse:
    # X-Accel-Buffering: an nginx in front would otherwise hold the lines back.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    response.content_type = content_type
    response.charset = "utf-8"
    return response


async def _send_kept(
    response: web.StreamResponse, kept: list[Happening], service: str | None
) -> None:
    if text := b"".join(_event(one) for one in kept if service in (None, one.service)):
        await response.write(text)


async def _send_news(
    response: web.StreamResponse,
    news: asyncio.Queue[Happening],
    heartbeat: float,
    service: str | None,
    last_id: int,
) -> None:
    while True:
        happening = await _next(news, heartbeat)
        if happening is None:
            await response.write(b": still here\n\n")
            continue
        if lost := happening.id - last_id - 1:
            await response.write(b": too slow, %d events were lost\n\n" % lost)
        last_id = happening.id
        if service in (None, happening.service):
            await response.write(_event(happening))


def _event(happening: Happening) -> bytes:
    data = as_json(happening_view(happening))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (happening.id, happening.kind.encode(), data)


def _line(item: _LogItem | None) -> bytes:
    match item:
        case LogLine():
            return as_json(log_line_view(item)) + b"\n"
        case RuntimeFailure():
            return as_json({"error": {"code": item.code, "message": item.message}}) + b"\n"
        case None:
            return b"\n"  # the heartbeat
        case _Mark.END:
            return b""


@contextlib.asynccontextmanager
async def _pumped(lines: AsyncIterator[LogLine]) -> AsyncIterator[asyncio.Queue[_LogItem]]:
    """The lines as a queue, which unlike an iterator can be waited for with a time limit."""
    queue: asyncio.Queue[_LogItem] = asyncio.Queue(maxsize=1000)
    pump = asyncio.get_running_loop().create_task(_pump(lines, queue), name="admin: pump logs")
    try:
        yield queue
    finally:
        pump.cancel()
        await asyncio.wait([pump])


async def _pump(lines: AsyncIterator[LogLine], queue: asyncio.Queue[_LogItem]) -> None:
    try:
        async for line in lines:
            await queue.put(line)
        await queue.put(_Mark.END)
    except RuntimeFailure as failure:
        await queue.put(failure)
    except Exception:
        log.exception("reading logs failed; this is a bug, please report it")
        await queue.put(RuntimeFailure("internal-error", "see the log of Tidegate for the cause"))
    finally:
        if isinstance(lines, AsyncGenerator):
            await lines.aclose()


async def _next(queue: "asyncio.Queue[_Item]", patience: float) -> _Item | None:
    try:
        async with asyncio.timeout(patience):
            return await queue.get()
    except TimeoutError:
        # On a machine that stood still it may have come in the same turn of the loop.
        return None if queue.empty() else queue.get_nowait()


def _last_id(happenings: list[Happening], otherwise: int) -> int:
    return happenings[-1].id if happenings else otherwise
