"""What comes from outside the load: a new configuration, a former run's replicas, the operator."""

import asyncio

import pytest

from autoscaler.active import Active
from autoscaler.habits import Habits
from cluster.model import Desired, Mode
from tests.support.scaling_facts import replica, report, service
from tests.support.scaling_plane import Plane, in_time, settled, with_loop


def test_min_is_wanted_at_once_and_is_no_cold_start() -> None:
    async def steps() -> None:
        plane = Plane(service(min=2))
        assert plane.wanted == [(0.0, 2)]
        assert plane.sample("cold_starts_total", service="web") is None

    in_time(steps)


def test_changed_bounds_apply_at_once() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.configure({"web": service(min=3)})
        assert plane.desired().replicas == 3
        plane.configure({"web": service(min=1)})
        assert plane.desired().replicas == 1
        plane.configure({"web": service()})
        assert plane.desired().replicas == 0

    in_time(steps)


def test_a_default_that_is_written_down_is_taken_over() -> None:
    """Where nothing is written, kpa, hpa and ray have numbers of their own."""

    async def steps() -> None:
        plane = Plane()
        active = Active(plane.registry, Habits(plane.loop.time, plane.loop.time))
        active.begin(service(policy="ray"))
        assert list(active.configure({"web": service(policy="ray")})) == []
        for written in ({"down_delay": "0s"}, {}):
            assert list(active.configure({"web": service(policy="ray", **written)})) == ["web"]

    in_time(steps)


def test_a_removed_service_is_wanted_no_more_and_forgotten() -> None:
    async def steps() -> None:
        plane = Plane(service(), service("other"))
        plane.wake()
        plane.wake("other")
        await settled(plane, 10)
        plane.configure({"other": service("other")})
        assert plane.desired().replicas == 0
        assert plane.desired("other").replicas == 1
        assert plane.scaler.decisions("web") == []
        assert plane.sample("desired_replicas", service="web") is None
        assert plane.sample("decisions_total", service="web", direction="up") is None
        plane.wake()
        assert plane.desired().replicas == 0
        plane.configure({})
        await settled(plane, 10)
        assert plane.timers() == []

    in_time(steps)


def test_replicas_of_a_former_run_are_held_for_a_stable_window_then_follow_the_load() -> None:
    async def steps() -> None:
        plane = Plane()
        # As in the composition root: adoption comes between the registry and the scaler.
        specs = {"web": service(), "idle": service("idle", idle={"stop_after": "5s"})}
        plane.registry.configure(specs)
        plane.scaler.adopt("web", 6)
        plane.scaler.adopt("idle", 3)
        plane.scaler.configure(specs)
        assert (plane.desired().replicas, plane.desired("idle").replicas) == (6, 3)
        for number in range(6):
            plane.registry.add(replica(f"web-{number}"))

        async def watch() -> None:
            await plane.load(59, 12)
            assert (plane.desired().replicas, plane.desired("idle").replicas) == (6, 3)
            await asyncio.sleep(1.5)

        await with_loop(plane, watch())
        assert plane.desired("idle").replicas == 0
        assert plane.desired().replicas == 3

    in_time(steps)


def test_a_number_by_hand_holds_for_its_time_and_not_longer() -> None:
    async def steps() -> None:
        plane = Plane(service())
        await asyncio.sleep(0.7)
        plane.scale(4, 600.0)
        assert plane.desired() == Desired(4, Mode.MANUAL, "4 by hand for another 10m")
        await settled(plane, 1000)
        # The hand was use: only at its end does the idle time of 60 s begin.
        ends = [pytest.approx(at, abs=1e-6) for at in (600.7, 660.7)]
        assert plane.wanted == [(0.7, 4), (ends[0], 1), (ends[1], 0)]

    in_time(steps)


def test_zero_by_hand_is_off_until_automatic() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.wake()
        plane.scale(0)
        plane.wake()
        plane.scaler.report(report(0.0, 9, queued=9))
        await settled(plane, 100)
        assert plane.wanted == [(0.0, 1), (0.0, 0)]
        assert plane.desired("web").mode is Mode.MANUAL
        plane.scaler.report(report(100.0, 9, queued=9))
        plane.scaler.automatic("web")
        plane.scaler.automatic("web")
        assert plane.desired().replicas == 1

    in_time(steps)


def test_above_max_is_refused_and_changes_nothing() -> None:
    async def steps() -> None:
        plane = Plane(service(max=3))
        with pytest.raises(ValueError, match=r"scaling\.max \(3\)"):
            plane.scale(4)
        assert plane.wanted == []

    in_time(steps)
