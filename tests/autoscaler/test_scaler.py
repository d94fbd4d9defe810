"""The shell under virtual time: wakes at once, decides by its ticks, climbs down exact ladders."""

import asyncio

import pytest

from autoscaler.decider import TICK
from autoscaler.scaler import RECORD_IS_OLD
from cluster.lifecycle import Event
from cluster.model import Desired, Mode
from config.service import Service
from tests.support.scaling_facts import replica, report, service
from tests.support.scaling_plane import WALL, Plane, in_time, settled, with_loop
from tests.support.virtual_time import VirtualTimeLoop

# Wakes


def test_a_wake_wants_replicas_before_it_returns() -> None:
    async def steps() -> None:
        plane = Plane(service(initial=2))
        plane.wake()
        assert plane.desired() == Desired(
            2, Mode.STABLE, "woken by a request, initial is 2", frozen=False
        )
        assert plane.sample("cold_starts_total", service="web") == 1

    in_time(steps)


def test_a_herd_of_wakes_is_one_cold_start_one_wish_and_one_event() -> None:
    async def steps() -> None:
        plane = Plane(service())
        for _ in range(1000):
            plane.wake()
        assert plane.wanted == [(0.0, 1)]
        assert plane.sample("cold_starts_total", service="web") == 1
        assert [happening.message for happening in plane.events.since()] == [
            "web: 0 → 1 replicas: woken by a request, initial is 1"
        ]

    in_time(steps)


def test_a_report_of_waiting_requests_wakes_as_well() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.scaler.report(report(0.0, queued=1, span=0.0))
        assert plane.desired().replicas == 1
        plane.wake()
        assert plane.wanted == [(0.0, 1)]
        assert plane.sample("cold_starts_total", service="web") == 1

    in_time(steps)


def test_late_news_of_a_finished_request_wakes_nothing() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.scaler.report(report(0.0, 3, in_flight=0, requests=3))
        assert plane.desired().replicas == 0
        assert not plane.scaler._active

    in_time(steps)


@pytest.mark.parametrize("name", ["static", "unknown"])
def test_what_others_run_or_nobody_configured_is_ignored(name: str) -> None:
    async def steps() -> None:
        static = Service(name="static", endpoints=("10.0.0.7:80",))
        plane = Plane(static.model_copy(update={"scaling": service(min=3).scaling}))
        plane.wake(name)
        plane.scaler.report(report(0.0, 50, queued=9, name=name))
        plane.scaler.adopt(name, 3)
        assert plane.wanted == []
        assert list(plane.registry.used_services()) == []
        with pytest.raises((KeyError, ValueError)):
            plane.scale(1, name=name)

    in_time(steps)


# The loop


def test_load_scales_up_in_panic_and_every_change_is_told_once() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.wake()
        plane.registry.add(replica("web-1"))

        async def between_ticks() -> None:
            await asyncio.sleep(0.5)
            await plane.load(30, 48)

        await with_loop(plane, between_ticks())
        # Since a replica served, a report of 1 second came within 1.5: 32 at a time. A second later
        # the tolerance bears what five would be asked for, until they fill the panic window of 6 s.
        assert plane.wanted == [(0.0, 1), (2.0, 4), (7.0, 5)]
        assert plane.desired("web").mode is Mode.PANIC
        assert plane.sample("desired_replicas", service="web") == 5
        assert plane.sample("panic_mode", service="web") == 1
        assert plane.sample("decisions_total", service="web", direction="up") == 3
        kinds = [happening.kind for happening in plane.events.since()]
        assert kinds == ["scaled"] * 3

    in_time(steps)


def test_reports_that_come_before_a_late_tick_do_not_put_it_off() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.wake()
        loop = plane.loop
        assert isinstance(loop, VirtualTimeLoop)

        async def late_loop() -> None:
            for _ in range(10):
                await asyncio.sleep(1.5)
                loop.jump(0.5)
                plane.scaler.report(report(plane.loop.time(), 5, span=2.0))

        await with_loop(plane, late_loop())
        assert plane.sample("decisions_total", service="web", direction="keep") in (19, 20)

    in_time(steps)


def test_reports_of_two_gateways_add_up() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.wake()

        async def load() -> None:
            for _ in range(60):
                await asyncio.sleep(1)
                for source in ("gateway-1", "gateway-2"):
                    plane.scaler.report(report(plane.loop.time(), 20, source=source))
            await asyncio.sleep(0.5)

        await with_loop(plane, load())
        inputs = plane.scaler.decisions("web")[0].inputs
        assert inputs["panic_concurrency"] == pytest.approx(40)
        assert inputs["in_flight"] == 40
        assert plane.desired().replicas == 4

    in_time(steps)


