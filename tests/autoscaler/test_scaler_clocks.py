"""Schedules go by the wall clock, plans by the loop's: what holds when the two part, and what a
great many plans cost."""

import asyncio
from itertools import pairwise

import pytest

from config.service import Service
from tests.support.scaling_facts import service
from tests.support.scaling_plane import Plane, in_time, settled, with_loop
from tests.support.scheduled_services import ELEVEN, HOUR, SEVEN, scheduled


@pytest.mark.parametrize("jump", [2 * HOUR, -2 * HOUR])
def test_a_wall_clock_that_is_set_is_noticed_within_a_minute(jump: float) -> None:
    """As after a suspend, or by NTP: the loop's clock knows nothing of it."""

    async def steps() -> None:
        plane = Plane(scheduled({"max": 0}))

        async def look() -> None:
            await asyncio.sleep(ELEVEN - HOUR / 2 if jump > 0 else ELEVEN + HOUR)
            was_closed = plane.desired().refusal is not None
            plane.wall += jump
            await asyncio.sleep(61)
            refusal = plane.desired().refusal
            assert (refusal is not None) is (jump > 0) is not was_closed
            if refusal:
                assert refusal.until == SEVEN - jump
            assert "clock-jumped" in [happening.kind for happening in plane.events.since()]
            # What was planned follows: the next change comes by the new time.
            await asyncio.sleep(SEVEN - jump - plane.loop.time() + 1)
            assert plane.desired().refusal is None

        await with_loop(plane, look())

    in_time(steps)


@pytest.mark.parametrize("drift", [0.03, -0.03])
def test_a_clock_that_drifts_is_followed_to_two_seconds(drift: float) -> None:
    """Half a millisecond each second, the most that NTP slews (adjtimex(2)): 10 s in the time."""

    async def steps() -> None:
        plane = Plane(scheduled({"min": 1, "schedule": "0 4 * * *"}))

        async def drifting() -> None:
            for _ in range(400):
                await asyncio.sleep(60)
                plane.wall += drift

        await with_loop(plane, drifting())
        four_o_clock = ELEVEN + 5 * HOUR
        (begin, _), *_ = plane.wanted
        assert begin == pytest.approx(four_o_clock - drift / 60 * four_o_clock, abs=2.1)

    in_time(steps)


def test_a_sleeping_service_with_a_schedule_costs_one_timer_and_no_policy() -> None:
    async def steps() -> None:
        plane = Plane(*(scheduled({"max": 0}, f"s{n}") for n in range(50)), service("plain"))

        async def look() -> list[float]:
            await asyncio.sleep(100)
            return plane.timers()

        assert len(await with_loop(plane, look())) == 1
        assert not plane.scaler._active

    in_time(steps)


# Very many at once


def many(number: int) -> dict[str, Service]:
    one = scheduled({"min": 1})
    return {f"s{n}": one.model_copy(update={"name": f"s{n}"}) for n in range(number)}


def test_very_many_that_begin_at_once_leave_turns_to_others() -> None:
    async def steps() -> None:
        plane = Plane(*many(350).values())
        awake: list[int] = []

        def count() -> None:
            awake.append(sum(plane.desired(f"s{n}").replicas for n in range(350)))
            if awake[-1] < 350:
                plane.loop.call_soon(count)

        plane.loop.call_at(ELEVEN, count)
        await settled(plane, ELEVEN + 1)
        growth = [after - before for before, after in pairwise(awake)]
        assert awake[-1] == 350
        assert max(growth) <= 100

    in_time(steps)


def test_a_service_that_leaves_the_file_while_it_is_due_is_not_looked_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def steps() -> None:
        plane = Plane(*many(350).values())

        def remove() -> None:
            if sum(plane.desired(f"s{n}").replicas for n in range(350)):
                plane.configure({})
            else:
                plane.loop.call_soon(remove)

        plane.loop.call_at(ELEVEN, remove)
        await settled(plane, ELEVEN + 1)
        assert not any(plane.desired(f"s{n}").replicas for n in range(350))
        assert "this is a bug" not in caplog.text

    in_time(steps)
