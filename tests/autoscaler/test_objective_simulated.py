"""The latency objective in a model of replicas, decided by a whole policy, in virtual time.

The model is in tests/support/replica_model.py, and `ideal` finds by trying every number what the
objective has to find without being told anything. A decision is made every two seconds; after a
panic none goes down for a stable window (a minute), which is most of the time it takes to settle.
"""

import math
from itertools import pairwise

import pytest

from autoscaler.policy import Policy
from config.scaling import Idle
from tests.support.replica_model import Work, World, ideal
from tests.support.scaling_facts import scaling

TARGET = 0.3
SERVERS = 4
SETTLED = 240.0  # seconds: 120 decisions
SEEDS = [1, 2]


def policy(target: float = TARGET, **changes: object) -> Policy:
    rule = {"metric": "latency", "percentile": 95.0, "target": target}
    return Policy(scaling(**{"rules": [rule], **changes}))


def steady(rate: float, **options: object) -> World:
    target = float(options.pop("target", TARGET))  # type: ignore[arg-type]
    return World(policy(target), lambda _: rate, **options)  # type: ignore[arg-type]


def reason(world: World) -> str:
    return world.decisions[-1].wishes[0].reason


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("rate", "target", "sigma"),
    [
        pytest.param(20, 0.3, 0.3, id="one replica is enough"),
        pytest.param(120, 0.3, 0.3, id="two"),
        pytest.param(350, 0.3, 0.3, id="five"),
        pytest.param(200, 0.12, 0.3, id="a target near the work itself"),
        pytest.param(200, 0.5, 1.0, id="work of very different length"),
    ],
)
def test_it_finds_the_fewest_replicas_and_holds_them(
    rate: float, target: float, sigma: float, seed: int
) -> None:
    """Within 120 decisions to within one replica of the ideal; from there on it does not move."""
    best = ideal(rate, target, servers=SERVERS, work=Work(sigma=sigma))
    world = steady(rate, target=target, work=Work(sigma=sigma), seed=seed).run(600)
    assert abs(world.most(SETTLED) - best) <= 1
    assert len(world.changes(SETTLED)) <= 2
    assert world.changes(SETTLED + 120) == []
    assert [learned.wait for learned in world.policy.memory.values()] == [False]
    assert world.percentile(95, SETTLED) <= target


@pytest.mark.parametrize(("clients", "best"), [(60, 3), (150, 7)])
def test_clients_that_wait_for_their_answers_are_told_apart(clients: int, best: int) -> None:
    """In a closed loop more replicas bring more requests a second: what a replica bears is then
    counted in requests at once, or the search would never end."""
    world = World(policy(), lambda _: 0.0, clients=clients).run(400)
    assert best <= world.replicas_wanted <= best + 1
    assert world.changes(SETTLED) == []
    assert world.percentile(95, SETTLED) <= TARGET


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("rate", "needed"), [pytest.param(30, 1), pytest.param(100, 2), pytest.param(300, 4)]
)
def test_it_does_not_run_away_with_a_slow_dependency(rate: float, needed: int, seed: int) -> None:
    """Half a second of each answer is spent elsewhere: no number of replicas brings it to 0.3 s."""
    assert needed == ideal(rate, 0.56 * 1.25, servers=SERVERS, work=Work(delay=0.5))
    world = steady(rate, work=Work(delay=0.5), seed=seed).run(600)
    assert needed <= world.most(SETTLED, 300) <= needed + 1
    assert world.most(SETTLED) <= needed + 2  # for seconds, each time that it is tried again
    assert world.most(0) <= 2 * needed + 1
    assert "latency does not follow the number of replicas: " in reason(world)
    assert len(world.changes(SETTLED)) <= 8
    assert world.percentile(95, SETTLED) < 0.56 * 1.35


def test_it_does_not_run_away_with_a_dependency_that_is_overrun() -> None:
    """50 answers a second are all that the dependency gives, and 60 requests come."""
    world = steady(60, work=Work(pool=[0.0] * 5, pool_time=0.1)).run(600)
    assert world.most(0) <= 5
    assert "does not follow" in reason(world)


