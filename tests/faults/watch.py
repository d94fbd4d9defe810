"""Follows the events of a Tidegate as an operator does, and notes when each was heard of."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import orjson

from tests.support.running import Running

DEADLINE = 40.0


@dataclass(frozen=True, slots=True)
class Heard:
    """`at` is the event loop's time of when it arrived."""

    at: float
    kind: str
    replica: str
    message: str


class Watch:
    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._news = asyncio.Event()

    def note(self, heard: Heard) -> None:
        self.heard.append(heard)
        news, self._news = self._news, asyncio.Event()
        news.set()

    def of(self, *kinds: str, since: float = 0.0, replica: str = "") -> list[Heard]:
        return [
            one
            for one in self.heard
            if one.kind in kinds and one.at >= since and replica in ("", one.replica)
        ]

    async def first(
        self, *kinds: str, since: float = 0.0, replica: str = "", within: float = DEADLINE
    ) -> Heard:
        try:
            async with asyncio.timeout(within):
                while not (found := self.of(*kinds, since=since, replica=replica)):
                    await self._news.wait()
        except TimeoutError:
            told = "\n".join(f"{one.kind}: {one.message}" for one in self.heard[-20:])
            raise AssertionError(
                f"no {kinds} {replica} within {within} s; heard:\n{told}"
            ) from None
        return found[0]


@contextlib.asynccontextmanager
async def watching(running: Running) -> AsyncIterator[Watch]:
    watch = Watch()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_follow(running, watch), name="follow the events")
        try:
            yield watch
        finally:
            task.cancel()


async def _follow(running: Running, watch: Watch) -> None:
    """Until it is cancelled, or Tidegate is gone."""
    loop, data = asyncio.get_running_loop(), b""
    url = f"http://{running.admin}/v1/events"
    patience = aiohttp.ClientTimeout(total=None)
    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
        async with running.client.get(url, timeout=patience) as answer:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    data = line.removeprefix(b"data: ")
                elif line == b"\n" and data:
                    facts, data = orjson.loads(data), b""
                    heard = Heard(
                        loop.time(), facts["kind"], facts["replica"] or "", facts["message"]
                    )
                    watch.note(heard)