def test_the_ladder_is_climbed_down_at_its_exact_moments() -> None:
    async def steps() -> None:
        plane = Plane(service(idle={"freeze_after": "5s", "stop_after": "21s"}))
        changes: list[tuple[float, int, bool]] = []
        plane.registry.on_service(
            lambda name: changes.append(
                (plane.loop.time(), plane.desired().replicas, plane.desired().frozen)
            )
        )
        await asyncio.sleep(0.3)
        plane.wake()
        await asyncio.sleep(1.0)
        plane.scaler.report(report(plane.loop.time(), 1, in_flight=0, requests=1))
        await with_loop(plane, asyncio.sleep(60))
        assert [at for at, _, _ in changes] == pytest.approx([0.3, 6.3, 22.3], abs=1e-6)
        assert [step for _, *step in changes] == [[1, False], [1, True], [0, False]]
        kinds = [happening.kind for happening in plane.events.since()]
        assert kinds == ["scaled", "frozen", "scaled"]

    in_time(steps)


def test_a_frozen_service_is_thawed_in_the_same_call() -> None:
    async def steps() -> None:
        plane = Plane(service(idle={"freeze_after": "5s", "stop_after": None}))
        plane.wake()
        await settled(plane, 30)
        assert plane.desired().frozen
        plane.wake()
        assert (plane.desired().replicas, plane.desired().frozen) == (1, False)
        assert plane.sample("cold_starts_total", service="web") == 1
        assert [happening.kind for happening in plane.events.since()][-1] == "thawed"

    in_time(steps)


def test_the_same_wish_for_another_reason_announces_nothing() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.wake()
        announced: list[str] = []
        plane.registry.on_service(announced.append)
        await with_loop(plane, plane.load(50, 7))
        assert announced == []
        assert len(plane.scaler.decisions("web")) == 2

    in_time(steps)


def test_a_service_in_trouble_stays_wanted_while_demand_goes_on() -> None:
    async def steps() -> None:
        plane = Plane(service(idle={"stop_after": "10s"}))
        plane.wake()

        async def refused() -> None:
            for _ in range(60):
                await asyncio.sleep(1)
                plane.scaler.report(report(plane.loop.time(), rejected=1, requests=1))
            assert plane.desired().replicas == 1
            await asyncio.sleep(9.9)
            assert plane.desired().replicas == 1
            await asyncio.sleep(0.2)

        await with_loop(plane, refused())
        assert plane.desired().replicas == 0

    in_time(steps)


def test_a_bug_about_one_service_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def steps() -> None:
        plane = Plane(service("bad"), service("good"))

        def fail(name: str) -> None:
            if name == "bad" and plane.loop.time() > 0:
                raise RuntimeError("a listener's bug")

        plane.wake("bad")
        plane.wake("good")
        plane.registry.on_service(fail)
        await settled(plane, 70)
        assert plane.desired("good").replicas == 0

    in_time(steps)
    assert "no decision about bad" in caplog.text


def test_what_is_only_confirmed_is_counted_and_its_record_is_renewed() -> None:
    async def steps() -> None:
        plane = Plane(*(service(f"s{n}") for n in range(5)))
        for n in range(5):
            plane.registry.add(replica(f"s{n}-1", service=f"s{n}"))
            plane.wake(f"s{n}")

        async def load() -> None:
            for _ in range(600):
                await asyncio.sleep(1)
                for n in range(5):
                    plane.scaler.report(report(plane.loop.time(), 5, requests=9, name=f"s{n}"))
            await asyncio.sleep(0.5)

        await with_loop(plane, load())
        for n in range(5):
            latest = plane.scaler.decisions(f"s{n}")[0]
            age = WALL + plane.loop.time() - latest.at
            assert age <= RECORD_IS_OLD + 5 * TICK
            kept = plane.sample("decisions_total", service=f"s{n}", direction="keep")
            assert kept == pytest.approx((600 - age) / TICK, abs=2)

    in_time(steps)


def test_a_replica_that_dies_is_seen_by_the_next_decision() -> None:
    async def steps() -> None:
        plane = Plane(service())
        for n in range(3):
            plane.registry.add(replica(f"web-{n}"))
        plane.wake()

        async def story() -> list[float]:
            await plane.load(200, 25)
            before = plane.scaler.decisions("web")[0].inputs["ready"]
            plane.registry.advance("web-2", Event.EXITED, "died", plane.loop.time())
            plane.registry.forget("web-2")
            await plane.load(4, 25)
            return [before, plane.scaler.decisions("web")[0].inputs["ready"]]

        assert await with_loop(plane, story()) == [3, 2]

    in_time(steps)
