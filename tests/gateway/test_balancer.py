"""Choosing an endpoint."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.service import Balance
from gateway.balancer import RoundRobin, first_available, least_in_flight, picker

WAYS: list[Balance] = ["least_in_flight", "first_available", "round_robin", "random_of_two"]


@dataclass
class Load:
    in_flight: int


def loads(*counts: int) -> list[Load]:
    return [Load(count) for count in counts]


@pytest.mark.parametrize("way", WAYS)
@given(counts=st.lists(st.integers(0, 5), max_size=8), limit=st.integers(0, 5), seed=st.integers())
def test_one_with_room_is_found_if_there_is_one(
    way: Balance, counts: list[int], limit: int, seed: int
) -> None:
    index = picker(way, random.Random(seed))(loads(*counts), limit)
    room = [i for i, count in enumerate(counts) if not limit or count < limit]
    assert index in room if room else index == -1


@pytest.mark.parametrize(
    ("counts", "limit", "index"),
    [((2, 1, 1), 0, 1), ((1, 0, 0), 0, 1), ((3, 3), 3, -1), ((3, 2), 3, 1), ((), 0, -1)],
)
def test_least_in_flight_prefers_the_oldest_of_equals(
    counts: tuple[int, ...], limit: int, index: int
) -> None:
    assert least_in_flight(loads(*counts), limit) == index


def test_first_available_fills_the_oldest() -> None:
    assert first_available(loads(1, 0), 2) == 0
    assert first_available(loads(2, 0), 2) == 1


def test_round_robin_takes_turns() -> None:
    pick = RoundRobin()
    assert [pick(loads(0, 0, 0), 0) for _ in range(4)] == [0, 1, 2, 0]
    assert pick(loads(0), 0) == 0


def test_random_of_two_avoids_the_busiest() -> None:
    pick = picker("random_of_two", random.Random(1))
    assert 2 not in {pick(loads(0, 0, 9, 0), 0) for _ in range(200)}
