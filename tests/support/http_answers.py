"""A small HTTP server for tests that answers as told and remembers what it was asked."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Answering:
    """`answers` by path."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[web.Request] = field(default_factory=list)

    def says(
        self, path: str, body: str | bytes, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        async def answer(request: web.Request) -> web.Response:
            content = body.encode() if isinstance(body, str) else body
            return web.Response(body=content, status=status, headers=headers)

        self.answers[path] = answer

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.answers[request.path](request)


@contextlib.asynccontextmanager
async def answering(tls: ssl.SSLContext | None = None) -> AsyncIterator[Answering]:
    """On a free port of loopback."""
    told = Answering()
    server = web.Server(told._answer)  # type: ignore[arg-type]
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        told.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        yield told
    finally:
        await runner.cleanup()
