"""One timer for all that is due, none for nothing."""

import asyncio
import math

from autoscaler.agenda import Agenda
from tests.support.virtual_time import run


def agenda() -> Agenda:
    return Agenda(asyncio.get_running_loop().time)


def test_what_is_due_comes_at_its_moment_and_once() -> None:
    async def steps() -> list[tuple[float, list[str]]]:
        planned, seen = agenda(), []
        for name, moment in {"a": 5.0, "b": 3.0, "c": 5.0, "d": math.inf}.items():
            planned.plan(name, moment)
        for _ in range(2):
            now = await planned.next_due()
            seen.append((now, planned.take(now)))
        assert planned.take(math.inf) == []
        return seen

    assert run(steps()) == [(3.0, ["b"]), (5.0, ["a", "c"])]


def test_an_earlier_moment_is_noticed_while_waiting() -> None:
    async def steps() -> float:
        planned = agenda()
        planned.plan("late", 100.0)
        asyncio.get_running_loop().call_later(1, planned.plan, "soon", 2.0)
        return await planned.next_due()

    assert run(steps()) == 2.0


def test_news_hasten_a_look_but_never_put_it_off() -> None:
    planned = Agenda(lambda: 0.0)
    planned.plan("web", 2.0)
    planned.hasten("web", 4.0)
    assert planned.take(2.0) == ["web"]
    planned.hasten("web", 6.0)
    planned.hasten("web", 5.0)
    assert planned.take(5.0) == ["web"]


def test_what_is_no_longer_planned_leaves_no_timer_behind() -> None:
    async def timers() -> list[int]:
        planned, loop = agenda(), asyncio.get_running_loop()
        counts = []
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(planned.next_due())
            for moment in (100.0, math.inf):
                planned.plan("web", moment)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                scheduled = loop._scheduled  # type: ignore[attr-defined]
                counts.append(sum(not handle.cancelled() for handle in scheduled))
            waiting.cancel()
        return counts

    assert run(timers()) == [1, 0]


def test_a_clock_that_fires_early_is_forgiven() -> None:
    async def steps() -> float:
        loop = asyncio.get_running_loop()
        planned = Agenda(lambda: min(loop.time(), 2.9995))
        planned.plan("web", 3.0)
        return await planned.next_due()

    assert run(steps()) == 3.0
