"""Many requests at once, from a process of its own: `python -m tests.support.herd`.

Arguments: host, port, a name for the Host field, how many, the path. All connect and ask as fast as
they can. Says `asked` once every request was written, and at the end one line of JSON: how many
answers there were of each status (0: none), the slowest, and `waking` answers that told how long
the wake took.
"""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import uvloop

from cluster import descriptors

PATIENCE = 150.0
_CONNECTING = 500  # at the same time: the kernel's queue of a listener is finite


@dataclass
class Herd:
    count: int
    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    waking: int = 0
    retry_after: int = 0
    slowest: float = 0.0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    all_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def note_asked(self) -> None:
        self.asked += 1
        if self.asked == self.count:
            self.all_asked.set()

    def note(self, answer: bytes, seconds: float) -> None:
        status = int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
        self.statuses[status] += 1
        self.waking += b"Server-Timing: wake" in answer
        self.retry_after += b"Retry-After: " in answer
        self.slowest = max(self.slowest, seconds)
        if self.statuses.total() == self.count:
            self.ended.set()


class Member(asyncio.Protocol):
    """One request on one connection."""

    def __init__(self, herd: Herd, request: bytes) -> None:
        self._herd = herd
        self._request = request
        self._answer = b""
        self._began = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._began = asyncio.get_running_loop().time()
        cast(asyncio.Transport, transport).write(self._request)
        self._herd.note_asked()

    def data_received(self, data: bytes) -> None:
        self._answer += data

    def connection_lost(self, error: Exception | None) -> None:
        self._herd.note(self._answer, asyncio.get_running_loop().time() - self._began)


async def run(host: str, port: int, name: str, count: int, path: str) -> None:
    loop = asyncio.get_running_loop()
    herd, gate = Herd(count), asyncio.Semaphore(_CONNECTING)
    request = f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()

    async def one() -> None:
        async with gate:
            try:
                await loop.create_connection(lambda: Member(herd, request), host, port)
            except OSError:
                herd.note_asked()
                herd.note(b"", 0.0)

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())
        await herd.all_asked.wait()
        print("asked", flush=True)
        await herd.ended.wait()
    told = {
        "statuses": dict(herd.statuses),
        "waking": herd.waking,
        "retry_after": herd.retry_after,
        "slowest": herd.slowest,
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    descriptors.raise_limit()
    uvloop.run(run(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]))
