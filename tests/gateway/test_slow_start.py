"""New replicas get a share that grows; nobody waits for it, whatever the way of choosing."""

import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.messages import Endpoint
from cluster.model import Address
from config.service import Balance
from gateway.balancer import picker
from gateway.dispatch import Dispatcher, Slot
from gateway.slow_start import LEAST, SlowStart, weight

WAYS: list[Balance] = ["least_in_flight", "first_available", "round_robin", "random_of_two"]


@dataclass(eq=False)
class Load:
    in_flight: int = 0


def slowly(way: Balance, seconds: float = 10.0) -> SlowStart:
    return SlowStart(picker(way, random.Random(7)), seconds)


def share(way: Balance, age: float, count: int = 4, new: int = 0, kept: int = 0) -> float:
    """Of 2000 requests, the part that goes to the new one of `count`. Each endpoint keeps the last
    `kept` of its requests in flight, so that there is load."""
    endpoints = [Load() for _ in range(count)]
    pick = slowly(way)
    pick.add(endpoints[new], 0.0)
    pick.age(age, endpoints)
    got: Counter[int] = Counter()
    flying: list[int] = []
    for _ in range(2000):
        index = pick(endpoints, 0)
        got[index] += 1
        endpoints[index].in_flight += 1
        flying.append(index)
        if len(flying) > kept:
            endpoints[flying.pop(0)].in_flight -= 1
    return got[new] / 2000


@pytest.mark.parametrize(
    ("age", "expected"), [(0.0, LEAST), (0.5, LEAST), (5.0, 0.5), (9.0, 0.9), (10.0, 1.0), (99, 1)]
)
def test_the_weight_grows_in_a_straight_line(age: float, expected: float) -> None:
    assert weight(age, 10.0) == pytest.approx(expected)


def test_without_a_time_everything_is_grown_up() -> None:
    assert weight(0.0, 0.0) == 1.0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kept", [0, 40])
def test_the_share_grows_from_a_small_part_to_what_it_is_without(way: Balance, kept: int) -> None:
    shares = [share(way, age, kept=kept) for age in (0.0, 2.5, 5.0, 7.5, 10.0)]
    assert shares == sorted(shares)
    # A tenth of what it gets in the end; exact counts depend on the way of choosing.
    assert 0 < shares[0] <= 0.16 * shares[-1] + 0.01
    assert 0.3 * shares[-1] <= shares[2] <= 0.7 * shares[-1]


def test_among_many_under_load_a_new_one_has_a_part_of_what_each_other_has() -> None:
    """To be passed over is not enough there: an empty one would be chosen each time."""
    assert share("least_in_flight", 0.0, count=20, kept=400) < 0.3 / 20


def test_when_all_are_new_the_younger_has_less_and_nobody_waits() -> None:
    older, younger = Load(), Load()
    pick = slowly("round_robin")
    pick.add(older, 0.0)
    pick.add(younger, 4.0)
    assert pick.age(5.0, [older, younger])
    got = Counter(pick([older, younger], 0) for _ in range(1000))
    assert got[1] / got[0] == pytest.approx(1 / 5, rel=0.05)


def test_one_that_is_alone_gets_everything() -> None:
    only = Load()
    pick = slowly("least_in_flight")
    pick.add(only, 0.0)
    pick.age(0.0, [only])
    assert [pick([only], 3) for _ in range(5)] == [0] * 5


@pytest.mark.parametrize("way", WAYS)
@given(
    loads=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=8),
    limit=st.integers(0, 5),
    age=st.floats(0, 12),
    asked=st.integers(1, 5),
)
def test_one_with_room_is_found_if_there_is_one(
    way: Balance, loads: list[tuple[int, bool]], limit: int, age: float, asked: int
) -> None:
    """A request never waits because all that have room are new."""
    pick = slowly(way)
    endpoints = [Load(count) for count, _ in loads]
    for endpoint, (_, is_new) in zip(endpoints, loads, strict=True):
        if is_new:
            pick.add(endpoint, 0.0)
    pick.age(age, endpoints)
    room = [i for i, load in enumerate(endpoints) if not limit or load.in_flight < limit]
    for _ in range(asked):
        index = pick(endpoints, limit)
        assert index in room if room else index == -1