def test_a_dependency_that_recovers_is_noticed() -> None:
    world = steady(100, work=Work(delay=0.5)).run(200)
    assert "does not follow" in reason(world)
    world.work.delay = 0.0
    world.run(400)
    assert "does not follow" not in reason(world)
    assert world.percentile(95, 380) <= TARGET


def test_replicas_that_help_after_all_are_added() -> None:
    """What does not follow once is tried again, five minutes later, then ever more seldom."""
    work = Work(delay=0.5)
    world = steady(100, work=work).run(200)
    assert "does not follow" in reason(world)
    # Now it is the replicas that are slow: as slow as it was before.
    work.delay, work.mean = 0.0, 0.15
    world.run(900)
    assert world.percentile(95, 780) <= TARGET


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slower_revision_is_learned_anew(seed: int) -> None:
    world = steady(200, seed=seed).run(300)
    assert world.policy.memory
    world.work.mean = 0.1
    world.policy.relearn()
    assert not world.policy.memory
    best = ideal(200, TARGET, servers=SERVERS, work=Work(mean=0.1))
    world.run(800)
    assert abs(world.most(300 + SETTLED) - best) <= 1
    assert world.percentile(95, 300 + SETTLED) <= TARGET


def test_a_step_of_load_is_met_by_what_was_learned() -> None:
    """Once a replica is known, no search: in six decisions there is enough for four times as
    much, and in a minute or two no more than that."""
    world = World(policy(), lambda at: 100 if at < 300 else 400).run(312)
    high = ideal(400, TARGET, servers=SERVERS, work=Work())
    assert high <= world.replicas_wanted <= high + 3
    world.run(700)
    assert abs(world.most(500) - high) <= 1
    assert world.percentile(95, 340) <= TARGET


def test_load_that_falls_takes_replicas_with_it() -> None:
    world = World(policy(), lambda at: 400 if at < 300 else 100).run(700)
    low = ideal(100, TARGET, servers=SERVERS, work=Work())
    assert abs(world.replicas_wanted - low) <= 1
    assert world.percentile(95, SETTLED) <= TARGET


def test_a_ramp_is_followed() -> None:
    """From 20 to 620 requests a second in ten minutes: late by seconds, not by a window."""
    world = World(policy(), lambda at: 20 + at).run(600)
    assert world.percentile(95, 60) <= TARGET
    best = ideal(600, TARGET, servers=SERVERS, work=Work())
    assert world.replicas_wanted <= best * 1.5


def test_what_was_learned_outlives_sleep() -> None:
    asleep = Idle(stop_after=30.0)
    world = World(policy(idle=asleep), lambda at: 200 if at < 300 else 0).run(400)
    assert world.replicas_wanted == 0
    memory = world.policy.memory
    (learned,) = memory.values()
    awake = World(Policy(world.policy.scaling, memory=memory), lambda _: 200).run(20)
    assert awake.replicas_wanted - math.ceil(200 / learned.good) in (0, 1)
    ignorant = World(policy(idle=asleep), lambda _: 200).run(20)
    assert awake.percentile(95, 10) < ignorant.percentile(95, 10)


def test_few_answers_change_nothing() -> None:
    """One request in five seconds: no percentile can be told from a minute of them."""
    world = World(policy(initial=1), lambda _: 0.2, work=Work(mean=1.0)).run(600)
    assert {number for _, number in world.wanted} == {1}
    assert "answers to judge by" in reason(world)


def test_many_replicas_of_a_trickle_are_given_up() -> None:
    """As `initial` wants them: so little at once is no load for so many."""
    world = World(policy(initial=8), lambda _: 0.2).run(300)
    assert world.replicas_wanted == 1


def test_a_start_that_takes_long_is_no_staircase() -> None:
    """While replicas start, nothing new is asked for."""
    world = steady(200, start=15.0).run(100)
    changes = world.changes(0)
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(changes)]
    assert min(gaps[:2]) >= 15.0
    assert world.most(0) <= 2 * ideal(200, TARGET, servers=SERVERS, work=Work()) + 3
