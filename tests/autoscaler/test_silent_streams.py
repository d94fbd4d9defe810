"""What is in flight and silent keeps nobody awake; a byte does (sablierapp/sablier#576)."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.load import Load
from cluster.messages import EndpointSnapshot, LoadReport
from config.scaling import Scaling
from tests.support.scaling_facts import service
from tests.support.scaling_plane import Plane, in_time, with_loop

STOP = 60.0


def streaming(at: float, *, silent: int, active_at: float, in_flight: int = 1) -> LoadReport:
    """One second of streams, `silent` of which have not moved since `active_at`."""
    return LoadReport(
        "web", at, 1.0, float(in_flight), 0, 0, in_flight, 0, silent=silent, active_at=active_at
    )


async def stream(plane: Plane, seconds: int, *, moves_until: float) -> None:
    """One stream, which is open all the time; its last byte comes at `moves_until`."""
    loop = asyncio.get_running_loop()
    for _ in range(seconds):
        await asyncio.sleep(1)
        now = loop.time()
        moved = min(now, moves_until)
        plane.scaler.report(streaming(now, silent=int(moved < now), active_at=moved))


def slept_at(moves_until: float, **idle: object) -> tuple[list[tuple[float, int]], bool]:
    async def steps() -> tuple[list[tuple[float, int]], bool]:
        plane = Plane(service(idle={"stop_after": STOP, **idle}))
        plane.wake()
        await with_loop(plane, stream(plane, 200, moves_until=moves_until))
        return plane.wanted, plane.desired().frozen

    return in_time(steps)


@pytest.mark.parametrize("moves_until", [1.0, 30.0, 100.5])
def test_a_silent_stream_falls_asleep_after_its_last_byte(moves_until: float) -> None:
    wanted, _ = slept_at(moves_until)
    (_, first), (at, last) = wanted
    assert (first, last) == (1, 0)
    # At the first report that shows the whole silence.
    assert moves_until + STOP <= at <= moves_until + STOP + 1


def test_a_stream_that_moves_stays_awake_for_ever() -> None:
    assert [number for _, number in slept_at(1e9)[0]] == [1]


def test_a_silent_stream_is_frozen_after_freeze_after() -> None:
    assert slept_at(1.0, freeze_after=5.0, stop_after=None) == ([(0.0, 1)], True)


def test_one_request_that_waits_for_its_first_byte_keeps_awake_beside_silent_streams() -> None:
    async def steps() -> list[tuple[float, int]]:
        plane = Plane(service(idle={"stop_after": STOP}))
        plane.wake()

        async def long_request() -> None:
            for _ in range(300):
                await asyncio.sleep(1)
                now = plane.loop.time()
                plane.scaler.report(streaming(now, silent=2, active_at=now, in_flight=3))

        await with_loop(plane, long_request())
        return plane.wanted

    assert [number for _, number in in_time(steps)] == [1]


def test_no_step_is_taken_on_news_that_are_too_old() -> None:
    """The timer comes at 60 s, the last report is of 59.5 s: bytes may have moved since."""

    async def steps() -> list[tuple[float, int]]:
        plane = Plane(service(idle={"stop_after": STOP}))
        plane.wake()

        async def two_reports() -> None:
            await asyncio.sleep(1.0)
            plane.scaler.report(streaming(1.0, silent=0, active_at=1.0))
            await asyncio.sleep(59.0)
            plane.scaler.report(streaming(60.0, silent=1, active_at=1.0))
            await asyncio.sleep(3.0)  # past the step at 61 s, and past a tick
            plane.scaler.report(streaming(63.0, silent=0, active_at=62.5))
            await asyncio.sleep(30.0)

        await with_loop(plane, two_reports())
        return plane.wanted

    assert [number for _, number in in_time(steps)] == [1]


def test_silent_streams_do_not_wake_what_sleeps() -> None:
    """They may still be on a replica that drains."""

    async def steps() -> int:
        plane = Plane(service(idle={"stop_after": STOP}))
        plane.scaler.report(streaming(1.0, silent=1, active_at=0.0))
        await with_loop(plane, asyncio.sleep(5))
        asleep = plane.desired().replicas
        plane.scaler.report(streaming(plane.loop.time(), silent=0, active_at=plane.loop.time()))
        assert plane.desired().replicas == 1
        return asleep

    assert in_time(steps) == 0


def test_silent_streams_are_load_all_the_same() -> None:
    load = Load(60.0)
    for second in range(1, 61):
        load.record(streaming(float(second), silent=7, active_at=0.5, in_flight=7))
    assert load.means(60.0, 60.0).concurrency == pytest.approx(7)
    assert (load.in_flight(60.0), load.is_busy(60.0), load.last_activity) == (7, False, 0.5)


@given(st.lists(st.floats(0.0, 1e6), min_size=1))
def test_activity_never_goes_back(moments: list[float]) -> None:
    load = Load(60.0)
    for number, moment in enumerate(moments):
        load.record(streaming(1e6 + number, silent=1, active_at=moment))
        assert load.last_activity == max(moments[: number + 1])


def test_only_sleep_tells_the_gateway_to_end_what_is_silent() -> None:
    """By hand, what is in flight has `drain`."""

    async def steps() -> list[float | None]:
        plane = Plane(service(idle={"freeze_after": 5.0, "stop_after": STOP}))
        told: list[EndpointSnapshot] = []
        plane.registry.on_snapshot(told.append)
        plane.wake()
        await with_loop(plane, stream(plane, 100, moves_until=1.0))
        plane.wake()
        plane.scale(0)
        await asyncio.sleep(1)
        return list(dict.fromkeys(one.ends_silent for one in told))

    assert in_time(steps) == [5.0, STOP, None]


def test_the_ladder_of_a_service_that_never_sleeps_ends_nothing() -> None:
    async def steps() -> float | None:
        plane = Plane(service(idle={"stop_after": None}))
        plane.wake()
        await with_loop(plane, stream(plane, 100, moves_until=1.0))
        return plane.registry.snapshot("web").ends_silent

    assert in_time(steps) is None
    assert Scaling().idle.stop_after == STOP
