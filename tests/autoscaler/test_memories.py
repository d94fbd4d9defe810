"""What was learned outlives a sleep, and no revision."""

import asyncio

from autoscaler.learned import Learned
from autoscaler.memories import Memories
from autoscaler.objective import Objective
from autoscaler.policy import Policy
from config.rules import LatencyRule
from config.scaling import Scaling
from config.service import Service
from tests.support.control_world import control_world, reconfigure
from tests.support.scaling_facts import report
from tests.support.scaling_plane import Plane, in_time, with_loop
from tests.support.virtual_time import run

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


def taught(policy: Policy) -> Objective:
    assert policy.timing is not None
    (objective,) = policy.timing._rules.values()
    assert isinstance(objective, Objective)
    return objective


def teach(plane: Plane) -> None:
    taught(plane.scaler._active["web"]).learned = LEARNED[RULE]


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


def test_what_was_learned_of_a_revision_goes_when_it_is_rolled_back() -> None:
    """The file is the same; what runs is another one."""

    async def story() -> None:
        async with control_world(service()) as world:
            for command in ("serve", "serve-2"):
                reconfigure(world, service(command))
                world.wake()
                await world.until(lambda: world.ready() == 1)
                await asyncio.sleep(service().rollout.healthy_for + 0.1)
            spec = world.registry.specs["web"]
            for turn in (world.rollouts.rollback, world.rollouts.release):
                taught(world.scaler._active["web"]).learned = LEARNED[RULE]
                turn(spec)
                assert taught(world.scaler._active["web"]).learned == Learned()
            taught(world.scaler._active["web"]).learned = LEARNED[RULE]
            world.rollouts.restart(spec)
            assert taught(world.scaler._active["web"]).learned == LEARNED[RULE]
            # Asleep while it is rolled back.
            await world.until(lambda: "web" not in world.scaler._active)
            assert world.scaler._active._memories.of("web") == LEARNED
            world.rollouts.rollback(spec)
            assert world.scaler._active._memories.of("web") == {}

    run(story())


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
