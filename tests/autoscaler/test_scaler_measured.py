"""What others measure wakes, keeps awake and scales a service that no request reaches."""

import asyncio
from typing import Any

import pytest

from autoscaler.gauges import Gauge
from autoscaler.standing import Reading, gauge_of, heard, reading_of
from cluster.model import Mode
from config.rules import CpuRule, JsonRule, MetricRule
from config.scaling import Idle, Scaling
from config.service import Service
from tests.support.scaling_facts import replica, report, service
from tests.support.scaling_plane import Plane, in_time, settled, with_loop

RULE = JsonRule.model_validate(
    {"metric": "json", "url": "http://a", "value": "n", "target": 10.0, "every": 5.0}
)


def queue(**changes: object) -> Service:
    facts = {"rules": (RULE,), "idle": Idle(stop_after=30.0), **changes}
    return Service(name="web", command=("serve",), scaling=Scaling.model_validate(facts))


def measure(plane: Plane, value: float | None, rule: JsonRule = RULE, failing: int = 1) -> None:
    """One more answer of the source, or as many failures."""
    now, standing = plane.loop.time(), None
    if value is None:
        for _ in range(failing):
            standing = heard(standing, Reading(None, now, "it is away"))
    else:
        standing = heard(None, reading_of(value, now))
    assert standing is not None
    plane.scaler.measured("web", rule, gauge_of(standing, rule, rule.every))


async def measure_often(plane: Plane, seconds: float, value: float | None) -> None:
    end = plane.loop.time() + seconds
    while plane.loop.time() < end:
        measure(plane, value)
        await asyncio.sleep(RULE.every)


def test_more_than_its_activation_wakes_before_the_call_returns() -> None:
    async def steps() -> None:
        plane = Plane(queue(initial=2))
        measure(plane, 0.0)
        assert (plane.wanted, len(plane.scaler._active), plane.timers()) == ([], 0, [])
        measure(plane, 5.0)
        assert plane.desired().replicas == 2
        assert plane.desired().reason == ("woken by json, which is 5, more than 0, initial is 2")
        assert plane.sample("cold_starts_total", service="web") == 1

    in_time(steps)


def test_it_scales_with_the_value_and_sleeps_after_the_answer_that_found_nothing() -> None:
    async def steps() -> None:
        plane = Plane(queue(max_down_rate=100.0, stable_window=1.0, panic_window=1.0))

        for number in range(5):
            plane.registry.add(replica(f"web-{number}"))
        plane.wanted.clear()

        async def through() -> None:
            await asyncio.sleep(0.5)
            for value in (45.0, 25.0, 3.0):
                await measure_often(plane, 20.0, value)
            assert [number for _, number in plane.wanted] == [1, 5, 3, 1]
            await measure_often(plane, 300.0, 3.0)
            assert plane.desired().replicas == 1, "three wait: it stays awake for ever"
            empty = plane.loop.time()
            await measure_often(plane, 60.0, 0.0)
            assert plane.wanted[-1] == (empty + 30.0, 0)
            assert not plane.scaler._active

        await with_loop(plane, through())

    in_time(steps)


def test_a_source_that_fails_holds_the_number_and_keeps_awake() -> None:
    async def steps() -> None:
        plane = Plane(queue(max_down_rate=100.0))

        async def through() -> None:
            await measure_often(plane, 20.0, 45.0)
            await measure_often(plane, 600.0, None)
            assert plane.desired().replicas == 5
            (newest, *_) = plane.scaler.decisions("web")
            assert newest.reason.startswith("json has no value (it is away): holds 5")

        await with_loop(plane, through())
        assert [number for _, number in plane.wanted] == [1, 5]

    in_time(steps)


def test_a_source_that_fails_wakes_and_thaws_nobody() -> None:
    async def steps() -> None:
        plane = Plane(queue(idle=Idle(freeze_after=10.0, stop_after=600.0)))

        async def through() -> None:
            await measure_often(plane, 60.0, None)
            assert plane.wanted == []
            measure(plane, 0.0)
            plane.wake()
            plane.registry.add(replica("web-1"))
            plane.scaler.report(report(plane.loop.time(), 1, in_flight=0, requests=1))
            await measure_often(plane, 15.0, 0.0)
            assert plane.desired().frozen
            await measure_often(plane, 60.0, None)
            assert plane.desired().frozen
            measure(plane, 1.0)
            assert not plane.desired().frozen
            assert plane.desired().reason.startswith("thawed by json, which is 1, more than 0")

        await with_loop(plane, through())

    in_time(steps)


