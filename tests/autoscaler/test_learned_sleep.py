"""Learned sleep as the scaler acts on it: put to sleep, woken before a call, remembered."""

import asyncio
import math
from itertools import pairwise

import pytest

from tests.support.learned_services import LEARNED, PERIOD, Shelf, call, remembering, timer
from tests.support.scaling_facts import report, service
from tests.support.scaling_plane import Plane, in_time, with_loop

TEN_HOURS = 36000.0


def test_a_service_called_by_a_timer_sleeps_between_and_is_awake_when_called() -> None:
    async def steps() -> tuple[list[bool], Plane]:
        plane = Plane(service("web", **LEARNED))
        return await with_loop(plane, timer(plane, 24)), plane

    found, plane = in_time(steps)
    assert found[-6:] == [True] * 6
    late = [(at, number) for at, number in plane.wanted if at > 18 * PERIOD]
    asleep = sum(after - at for (at, number), (after, _) in pairwise(late) if not number)
    assert asleep > 0.5 * (late[-1][0] - late[0][0])


def test_the_reason_tells_the_habit_and_when_the_next_call_is_expected() -> None:
    async def steps() -> list[str]:
        plane = Plane(service("web", **LEARNED))
        await with_loop(plane, timer(plane, 20))
        return [record.reason for record in plane.scaler.decisions("web")]

    reasons = "\n".join(in_time(steps))
    assert "woken by learned sleep 70s before a call" in reasons
    assert "learned: called every" in reasons
    assert "next expected" in reasons


def test_nobody_calls_after_a_wake_and_it_sleeps_again() -> None:
    async def steps() -> int:
        plane = Plane(service("web", **LEARNED))

        async def whole() -> None:
            await timer(plane, 20)
            await asyncio.sleep(20 * TEN_HOURS)

        await with_loop(plane, whole())
        return plane.desired().replicas

    assert in_time(steps) == 0


def test_a_restart_forgets_nothing() -> None:
    shelf = Shelf()

    async def first() -> None:
        plane = Plane()
        habits = remembering(plane, shelf)
        plane.configure({"web": service("web", **LEARNED)})
        await with_loop(plane, timer(plane, 20))
        await habits.halt()

    async def second() -> list[tuple[float, int]]:
        # The process before ended when the timer was due for the 21st time, and was away until
        # ten minutes before the 22nd.
        plane = Plane()
        plane.wall += 20 * PERIOD + 300.0
        remembering(plane, shelf)
        plane.configure({"web": service("web", **LEARNED)})
        await with_loop(plane, asyncio.sleep(700))
        return plane.wanted

    in_time(first)
    assert shelf.kept["web"].habit.calls == 20
    assert any(number for _, number in in_time(second))


def test_a_start_with_many_that_sleep_holds_up_nobody_and_a_reload_looks_at_none_again() -> None:
    shelf = Shelf()
    many = {name: service(name, **LEARNED) for name in (f"s{number}" for number in range(50))}

    async def before() -> None:
        plane = Plane()
        habits = remembering(plane, shelf)
        plane.configure(many)

        async def all_called() -> None:
            for _ in range(8):
                for name in many:
                    plane.wake(name)
                    plane.scaler.report(
                        report(plane.loop.time(), 1, in_flight=0, requests=1, name=name)
                    )
                await asyncio.sleep(PERIOD)

        await with_loop(plane, all_called())
        await habits.halt()

    async def after() -> None:
        plane = Plane()
        plane.wall += 7 * PERIOD + 300.0
        remembering(plane, shelf)
        plane.configure(many)
        assert shelf.read_of == []

        async def story() -> None:
            for turn in range(1000):
                assert len(shelf.read_of) <= turn + 1, "one in a turn of the loop"
                if len(shelf.read_of) == len(many):
                    break
                await asyncio.sleep(0)
            assert sorted(shelf.read_of) == sorted(many)
            assert plane.loop.time() == 0
            await asyncio.sleep(1)
            planned = [plane.scaler._agenda.moment(name) for name in many]
            plane.configure(many)
            assert [plane.scaler._agenda.moment(name) for name in many] == planned
            await asyncio.sleep(PERIOD)
            for name in many:
                reasons = [one.reason for one in plane.scaler.decisions(name)]
                assert any("woken by learned sleep" in reason for reason in reasons)

        await with_loop(plane, story())

    in_time(before)
    in_time(after)


