"""Gateways of a former control process, also of one that speaks otherwise.

The former gateway is the test: the other end of a real socket.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from typing import cast

import pytest

from cluster import wire
from cluster.events import Events
from cluster.messages import Drained, Endpoint, EndpointSnapshot, LoadReport, Outcome, Wake
from cluster.model import Address
from cluster.tasks import Tasks
from tidegate.front import Front
from tidegate.link import Link
from tidegate.offer import Found
from tidegate.succession import Succession

DEADLINE = 30.0  # less than what anybody waits for in vain
WEB = EndpointSnapshot("web", 7, (Endpoint("web-1", Address("127.0.0.1", 80)),))
UNKNOWN = b'{"kind": "Novelty", "body": {"of": "another version"}}\n'


@pytest.fixture(autouse=True)
def waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a wait in vain is told from a pause of a busy machine."""
    monkeypatch.setattr("tidegate.succession.TAKE_DEADLINE", 2 * DEADLINE)


class Told:
    def __init__(self) -> None:
        self.left: list[Drained] = []

    def wake(self, message: Wake) -> None: ...
    def outcome(self, message: Outcome) -> None: ...
    def report(self, message: LoadReport) -> None: ...

    def drained(self, message: Drained) -> None:
        self.left.append(message)


class Present:
    """Ours, which has nothing to do."""

    def pids(self) -> tuple[int, ...]:
        return ()

    async def drain(self, timeout: float, patience: float = 0.0) -> None: ...


class World:
    def __init__(self, succession: Succession, told: Told, end: socket.socket) -> None:
        self.succession = succession
        self.told = told
        self.end = end
        self.heard: asyncio.Queue[wire.Message] = asyncio.Queue()

    async def listen(self, link: Link) -> None:
        async for message in link.messages():
            if not isinstance(message, wire.Ping):
                self.heard.put_nowait(message)

    async def hears(self, kind: type[wire.Message]) -> None:
        while not isinstance(await self.heard.get(), kind):
            pass

    async def says(self, *lines: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.end, b"".join(lines))

    async def until_left(self) -> None:
        while self.succession.pids():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def world(*, understood: bool) -> AsyncIterator[World]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    told = Told()
    async with Tasks() as tasks, asyncio.timeout(DEADLINE):
        succession = Succession(told, Events(time.time), tasks)
        succession.lead(cast(Front, Present()))
        succession._found.append(Found(1, ours, understood))
        made = World(succession, told, theirs)
        link = await Link.over(theirs.dup())
        listening = tasks.start(made.listen(link), "the former one listens")
        try:
            yield made
        finally:
            listening.cancel()
            link.close()
            theirs.close()
        await made.until_left()


async def test_one_that_says_something_unknown_is_heard_to_the_end() -> None:
    """Another version understands TakeOver, Drain and DrainedAll, and may say what it likes."""
    async with world(understood=False) as w, asyncio.TaskGroup() as group:
        group.create_task(w.succession.take_over([WEB], 2 * DEADLINE), name="take over")
        await w.hears(wire.TakeOver)
        await w.says(UNKNOWN, b"no JSON at all\n")
        await w.hears(wire.Drain)
        await w.says(UNKNOWN, wire.encode(wire.DrainedAll()))
        await w.until_left()


async def test_one_that_says_something_unknown_holds_up_no_end() -> None:
    """It ends without a word, as when it is killed."""
    async with world(understood=False) as w, asyncio.TaskGroup() as group:
        group.create_task(w.succession.take_over([WEB], 2 * DEADLINE), name="take over")
        await w.hears(wire.Drain)
        await w.says(UNKNOWN, wire.encode(wire.Taken()))
        group.create_task(w.succession.drain(2 * DEADLINE), name="SIGTERM")
        await w.hears(wire.Drain)
        w.end.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("is_ours", [True, False])
async def test_a_replica_that_ours_may_use_is_not_drained_when_the_former_one_has_left_it(
    is_ours: bool,
) -> None:
    """Also when all that ours was told had been before there was anybody to take over."""
    async with world(understood=True) as w, asyncio.TaskGroup() as group:
        known = [WEB] if is_ours else []
        group.create_task(w.succession.take_over(known, 2 * DEADLINE), name="take over")
        await w.hears(wire.TakeOver)
        await w.says(wire.encode(wire.Taken((("web", "web-1"),))))
        await w.says(wire.encode(wire.Left(Drained("web", "web-1"), 7)))
        await w.hears(wire.Drain)
        await w.says(wire.encode(wire.DrainedAll()))
        await w.until_left()
        assert w.told.left == ([] if is_ours else [Drained("web", "web-1")])
