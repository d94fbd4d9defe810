"""An open loop at a constant rate, whatever the answers do; each on a kept connection of its own.

A request's time runs from the moment it was due, so that a stall is paid by all who come in it.
"""

import asyncio
import contextlib
from collections import deque
from typing import cast

from loadtests.client import Place

REQUEST = b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n"
TICK = 0.001
PATIENCE = 15.0


class Connection(asyncio.Protocol):
    """One request at a time; free again when its answer has come."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._due = 0.0
        self._had = b""
        self._waits = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, due: float) -> None:
        assert self.transport is not None
        self._due, self._had, self._waits = due, b"", True
        self.transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._had += data
        if self._had.endswith(b"\r\n\r\nok\n"):
            self._waits = False
            self._load.answered(self, self._due, self._had)
        elif b"\r\n\r\n" in self._had and not self._had.startswith(b"HTTP/1.1 200 "):
            self._waits = False
            self._load.fail(self._had[:100])

    def connection_lost(self, error: Exception | None) -> None:
        self._load.lost(self)
        if self._waits:
            self._load.fail(f"connection lost: {error}".encode())


class Load:
    """What is sent to one host, and what came of it: (due, seconds), and failures."""

    def __init__(self, place: Place, host: str) -> None:
        self._place = place
        self._loop = asyncio.get_running_loop()
        self.request = REQUEST % host.encode()
        self._free: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.waited: list[tuple[float, float]] = []
        self.failed: list[bytes] = []
        self.sent = 0
        self._all_answered = asyncio.Event()

    async def at(self, rate: float, seconds: float) -> None:
        """Send for so long; returns when the last one was due."""
        begin = self._loop.time()
        count = int(rate * seconds)
        done = 0
        while done < count:
            until = min(count, int((self._loop.time() - begin) * rate) + 1)
            for number in range(done, until):
                self._send(begin + number / rate)
            done = until
            await asyncio.sleep(TICK)

    async def finish(self) -> None:
        """Wait for the answers, then close. What has not come is a failure."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._all_answered.wait()
        self.failed += [b"no answer"] * (self.sent - len(self.waited) - len(self.failed))
        for connection in self._open:
            if connection.transport is not None:
                connection.transport.abort()
        for task in self._tasks:
            task.cancel()

    def answered(self, connection: Connection, due: float, answer: bytes) -> None:
        if answer.startswith(b"HTTP/1.1 200 "):
            self.waited.append((due, self._loop.time() - due))
            self._ended()
        else:
            self.fail(answer[:100])
        self._free.append(connection)

    def fail(self, why: bytes) -> None:
        self.failed.append(why)
        self._ended()

    def _ended(self) -> None:
        """`finish` waits for the last of those that were sent."""
        if len(self.waited) + len(self.failed) == self.sent:
            self._all_answered.set()
        else:
            self._all_answered.clear()

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._free:
            self._free.remove(connection)

    def _send(self, due: float) -> None:
        self.sent += 1
        if self._free:
            self._free.pop().ask(due)
            return
        task = self._loop.create_task(self._connect(due), name="connect")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, due: float) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self), self._place.host, self._place.port
            )
        except OSError as error:
            self.fail(str(error).encode())
            return
        self._open.add(connection)
        connection.ask(due)