def test_one_that_sleeps_is_woken_before_a_call_as_soon_as_its_rules_say_so() -> None:
    async def steps() -> None:
        plane = Plane(service("web", **LEARNED))

        async def story() -> None:
            await timer(plane, 20)
            await call(plane)
            await plane.loop_until_asleep()
            plane.configure({"web": service("web", idle={"stop_after": 600.0})})
            await asyncio.sleep(2 * PERIOD)
            assert plane.desired().replicas == 0
            assert plane.scaler._agenda.moment("web") == math.inf
            plane.configure({"web": service("web", **LEARNED)})
            await asyncio.sleep(1)
            assert plane.scaler._agenda.moment("web") < math.inf

        await with_loop(plane, story())

    in_time(steps)


def test_what_is_explained_names_what_was_learned() -> None:
    async def steps() -> dict[str, object]:
        plane = Plane(service("web", **LEARNED))
        await with_loop(plane, timer(plane, 12))
        sleep = plane.scaler.explain("web", plane.loop.time())["sleep"]
        assert isinstance(sleep, dict)
        return sleep

    sleep = in_time(steps)
    assert sleep["calls"] == 12
    assert sleep["next_wake_in"] is not None
    assert "called every" in str(sleep["habit"])


def test_a_service_by_the_plain_timeout_is_not_watched() -> None:
    async def steps() -> Plane:
        plane = Plane(service("web", idle={"stop_after": 600.0}))
        await with_loop(plane, timer(plane, 12))
        return plane

    plane = in_time(steps)
    assert "sleep" not in plane.scaler.explain("web", 12 * PERIOD)
    # Woken by each call, and stopped ten minutes after it.
    assert [number for _, number in plane.wanted] == [0] + [1, 0] * 12 or [
        number for _, number in plane.wanted
    ] == [1, 0] * 12


@pytest.mark.parametrize(
    "changes",
    [
        {"idle": {**LEARNED["idle"], "freeze_after": 30.0}},
        {**LEARNED, "min": 1},
        {**LEARNED, "rules": [{"schedule": "0 0 1 1 *", "until": "0 1 1 1 *", "max": 0}]},
    ],
    ids=["frozen first", "at least one", "with a schedule"],
)
def test_it_works_beside(changes: dict[str, object]) -> None:
    async def steps() -> list[bool]:
        plane = Plane(service("web", **changes))
        return await with_loop(plane, timer(plane, 20))

    assert in_time(steps)[-5:] == [True] * 5


def test_what_is_held_asleep_by_hand_is_not_woken() -> None:
    async def steps() -> int:
        plane = Plane(service("web", **LEARNED))

        async def whole() -> None:
            await timer(plane, 20)
            plane.scale(0)
            plane.wanted.clear()
            await asyncio.sleep(4 * PERIOD)

        await with_loop(plane, whole())
        return max((number for _, number in plane.wanted), default=0)

    assert in_time(steps) == 0


def test_looks_do_not_follow_each_other_without_end() -> None:
    async def steps() -> int:
        plane = Plane(service("web", **LEARNED))
        looks = 0
        decide = plane.scaler._decide

        def counted(name: str, now: float) -> None:
            nonlocal looks
            looks += 1
            decide(name, now)

        plane.scaler._decide = counted  # type: ignore[method-assign, assignment]

        async def whole() -> None:
            await timer(plane, 20)
            await asyncio.sleep(TEN_HOURS)

        await with_loop(plane, whole())
        return looks

    assert in_time(steps) < 20 * 200


def test_a_timeout_shorter_than_the_least_time_awake_is_kept() -> None:
    async def steps() -> list[tuple[float, int]]:
        plane = Plane(service("web", idle={**LEARNED["idle"], "stop_after": 3.0, "wake_cost": 0.1}))
        await with_loop(plane, timer(plane, 3))
        return plane.wanted

    stops = [at % PERIOD for at, number in in_time(steps) if number == 0 and at]
    assert stops
    assert min(stops) < 7
