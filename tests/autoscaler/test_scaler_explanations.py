"""Explanations tell the whole way to a decision, and asking for one changes nothing."""

import asyncio
import json

import pytest

from cluster.lifecycle import Event, State
from cluster.model import Trouble
from config.service import Service
from tests.support.scaling_facts import replica, service
from tests.support.scaling_plane import WALL, Plane, in_time, settled, with_loop


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
    # The last decision was made at the tick before.
    assert (told["panic_ends_in"], told["idle_seconds"]) == (59.0, 0.0)
    assert (told["next_step_down_in"], told["manual"]) == (60.0, None)


def says(plane: Plane, index: int = 0) -> str:
    result = plane.scaler.decisions("web")[index].result
    assert result is not None
    return result.says


def test_what_came_of_a_decision_is_completed_by_what_is_seen_next() -> None:
    """Also of one after which nothing is decided for long: nobody polls for it."""

    async def steps() -> None:
        plane = Plane(service())
        plane.wake()
        plane.registry.add(replica("web-1", State.STARTING))
        await asyncio.sleep(0.7)
        assert says(plane) == "none of 1 ready so far, after 700ms"
        plane.registry.advance("web-1", Event.PASSED, "", plane.loop.time())
        assert says(plane) == "1 replica ready after 700ms"
        await settled(plane, 100)
        assert says(plane).startswith("still 1 replica instead of 0 so far, after ")
        plane.registry.advance("web-1", Event.DRAIN, "idle", plane.loop.time())
        assert says(plane).startswith("still 1 replica instead of 0 so far, after ")
        plane.registry.advance("web-1", Event.EXITED, "", plane.loop.time())
        assert says(plane).startswith("no replica left after ")

    in_time(steps)


def test_a_start_that_fails_is_the_reason_for_what_is_missing() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.wake()
        plane.registry.add(replica("web-1", State.STARTING))
        await asyncio.sleep(2)
        plane.registry.advance("web-1", Event.EXITED, "boom", plane.loop.time())
        plane.registry.set_trouble("web", Trouble("start-failed", "exited with code 1", 3, "boom"))
        assert says(plane) == (
            "none of 1 ready so far, after 2.0s: start-failed: exited with code 1: boom"
        )
        plane.registry.add(replica("web-2", State.STARTING))
        plane.registry.set_trouble("web", None)
        plane.registry.advance("web-2", Event.PASSED, "", plane.loop.time())
        assert says(plane) == (
            "1 replica ready after 2.0s; on the way: start-failed: exited with code 1: boom"
        )

    in_time(steps)


def test_one_who_sleeps_tells_when_that_was_decided_and_what_comes_next() -> None:
    async def steps() -> None:
        night = {"schedule": "0 23 * * *", "until": "0 7 * * *", "max": 0}
        plane = Plane(service(rules=[{"metric": "concurrency"}, night]))
        plane.wake()
        await settled(plane, 100)
        told = plane.scaler.explain("web", plane.loop.time())
        assert told["at"] == WALL + 60
        assert told["next_change_in"] == 46 * 60 + 40 - 100

    in_time(steps)


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
