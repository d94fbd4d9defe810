"""What each operation of the API does: ask the control plane, show the answer. Nothing is kept."""

import asyncio
import difflib
from collections.abc import Coroutine, Sequence
from itertools import dropwhile, islice
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry

from admin.connections import read_in_time
from admin.exposition import expose
from admin.operation import JSON, Call
from admin.parameters import LeaseRequest, ScaleRequest, read_body
from admin.ports import ControlPlane, ReloadResult, UpgradeResult
from admin.problems import Problem, unknown_service
from admin.streams import Followers, resume_point, send_events, send_logs
from admin.views import ServiceView, as_json, dated, service_view


class Answers:
    """`description` is the OpenAPI document, set once the table is known."""

    description: bytes = b""

    def __init__(
        self, plane: ControlPlane, metrics: CollectorRegistry, followers: Followers
    ) -> None:
        self._plane = plane
        self._metrics = metrics
        self._followers = followers
        self._reloads: set[asyncio.Task[Any]] = set()

    async def alive(self, call: Call) -> web.StreamResponse:
        return _json({"status": "alive"})

    async def ready(self, call: Call) -> web.StreamResponse:
        if reason := self._plane.readiness():
            raise Problem("not-ready", reason)
        return _json({"status": "ready"})

    async def metrics(self, call: Call) -> web.StreamResponse:
        text, content_type = await expose(self._metrics, call.request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})

    async def services(self, call: Call) -> web.StreamResponse:
        everything = self._plane.services()
        page, more = _page(everything, **call.query)
        following = page[-1].name if page and more else None
        shown = [service_view(service) for service in page]
        return _json(
            {
                "services": shown,
                "total": len(everything),
                "next": following,
                "problems": self._plane.problems(),
            }
        )

    async def service(self, call: Call) -> web.StreamResponse:
        return _json(service_view(self._known(call.name)))

    async def scale(self, call: Call) -> web.StreamResponse:
        self._known(call.name)
        wish = read_body(ScaleRequest, await read_in_time(call.request))
        try:
            self._plane.scale(call.name, wish.replicas, wish.duration)
        except ValueError as error:
            raise Problem("invalid-request", str(error)) from error
        return await self.service(call)

    async def automatic(self, call: Call) -> web.StreamResponse:
        self._known(call.name)
        self._plane.automatic(call.name)
        return await self.service(call)

    async def lease(self, call: Call) -> web.StreamResponse:
        self._known(call.name)
        wish = read_body(LeaseRequest, await read_in_time(call.request))
        try:
            lease = self._plane.lease(call.name, wish.duration, wish.wake, wish.replica)
        except ValueError as error:
            raise Problem("invalid-request", str(error)) from error
        return _json(lease)

    async def release(self, call: Call) -> web.StreamResponse:
        self._known(call.name)
        lease = self._plane.release(call.name, call.id)
        if lease is None:
            raise Problem("unknown-lease", f"{call.name} has no such lease, or it has ended")
        return _json(lease)

    async def restart(self, call: Call) -> web.StreamResponse:
        self._ours(call.name)
        self._plane.restart(call.name)
        return self._accepted(call.name)

    async def rollback(self, call: Call) -> web.StreamResponse:
        self._ours(call.name)
        try:
            self._plane.rollback(call.name)
        except ValueError as error:
            raise Problem("no-former-revision", str(error)) from error
        return self._accepted(call.name)

    async def release_rollback(self, call: Call) -> web.StreamResponse:
        self._ours(call.name)
        self._plane.release_rollback(call.name)
        return self._accepted(call.name)

    async def decisions(self, call: Call) -> web.StreamResponse:
        self._known(call.name)
        newest = self._plane.decisions(call.name, call.query["limit"], call.query["at"])
        return _json({"decisions": [dated(decision) for decision in newest]})

    async def explain(self, call: Call) -> web.StreamResponse:
        self._known(call.name)
        return _json({"service": call.name, **dated(self._plane.explain(call.name))})

    async def logs(self, call: Call) -> web.StreamResponse:
        self._known(call.name)
        lines = self._plane.logs(call.name, call.query["tail"], call.query["follow"])
        return await send_logs(call.request, lines, self._followers)

    async def events(self, call: Call) -> web.StreamResponse:
        since = resume_point(self._plane.events, _last_event_id(call) or call.query["since"])
        return await send_events(
            call.request,
            self._plane.events,
            self._followers,
            since=since,
            service=call.query["service"],
            follow=call.query["follow"],
        )

    async def reload(self, call: Call) -> web.StreamResponse:
        """A client that leaves must not stop a reload half way: it runs in a task of its own."""
        result: ReloadResult = await self._to_the_end(self._plane.reload(), "reload")
        if not result.ok:
            raise Problem("invalid-config", "\n".join(result.problems), problems=result.problems)
        return _json(result)

    async def upgrade(self, call: Call) -> web.StreamResponse:
        """The same holds for it."""
        result: UpgradeResult = await self._to_the_end(self._plane.upgrade(), "upgrade")
        if not result.ok:
            raise Problem("upgrade-failed", result.why)
        return _json({"pid": result.pid})

    async def _to_the_end(self, work: Coroutine[Any, Any, Any], name: str) -> Any:
        task = asyncio.get_running_loop().create_task(work, name=f"admin: {name}")
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)
        return await asyncio.shield(task)

    async def document(self, call: Call) -> web.StreamResponse:
        return web.Response(body=self.description, content_type=JSON)

    async def finish(self) -> None:
        """Wait for the reloads whose clients have left."""
        if self._reloads:
            await asyncio.wait(self._reloads)

    def _accepted(self, name: str) -> web.StreamResponse:
        return _json(service_view(self._known(name)), web.HTTPAccepted.status_code)

    def _ours(self, name: str) -> None:
        if not self._known(name).revision:
            raise Problem(
                "not-ours", f"{name} has `endpoints`: what runs there is not ours to replace"
            )

    def _known(self, name: str) -> ServiceView:
        if service := self._plane.service(name):
            return service
        raise unknown_service(name, _close_matches(name, self._plane.services()))


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=as_json(value), status=status, content_type=JSON)


def _page(
    services: Sequence[ServiceView], limit: int | None, after: str | None, used: bool
) -> tuple[list[ServiceView], bool]:
    """The services that were asked for, and whether there are more. An `after` that is gone
    since the last page shows as an empty page, never as the first one again."""
    rest = iter(services)
    if after is not None:
        rest = dropwhile(lambda service: service.name != after, rest)
        next(rest, None)
    wanted = (service for service in rest if service.is_used or not used)
    page = list(islice(wanted, limit))
    return page, next(wanted, None) is not None


def _close_matches(name: str, services: Sequence[ServiceView]) -> list[str]:
    """Only names of a similar length are compared: with thousands, difflib is slow."""
    candidates = (service.name for service in services if abs(len(service.name) - len(name)) <= 2)
    return difflib.get_close_matches(name[:64], islice(candidates, 2000), n=3)


def _last_event_id(call: Call) -> int | None:
    """What a browser's EventSource sends when it connects again. Anything odd is ignored."""
    text = call.request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
