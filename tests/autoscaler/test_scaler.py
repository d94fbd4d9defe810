"""The shell under virtual time: wakes at once, exact ladders, and no timer while all is asleep."""

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.metrics import AutoscalerMetrics
from autoscaler.policy import Policy
from autoscaler.scaler import Scaler
from cluster.events import Events
from cluster.messages import Wake
from cluster.model import Desired, Mode
from cluster.registry import Registry
from config.service import Service
from tests.support.scaling_facts import replica, report, service
from tests.support.virtual_time import VirtualTimeLoop, run

T = TypeVar("T")
WALL = 1_700_000_000.0


class Plane:
    """A scaler with a real registry; what was wanted, by the loop time of each change."""

    def __init__(self, *services: Service) -> None:
        self.loop = asyncio.get_running_loop()
        self.registry = Registry()
        self.events = Events(lambda: WALL)
        self.collectors = CollectorRegistry()
        self.scaler = Scaler(
            self.registry,
            self.events,
            self.loop.time,
            lambda: WALL + self.loop.time(),
            AutoscalerMetrics(self.collectors),
        )
        self.wanted: list[tuple[float, int]] = []
        self.registry.on_service(self._note)
        self.configure({spec.name: spec for spec in services})

    def configure(self, specs: Mapping[str, Service]) -> None:
        self.registry.configure(specs)
        self.scaler.configure(specs)

    def wake(self, name: str = "web") -> None:
        self.scaler.wake(Wake(name))

    def desired(self, name: str = "web") -> Desired:
        return self.registry.desired(name)

    def scale(self, replicas: int, duration: float | None = None, name: str = "web") -> None:
        self.scaler.scale(name, replicas, duration, self.loop.time())

    def sample(self, name: str, **labels: str) -> float | None:
        """None: there is no such child."""
        return self.collectors.get_sample_value(f"tidegate_{name}", labels)

    def timers(self) -> list[float]:
        handles = self.loop._scheduled  # type: ignore[attr-defined]
        return [handle.when() for handle in handles if not handle.cancelled()]

    async def load(self, seconds: int, concurrency: float, name: str = "web") -> None:
        """A report each second, the last one idle."""
        for second in range(seconds):
            await asyncio.sleep(1)
            left = 0 if second == seconds - 1 else None
            self.scaler.report(
                report(self.loop.time(), concurrency, in_flight=left, requests=1, name=name)
            )

    def _note(self, name: str) -> None:
        number = self.desired(name).replicas
        if not self.wanted or self.wanted[-1][1] != number:
            self.wanted.append((self.loop.time(), number))


def in_time(steps: Callable[[], Awaitable[T]]) -> T:
    async def whole() -> T:
        return await steps()

    return run(whole())


async def with_loop(plane: Plane, steps: Awaitable[T]) -> T:
    """The steps, with the scaler's loop beside them."""
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(plane.scaler.run(), name="autoscaler")
        try:
            return await steps
        finally:
            loop.cancel()


async def settled(plane: Plane, seconds: float) -> Plane:
    await with_loop(plane, asyncio.sleep(seconds))
    return plane


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
        assert not plane.scaler._policies

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
            await plane.load(30, 42)

        await with_loop(plane, between_ticks())
        # Reports of 1, 3, 5 and 6 seconds fill the panic window of 6 s: 7, 21, 35 and 42.
        assert plane.wanted == [(0.0, 1), (4.0, 3), (6.0, 4), (8.0, 5)]
        assert plane.scaler.mode("web") is Mode.PANIC
        assert plane.sample("desired_replicas", service="web") == 5
        assert plane.sample("panic_mode", service="web") == 1
        assert plane.sample("decisions_total", service="web", direction="up") == 4
        kinds = [happening.kind for happening in plane.events.since()]
        assert kinds == ["scaled"] * 4

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
        assert plane.sample("decisions_total", service="web", direction="keep") in (9, 10)

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
        assert inputs.panic.concurrency == pytest.approx(40)
        assert inputs.in_flight == 40
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
        assert 45 <= len(decided) <= 55
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
        assert not plane.scaler._policies
        outcomes = [(d.at - WALL, d.before, d.replicas) for d in plane.scaler.decisions("web")]
        assert (outcomes[0], outcomes[-1]) == ((60.0, 1, 0), (0.0, 0, 1))
        plane.wake()
        assert plane.sample("cold_starts_total", service="web") == 2

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


# Configuration, restarts, the operator


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


def test_a_removed_service_is_wanted_no_more_and_forgotten() -> None:
    async def steps() -> None:
        plane = Plane(service(), service("other"))
        plane.wake()
        plane.wake("other")
        await settled(plane, 10)
        plane.configure({"other": service("other")})
        assert plane.desired().replicas == 0
        assert plane.desired("other").replicas == 1
        assert plane.scaler.decisions("web") == ()
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
        assert plane.wanted == [(0.7, 4), (pytest.approx(600.7, abs=1e-6), 0)]

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
        assert plane.scaler.mode("web") is Mode.MANUAL
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


# Explanations


def test_an_explanation_names_inputs_wishes_limits_and_outcome_and_changes_nothing() -> None:
    async def steps() -> dict[str, object]:
        plane = Plane(service(max=3, rules=[{"metric": "concurrency"}, {"metric": "rps"}]))
        plane.wake()
        plane.registry.add(replica("web-1"))
        await with_loop(plane, plane.load(30, 42))
        before = plane.scaler.decisions("web")
        told = plane.scaler.explain("web", plane.loop.time())
        plane.scaler.explain("web", plane.loop.time() + 1000)
        assert plane.scaler.explain("web", plane.loop.time()) == told
        assert plane.scaler.decisions("web") == before
        plane.scaler.explain("web", plane.loop.time() + 1000)
        plane.wake()
        assert plane.sample("cold_starts_total", service="web") == 1
        return told

    told = json.loads(json.dumps(in_time(steps)))
    assert (told["service"], told["at"]) == ("web", WALL + 30)
    assert (told["inputs"]["ready"], told["inputs"]["panic_concurrency"]) == (1, 42)
    assert [(rule["rule"], rule["window"], rule["wish"]) for rule in told["rules"]] == [
        ("concurrency", 60.0, 3),
        ("rps", 60.0, 1),
        ("concurrency", 6.0, 5),
        ("rps", 6.0, 1),
    ]
    assert told["limits"] == [{"limit": "max", "before": 5, "after": 3, "reason": "max is 3"}]
    assert told["outcome"] == {
        "replicas": 3,
        "frozen": False,
        "mode": "panic",
        "reason": "concurrency 42 over 6s at 10 per replica asks for 5; max is 3",
    }
    assert (told["panic_ends_in"], told["idle_seconds"]) == (60.0, 0.0)
    assert (told["next_step_down_in"], told["manual"]) == (60.0, None)


def test_a_sleeping_service_explains_its_sleep() -> None:
    async def steps() -> None:
        static = Service(name="static", endpoints=("10.0.0.7:80",))
        plane = Plane(service(), service("off"), static)
        plane.scale(0, 60.0, name="off")
        now = plane.loop.time()
        stories = {name: plane.scaler.explain(name, now) for name in ("web", "off", "static")}
        reasons = [story["outcome"]["reason"] for story in stories.values()]  # type: ignore[index]
        assert reasons == [
            "never used",
            "0 by hand for another 1m",
            "its endpoints are run by others: never scaled",
        ]
        assert stories["off"]["manual"] == {"replicas": 0, "ends_in": 60.0}
        with pytest.raises(KeyError):
            plane.scaler.explain("unknown", now)

    in_time(steps)