def test_nobody_who_asks_any_more_is_no_reason_to_sleep() -> None:
    async def steps() -> None:
        plane = Plane(queue())
        measure(plane, 5.0)
        await settled(plane, 3600.0)
        assert plane.desired().replicas == 1
        (newest, *_) = plane.scaler.decisions("web")
        assert "nothing was measured lately" in newest.reason

    in_time(steps)


@pytest.mark.parametrize(("fallback", "replicas"), [(4, 4), (0, 0)])
def test_a_fallback_is_wished_as_if_it_was_measured(fallback: int, replicas: int) -> None:
    async def steps() -> None:
        rule = RULE.model_copy(update={"fallback": fallback})
        plane = Plane(service(rules=(rule,), idle=Idle(stop_after=30.0)))

        async def through() -> None:
            measure(plane, 5.0, rule)
            await asyncio.sleep(3.0)
            for _ in range(20):
                measure(plane, None, rule, failing=3)
                await asyncio.sleep(rule.every)
            assert plane.desired().replicas == replicas

        await with_loop(plane, through())

    in_time(steps)


def test_a_fallback_wakes() -> None:
    async def steps() -> None:
        rule = RULE.model_copy(update={"fallback": 2})
        plane = Plane(service(rules=(rule,)))
        measure(plane, None, rule, failing=2)
        assert plane.wanted == []
        measure(plane, None, rule, failing=3)
        assert plane.desired().reason == (
            "woken by json, which has failed 3 times (it is away), initial is 1"
        )
        await settled(plane, 2.1)
        assert plane.desired().replicas == 2

    in_time(steps)


def test_the_operators_hand_wins() -> None:
    async def steps() -> None:
        plane = Plane(queue())
        plane.scale(0)
        measure(plane, 100.0)
        await settled(plane, 10.0)
        assert plane.desired().replicas == 0
        plane.scaler.automatic("web")
        assert (plane.desired().replicas, plane.desired().mode) == (10, Mode.PANIC)

    in_time(steps)


def test_after_a_hand_an_unknown_queue_wakes_nobody() -> None:
    async def steps() -> None:
        plane = Plane(queue())
        plane.scale(0)
        measure(plane, None)
        plane.scaler.automatic("web")
        await settled(plane, 10.0)
        assert plane.desired().replicas == 0

    in_time(steps)


def test_cpu_alone_wakes_nobody_and_keeps_nobody_awake() -> None:
    """kedacore/keda#4269: a replica that is not there uses nothing."""

    async def steps() -> None:
        rule: MetricRule = CpuRule(metric="cpu")
        plane = Plane(service(rules=(rule,), idle=Idle(stop_after=30.0)))
        plane.scaler.measured("web", rule, Gauge(5.0))
        assert plane.wanted == []
        plane.wake()
        plane.registry.add(replica("web-1"))
        plane.scaler.report(report(0.0, 1, in_flight=0, requests=1))

        async def through() -> None:
            for _ in range(10):
                plane.scaler.measured("web", rule, Gauge(0.0))
                await asyncio.sleep(5.0)

        await with_loop(plane, through())
        assert plane.wanted == [(0.0, 1), (30.0, 0)]

    in_time(steps)


def test_what_was_measured_goes_with_its_rule() -> None:
    async def steps() -> None:
        plane = Plane(queue(), service("other", rules=(RULE,)))
        measure(plane, 0.0)
        plane.scaler.measured("other", RULE, Gauge(0.0))
        changed = RULE.model_copy(update={"target": 5.0})
        plane.configure({"web": service(rules=(changed,))})
        assert plane.scaler._active._measurements.of("web") == {}
        plane.scaler.measured("other", RULE, Gauge(9.0, is_active=True))
        plane.scaler.measured("nobody", RULE, Gauge(9.0, is_active=True))
        assert plane.wanted == []

    in_time(steps)


def test_asleep_it_is_explained_what_its_sources_say() -> None:
    """Why does my queue not wake it? An operator reads it here."""

    async def steps() -> None:
        plane = Plane(queue())

        def reasons() -> list[str]:
            story: Any = plane.scaler.explain("web", plane.loop.time())
            return [rule["reason"] for rule in story["rules"]]

        assert reasons() == []
        measure(plane, 0.0)
        assert reasons() == ["json 0 at 10 per replica asks for 0"]
        measure(plane, None)
        assert reasons() == ["json has no value (it is away): holds 0"]
        await asyncio.sleep(60)
        assert reasons() == ["json has no value (nothing was measured lately): holds 0"]

    in_time(steps)
