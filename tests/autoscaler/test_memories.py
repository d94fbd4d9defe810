"""What was learned outlives a sleep, and no revision."""

from autoscaler.learned import Learned
from autoscaler.memories import Memories
from autoscaler.objective import Objective
from config.rules import LatencyRule
from config.scaling import Scaling
from config.service import Service
from tests.support.scaling_facts import report
from tests.support.scaling_plane import Plane, in_time, with_loop

RULE = LatencyRule(metric="latency", percentile=95.0, target=0.3)
LEARNED = {RULE: Learned(60.0, 80.0, 0.05)}


def service(command: str = "serve", **changes: object) -> Service:
    scaling = Scaling(rules=(RULE,), idle={"stop_after": 30.0})
    return Service.model_validate(
        {"name": "web", "command": (command,), "scaling": scaling, **changes}
    )


def test_what_is_kept_is_there_again() -> None:
    memories = Memories()
    assert memories.renewed({"web": service()}) == set()
    memories.keep("web", LEARNED)
    assert memories.renewed({"web": service(concurrency=9)}) == set()
    assert memories.of("web") == LEARNED
    assert memories.of("other") == {}


def test_another_revision_is_learned_anew() -> None:
    memories = Memories()
    memories.renewed({"web": service()})
    memories.keep("web", LEARNED)
    assert memories.renewed({"web": service("serve-2")}) == {"web"}
    assert memories.of("web") == {}


def test_services_without_such_a_rule_cost_nothing() -> None:
    memories = Memories()
    plain = {f"s{number}": Service(command=("serve",)) for number in range(100)}
    memories.renewed(plain)
    memories.keep("s1", {})
    assert (memories._kept, memories._revisions) == ({}, {})


def learned(plane: Plane) -> list[Learned]:
    timing = plane.scaler._active["web"].timing
    assert timing is not None
    return [one.learned for one in timing._rules.values() if isinstance(one, Objective)]


def teach(plane: Plane) -> None:
    timing = plane.scaler._active["web"].timing
    assert timing is not None
    (objective,) = timing._rules.values()
    assert isinstance(objective, Objective)
    objective.learned = LEARNED[RULE]


def test_a_scaler_remembers_through_a_sleep_and_forgets_with_a_revision() -> None:
    async def steps() -> None:
        plane = Plane(service())

        async def life() -> None:
            plane.wake()
            await plane.load(3, 1.0)
            teach(plane)
            await plane.loop_until_asleep()
            assert "web" not in plane.scaler._active
            plane.wake()
            assert learned(plane) == [LEARNED[RULE]]
            # Awake while the revision changes.
            plane.configure({"web": service("serve-2")})
            assert learned(plane) == [Learned()]
            teach(plane)
            plane.scaler.report(report(plane.loop.time(), 0.0, in_flight=0))
            await plane.loop_until_asleep()
            # Asleep while it changes.
            plane.configure({"web": service("serve-3")})
            plane.wake()
            assert learned(plane) == [Learned()]

        await with_loop(plane, life())

    in_time(steps)


def test_other_settings_keep_what_was_learned() -> None:
    async def steps() -> None:
        plane = Plane(service())
        plane.wake()
        teach(plane)
        wider = Scaling(rules=(RULE,), max=20)
        plane.configure({"web": service(scaling=wider)})
        assert learned(plane) == [LEARNED[RULE]]
        plane.configure({"web": service(scaling=Scaling())})
        assert plane.scaler._active["web"].timing is None

    in_time(steps)
