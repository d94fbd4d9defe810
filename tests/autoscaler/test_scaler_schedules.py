"""Schedules in the shell: services wake and sleep by the wall clock, without a request or a poll.

Loop time 0 is Tue 14 Nov 2023 22:13:20 UTC.
"""

import asyncio
from collections.abc import Callable

import pytest

from autoscaler.gauges import Gauge
from cluster.model import Mode
from cluster.registry import Registry
from tests.support.scaling_facts import replica, report, service
from tests.support.scaling_plane import Plane, in_time, settled, with_loop
from tests.support.scheduled_services import ELEVEN, HOUR, NIGHT, SEVEN, scheduled


def kinds(plane: Plane) -> list[str]:
    return [happening.kind for happening in plane.events.since()]


# A floor


def test_a_floor_wakes_a_service_that_nobody_asks_for_and_lets_it_sleep_again() -> None:
    async def steps() -> None:
        plane = await settled(Plane(scheduled({"min": 2})), SEVEN + 1)
        assert plane.wanted == [(ELEVEN, 2), (SEVEN, 0)]
        assert [happening.message for happening in plane.events.since()] == [
            'web: 0 → 2 replicas: no request yet; min is 2 by schedule "0 23 * * *" '
            "until Wed 15 Nov 2023 07:00 (UTC)",
            "web: 2 → 0 replicas: no request yet",
        ]
        assert plane.sample("cold_starts_total", service="web") is None

    in_time(steps)


def test_what_a_floor_keeps_may_work_without_requests() -> None:
    async def steps() -> None:
        spec = service(rules=[{"metric": "cpu", "target": 0.5}, {**NIGHT, "min": 1}])
        plane = Plane(spec)
        cpu = spec.scaling.metric_rules[0]
        plane.registry.add(replica("web-1"))

        async def busy_since_half_past_eleven() -> None:
            await asyncio.sleep(ELEVEN + 1800)
            for _ in range(30):
                plane.scaler.measured("web", cpu, Gauge(1.4))
                await asyncio.sleep(10)

        await with_loop(plane, busy_since_half_past_eleven())
        assert plane.wanted == [(0.0, 0), (ELEVEN, 1), (ELEVEN + 1801, 3)]

    in_time(steps)


def test_at_its_end_the_idle_ladder_goes_on() -> None:
    async def steps() -> None:
        plane = Plane(scheduled({"min": 2}))
        plane.registry.add(replica("web-1"))
        plane.registry.add(replica("web-2"))

        async def used_until_seven() -> None:
            await asyncio.sleep(SEVEN - 10)
            await plane.load(8, 1)
            await asyncio.sleep(80)

        await with_loop(plane, used_until_seven())
        last_request = SEVEN - 2
        assert plane.wanted[:2] == [(0.0, 0), (ELEVEN, 2)]
        assert plane.wanted[-1] == (last_request + 60, 0)

    in_time(steps)


def test_what_a_floor_keeps_awake_is_never_frozen() -> None:
    async def steps() -> None:
        plane = Plane(scheduled({"min": 1}, idle={"freeze_after": "10s", "stop_after": None}))

        async def look() -> tuple[bool, bool]:
            await asyncio.sleep(ELEVEN - 100)
            plane.wake()
            await asyncio.sleep(50)
            before = plane.desired().frozen
            await asyncio.sleep(200)
            return before, plane.desired().frozen

        assert await with_loop(plane, look()) == (True, False)

    in_time(steps)


def test_a_tidegate_that_starts_in_the_middle_of_it_knows() -> None:
    async def steps() -> None:
        plane = Plane(scheduled({"schedule": "0 22 * * *", "replicas": 3}))
        assert plane.desired().replicas == 3

    in_time(steps)


def test_the_bounds_of_now_are_told() -> None:
    async def steps() -> None:
        plane = Plane(scheduled({"min": 2, "max": 5}), service("plain", min=1, max=4))

        def told(name: str) -> tuple[int, int]:
            return plane.scaler.bounds(name).least, plane.scaler.bounds(name).most

        assert (told("web"), told("plain")) == ((0, 10), (1, 4))
        await settled(plane, ELEVEN + 1)
        assert (told("web"), told("plain")) == ((2, 5), (1, 4))

    in_time(steps)


# Asleep at night


def test_asleep_at_night_nothing_wakes_it_and_clients_know_until_when() -> None:
    async def steps() -> None:
        plane = Plane(scheduled({"max": 0}, min=1))
        plane.registry.add(replica("web-1"))

        async def night() -> None:
            await asyncio.sleep(ELEVEN + 10)
            before = plane.scaler.decisions("web")
            plane.wake()
            assert plane.scaler.decisions("web") == before
            plane.scaler.report(report(plane.loop.time(), 0, rejected=3))
            await asyncio.sleep(HOUR)
            assert plane.desired().replicas == 0
            refusal = plane.desired().refusal
            assert refusal is not None
            assert (refusal.code, refusal.until) == ("asleep", SEVEN)
            assert refusal.message == "The service is asleep until Wed 15 Nov 2023 07:00 (UTC)."
            assert plane.registry.snapshot("web").trouble == refusal
            await asyncio.sleep(7 * HOUR)

        await with_loop(plane, night())
        assert plane.wanted == [(0.0, 1), (ELEVEN, 0), (SEVEN, 1)]
        assert plane.desired().refusal is None
        assert plane.registry.snapshot("web").trouble is None
        assert plane.events.since()[1].message == (
            'web: 1 → 0 replicas: asleep by schedule "0 23 * * *" until Wed 15 Nov 2023 07:00 (UTC)'
        )

    in_time(steps)


