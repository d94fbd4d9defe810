"""What a sleeping service costs: no timer, no look at it, no memory but its history."""

import asyncio
import gc

import pytest

from autoscaler.policy import Policy
from cluster.model import Desired, Mode
from tests.support.scaling_facts import service
from tests.support.scaling_plane import WALL, Plane, in_time, settled, with_loop


def test_no_timer_is_set_while_everything_sleeps() -> None:
    async def steps() -> None:
        plane = Plane(service(), service("idler", min=2), service("off"))
        plane.wake()
        plane.scale(0, name="off")

        async def look() -> tuple[list[float], list[float]]:
            await asyncio.sleep(30)
            awake = plane.timers()
            await asyncio.sleep(31)
            return awake, plane.timers()

        awake, asleep = await with_loop(plane, look())
        assert len(awake) == 1
        assert plane.desired("web").replicas == 0
        assert asleep == []
        assert plane.desired("idler").replicas == 2

    in_time(steps)


def test_a_rung_that_is_never_reached_leaves_no_timer() -> None:
    async def steps() -> None:
        plane = Plane(service(idle={"freeze_after": "30s", "stop_after": "10s"}))
        plane.wake()

        async def look() -> list[float]:
            await asyncio.sleep(11)
            return plane.timers()

        assert await with_loop(plane, look()) == []
        assert plane.desired().replicas == 0

    in_time(steps)


def test_ten_thousand_sleeping_services_cost_nothing() -> None:
    async def steps() -> None:
        one = service("proto")
        specs = {f"s{n}": one.model_copy(update={"name": f"s{n}"}) for n in range(10_000)}
        plane = Plane()
        gc.collect()
        before = len(gc.get_objects())
        plane.configure(specs)
        await settled(plane, 3600)
        gc.collect()
        assert len(gc.get_objects()) - before < 100
        assert list(plane.registry.used_services()) == []
        assert plane.timers() == []
        assert b"tidegate" not in b"".join(
            sample.name.encode()
            for family in plane.collectors.collect()
            for sample in family.samples
        )

    in_time(steps)


def test_a_tick_looks_only_at_services_that_are_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    decided: list[Policy] = []
    decide = Policy.decide

    def counted(self: Policy, *facts: object) -> object:
        decided.append(self)
        return decide(self, *facts)  # type: ignore[arg-type]

    async def steps() -> None:
        one = service("proto", idle={"stop_after": None})
        plane = Plane(*(one.model_copy(update={"name": f"s{n}"}) for n in range(10_000)))
        plane.wake("s7")
        monkeypatch.setattr(Policy, "decide", counted)
        await with_loop(plane, plane.load(100, 1, name="s7"))
        assert 90 <= len(decided) <= 110
        assert len(set(map(id, decided))) == 1

    in_time(steps)


def test_after_a_sleep_only_the_history_is_kept() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.wake()
        await settled(plane, 100)
        assert plane.desired() == Desired(
            0, Mode.IDLE, "no request for 1m (idle.stop_after)", frozen=False
        )
        assert not plane.scaler._active
        outcomes = [(d.at - WALL, d.before, d.replicas) for d in plane.scaler.decisions("web")]
        assert (outcomes[0], outcomes[-1]) == ((60.0, 1, 0), (0.0, 0, 1))
        plane.wake()
        assert plane.sample("cold_starts_total", service="web") == 2

    in_time(steps)
