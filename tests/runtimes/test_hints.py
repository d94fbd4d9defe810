"""Hints: one per service for a slow watcher, the first for everything, none after the end."""

import asyncio

from cluster.runtime import Hint
from runtimes.hints import Hints
from tests.support.virtual_time import run


def test_a_slow_watcher_gets_one_hint_per_service_in_the_order_of_the_first_news() -> None:
    async def watch() -> list[str | None]:
        hints = Hints()
        watcher = hints.watch()
        seen = [(await anext(watcher)).service]
        for service in ("b", "a", "b", "b", "a"):
            hints.tell(service)
        seen += [(await anext(watcher)).service, (await anext(watcher)).service]
        hints.tell("c")
        return [*seen, (await anext(watcher)).service]

    assert run(watch()) == [None, "b", "a", "c"]


def test_every_watcher_is_told_until_the_end() -> None:
    async def collect(hints: Hints) -> list[Hint]:
        return [hint async for hint in hints.watch()]

    async def watch() -> list[list[Hint]]:
        hints = Hints()
        async with asyncio.TaskGroup() as group:
            watchers = [group.create_task(collect(hints)) for _ in range(2)]
            await asyncio.sleep(1)
            hints.tell("web")
            await asyncio.sleep(1)
            hints.end()
        return [watcher.result() for watcher in watchers]

    assert run(watch()) == [[Hint(None), Hint("web")]] * 2


def test_a_watcher_that_leaves_is_forgotten() -> None:
    async def watch() -> int:
        hints = Hints()
        watcher = hints.watch()
        await anext(watcher)
        await watcher.aclose()  # type: ignore[attr-defined]
        return len(hints._watchers)

    assert run(watch()) == 0