@pytest.mark.parametrize("schedule", [{"max": 0}, {"replicas": 0}])
def test_a_service_that_slept_already_is_closed_and_opened(schedule: dict[str, object]) -> None:
    async def steps() -> None:
        plane = Plane(scheduled(schedule))

        async def look() -> None:
            await asyncio.sleep(ELEVEN - 1)
            assert plane.desired().refusal is None
            await asyncio.sleep(2)
            assert plane.desired().refusal is not None
            assert not plane.scaler._active
            await asyncio.sleep(8 * HOUR)
            assert plane.desired().refusal is None
            plane.wake()
            assert plane.desired().replicas == 1

        await with_loop(plane, look())
        assert kinds(plane) == ["closed", "opened", "scaled"]

    in_time(steps)


def test_whoever_was_refused_a_moment_ago_is_expected_at_the_end() -> None:
    async def steps() -> None:
        plane = Plane(scheduled({"max": 0}))

        async def early() -> None:
            await asyncio.sleep(SEVEN - 20)
            plane.scaler.report(report(plane.loop.time(), 0, rejected=1))
            await asyncio.sleep(21)

        await with_loop(plane, early())
        assert plane.wanted[-1] == (SEVEN, 1)

    in_time(steps)


def test_what_ran_before_a_restart_is_not_kept_through_the_night() -> None:
    async def steps() -> None:
        plane = Plane(scheduled({"schedule": "0 22 * * *", "max": 0}))
        plane.scaler.adopt("web", 3)
        assert plane.desired().replicas == 0

    in_time(steps)


# The operator's hand


def test_the_hand_beats_a_schedule_and_the_schedule_is_back_afterwards() -> None:
    async def steps() -> None:
        plane = Plane(scheduled({"max": 0}))

        async def look() -> None:
            await asyncio.sleep(ELEVEN + 60)
            plane.scale(2, HOUR)
            assert plane.desired().replicas == 2
            assert plane.desired().refusal is None
            await asyncio.sleep(HOUR + 1)
            assert plane.desired().replicas == 0
            assert plane.desired().refusal is not None

        await with_loop(plane, look())

    in_time(steps)


def test_zero_by_hand_is_told_at_once_with_its_end() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.scale(0, 600.0)
        refusal = plane.desired().refusal
        assert refusal is not None
        assert (refusal.code, refusal.until) == ("switched-off", 600.0)
        assert plane.registry.snapshot("web").trouble == refusal
        plane.scale(0)
        refusal = plane.desired().refusal
        assert refusal is not None
        assert (refusal.until, refusal.retry_after) == (None, 60.0)
        plane.scaler.automatic("web")
        assert plane.registry.snapshot("web").trouble is None

    in_time(steps)


def test_replicas_that_still_drain_do_not_hide_that_it_is_off() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.scale(0)
        plane.registry.add(replica("web-1"))
        trouble = plane.registry.snapshot("web").trouble
        assert trouble is not None
        assert trouble.code == "switched-off"

    in_time(steps)


# Reloads


def test_a_schedule_comes_and_goes_with_the_file() -> None:
    async def steps() -> None:
        plane = Plane(service())
        closed = scheduled({"schedule": "0 22 * * *", "max": 0})
        plane.configure({"web": closed})
        assert plane.desired().refusal is not None
        plane.configure({"web": service()})
        assert plane.desired().refusal is None
        plane.configure({"web": closed})
        plane.configure({})
        assert plane.desired().refusal is None

    in_time(steps)


def test_a_reload_that_leaves_a_schedule_alone_decides_nothing() -> None:
    async def steps() -> None:
        plane = Plane(scheduled({"min": 1}))
        before = plane.sample("decisions_total", service="web", direction="keep")
        plane.configure({"web": scheduled({"min": 1})})
        assert plane.sample("decisions_total", service="web", direction="keep") == before

    in_time(steps)


# Events


def test_every_change_of_what_is_wanted_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[float] = []
    want: Callable[..., None] = Registry.want

    def counted(self: Registry, name: str, desired: object) -> None:
        before = self.desired(name)
        want(self, name, desired)
        now = self.desired(name)
        calm = {before.mode, now.mode} <= {Mode.STABLE, Mode.IDLE}
        same = (before.replicas, before.frozen, before.refusal) == (
            now.replicas, now.frozen, now.refusal,
        )  # fmt: skip
        if before != now and not (same and calm):
            changes.append(0.0)

    async def steps() -> None:
        monkeypatch.setattr(Registry, "want", counted)
        rules = [{"metric": "concurrency"}, {**NIGHT, "max": 0}]
        plane = Plane(service(rules=rules, idle={"freeze_after": "10s", "stop_after": "60s"}))
        plane.registry.add(replica("web-1"))

        async def a_day() -> None:
            await plane.load(60, 35)
            await asyncio.sleep(200)
            plane.scale(0, 60.0)
            await asyncio.sleep(100)
            await plane.load(3, 1)
            plane.scale(1, 60.0)
            await asyncio.sleep(24 * HOUR)

        await with_loop(plane, a_day())
        assert len(changes) > 8
        assert len(plane.events.since()) == len(changes)
        assert all(": " in happening.message for happening in plane.events.since())

    in_time(steps)
