"""A plane of plain data behind a real admin server that runs in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from admin.app import AdminServer
from tests.support.operated_plane import OperatedPlane

DEADLINE = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    plane: OperatedPlane
    loop: asyncio.AbstractEventLoop
    server: AdminServer

    def do(self, change: Callable[[], object]) -> None:
        """Run it on the server's loop and wait for it."""

        async def doing() -> None:
            change()

        asyncio.run_coroutine_threadsafe(doing(), self.loop).result(DEADLINE)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self.loop).result(DEADLINE)


@contextlib.contextmanager
def serving(token: str | None = None) -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="admin server")
    thread.start()
    try:
        yield (served := asyncio.run_coroutine_threadsafe(_start(token), loop).result(DEADLINE))
        served.stop()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _start(token: str | None) -> Served:
    plane = OperatedPlane()
    server = AdminServer("127.0.0.1:0", token, plane, CollectorRegistry(), heartbeat=0.05)
    address = await server.start()
    return Served(f"http://{address}", plane, asyncio.get_running_loop(), server)