def test_what_is_gone_or_grown_up_is_forgotten() -> None:
    pick = slowly("least_in_flight")
    gone, grown, young = Load(), Load(), Load()
    for since, newcomer in ((5.0, gone), (0.0, grown), (9.0, young)):
        pick.add(newcomer, since)
    assert pick.age(10.0, [grown, young])
    assert not pick.age(19.0, [grown, young])


# In the dispatcher


def endpoints(*names: str) -> list[Endpoint]:
    return [Endpoint(name, Address("127.0.0.1", 1000 + ord(name[-1]))) for name in names]


def dispatcher(slow_start: float = 10.0, concurrency: int = 0) -> Dispatcher[int]:
    made: Dispatcher[int] = Dispatcher(random.Random(3))
    made.configure(
        concurrency=concurrency, queue_size=9, balance="round_robin", slow_start=slow_start
    )
    return made


def answered(d: Dispatcher[int], count: int = 100) -> Counter[str]:
    """Requests one after the other."""
    got: Counter[str] = Counter()
    for _ in range(count):
        slot = d.acquire()
        assert slot is not None
        got[slot.endpoint.replica] += 1
        d.release(slot)
    return got


def test_those_that_are_there_at_first_are_grown_up() -> None:
    d = dispatcher()
    d.update(endpoints("a", "b"))
    assert not d.is_growing
    assert answered(d) == {"a": 50, "b": 50}


def test_one_that_comes_grows_and_then_costs_nothing() -> None:
    d = dispatcher()
    d.update(endpoints("a"))
    d.update(endpoints("a", "b"), 100.0)
    assert answered(d)["b"] <= 10
    d.grow(105.0)
    assert 30 <= answered(d)["b"] <= 36
    d.grow(110.0)
    assert not d.is_growing
    assert answered(d)["b"] == 50


def test_a_snapshot_with_nothing_new_changes_no_share() -> None:
    d = dispatcher()
    d.update(endpoints("a"))
    d.update(endpoints("a", "b"), 100.0)
    d.update(endpoints("a", "b"), 105.0)
    assert 30 <= answered(d)["b"] <= 36


def test_one_that_was_away_starts_slowly_again() -> None:
    d = dispatcher()
    d.update(endpoints("a", "b"))
    d.update(endpoints("a"), 100.0)
    d.update(endpoints("a", "b"), 101.0)
    assert answered(d)["b"] <= 10


def test_one_that_is_still_leaving_when_it_returns_starts_slowly_too() -> None:
    d = dispatcher()
    d.update(endpoints("b", "a"))
    held = d.acquire()
    assert isinstance(held, Slot)
    d.update(endpoints("a"), 100.0)
    d.update(endpoints("a", "b"), 101.0)
    assert held in d.slots
    assert answered(d)["b"] <= 10


def test_without_slow_start_nothing_grows() -> None:
    d = dispatcher(slow_start=0.0)
    d.update(endpoints("a"))
    d.update(endpoints("a", "b"), 100.0)
    assert not d.is_growing
    assert answered(d) == {"a": 50, "b": 50}


def test_turned_off_on_reload_it_ends_at_the_next_look() -> None:
    d = dispatcher()
    d.update(endpoints("a"))
    d.update(endpoints("a", "b"), 100.0)
    d.configure(concurrency=0, queue_size=9, balance="first_available", slow_start=0.0)
    d.grow(100.1)
    assert not d.is_growing
    assert answered(d) == {"a": 100}


def test_with_a_limit_the_overflow_goes_to_the_new_one() -> None:
    d = dispatcher(concurrency=1)
    d.update(endpoints("a"))
    d.update(endpoints("a", "b"), 100.0)
    taken = [d.acquire(), d.acquire()]
    assert {slot.endpoint.replica for slot in taken if slot} == {"a", "b"}
    assert d.acquire() is None
