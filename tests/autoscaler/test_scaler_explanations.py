"""Explanations tell the whole way to a decision, and asking for one changes nothing."""

import json

import pytest

from config.service import Service
from tests.support.scaling_facts import replica, service
from tests.support.scaling_plane import WALL, Plane, in_time, with_loop


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
