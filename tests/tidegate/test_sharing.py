"""Places shared by several processes: never too many, none lost, nobody forgotten.

Real eventfds and real shared memory; the processes are Shares objects of this one.
"""

import asyncio
import os
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.messages import Endpoint, EndpointSnapshot
from cluster.model import Address
from gateway.dispatch import Dispatcher
from gateway.peers import JUST_CAME
from tests.support.shared_places import KEY, SNAPSHOT, World, free
from tidegate.board import STEP
from tidegate.shares import Shares


@pytest.fixture
def world() -> Iterator[World]:
    made = World(3, 2)
    made.rung()
    yield made
    made.control.close()


def test_the_limit_is_one_for_all(world: World) -> None:
    assert world.takes(0, 1, 2, 0) == [True, True, False, False]
    world.share(1).give()
    assert world.takes(2, 1) == [True, False]


def test_a_service_without_a_limit_has_no_peers(world: World) -> None:
    assert world.processes[0].peers("other") is None


def test_nothing_is_taken_before_the_descriptor_is_there(world: World) -> None:
    late = Shares(world.control.board, 2, world.control.bells, lambda _: None, lambda _: None)
    late.configure(world.control.lines_in_use(), world.control.limits)
    late.open(*KEY, world.shared.number)
    line = late.peers("web")
    assert line is not None
    assert not line.tokens("web-1").take(JUST_CAME)
    late.arrived(world.shared.number, world.shared.descriptor)
    assert line.tokens("web-1").take(JUST_CAME)


def test_one_that_just_came_leaves_its_place_to_one_that_waits(world: World) -> None:
    world.line(2).waiting(50)
    assert world.takes(0) == [False]
    assert world.rung() == [2]
    assert free(world.shared) == 2
    assert world.share(2).take(50)


def test_who_gives_back_rings_for_the_longest_waiting_only(world: World) -> None:
    assert world.takes(0, 0) == [True, True]
    world.line(1).waiting(70)
    world.line(2).waiting(60)
    world.share(0).give()
    assert world.rung() == [2]
    assert not world.share(1).take(70)
    assert world.share(2).take(60)


def test_who_leaves_the_line_passes_on_what_it_was_told(world: World) -> None:
    world.line(1).waiting(70)
    world.line(2).waiting(60)
    world.rung()
    world.line(2).waiting(0)
    assert world.rung() == [1]


def test_equal_stamps_do_not_wait_for_each_other(world: World) -> None:
    for row in range(3):
        world.line(row).waiting(60)
    assert [world.share(row).take(60) for row in (2, 1, 0)] == [False, False, True]


def test_nobody_rings_when_nobody_waits(world: World) -> None:
    assert world.takes(0) == [True]
    world.share(0).give()
    assert world.rung() == []


@given(st.lists(st.integers(0, 2), max_size=3), st.integers(0, 2), st.booleans())
@settings(deadline=None)
async def test_a_dead_process_leaves_nothing_behind(
    takers: list[int], dead: int, in_between: bool
) -> None:
    """Whatever it held, and if it died while a token was on its way in or out."""
    world = World(3, 3)
    world.takes(*takers)
    words, at = world.control.board.words, world.control.board.share(dead, world.shared.number)
    if in_between:
        words[at] += STEP
        if free(world.shared):
            os.eventfd_read(world.shared.descriptor)
    world.line(dead).waiting(10)
    world.rung()
    world.control.bury(dead)
    left = 3 - sum(row != dead for row in takers)
    assert free(world.shared) == left
    assert world.rung() == [0, 1, 2]
    assert world.takes((dead + 1) % 3) == [left > 0]
    world.control.close()


async def test_what_a_dead_process_had_is_cleared_before_its_successor_comes(world: World) -> None:
    """Or its waiting requests and connections would be in the way of others until then."""
    for row, shares in enumerate(world.processes):
        shares.queue("other").tell(10 + row)
        shares.connections.tell(20 + row)
        shares.clients.tell(b"10.0.0.1", 1 + row)
    world.control.bury(1)
    survivor = world.processes[0]
    assert survivor.queue("other").total() == 10 + 12
    assert survivor.connections.total() == 20 + 22
    assert survivor.clients.total(b"10.0.0.1", 1) == 1 + 3


async def test_a_token_on_its_way_in_a_living_process_is_waited_for(world: World) -> None:
    assert world.takes(0, 1) == [True, True]
    words, at = world.control.board.words, world.control.board.share(1, world.shared.number)
    words[at] += STEP
    world.control.bury(0)
    assert free(world.shared) == 0
    os.eventfd_write(world.shared.descriptor, 1)
    words[at] += STEP - 1
    async with asyncio.timeout(30):
        while free(world.shared) != 2:  # noqa: ASYNC110 (eventfds are looked at, not told)
            await asyncio.sleep(0.001)


async def test_a_lower_limit_takes_away_what_comes_back(world: World) -> None:
    assert world.takes(0, 1) == [True, True]
    world.control.configure({"web": 1})
    world.share(0).give()
    async with asyncio.timeout(30):
        while world.shared.owed:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert free(world.shared) == 0
    world.share(1).give()
    assert free(world.shared) == 1


async def test_a_higher_limit_is_there_at_once_and_told(world: World) -> None:
    assert world.takes(0, 1, 2) == [True, True, False]
    world.control.configure({"web": 3})
    assert world.rung() == [0, 1, 2]
    assert world.takes(2) == [True]


def test_without_a_limit_nothing_is_shared_and_the_number_is_used_again(world: World) -> None:
    ((key, number),) = world.control.configure({"web": 0})
    assert (key, number) == (KEY, world.shared.number)
    assert world.control.everything() == []
    world.control.configure({"web": 2})
    ((_, again),) = world.control.meet([SNAPSHOT])
    assert again.number == number
    assert world.control.meet([SNAPSHOT]) == []


class FirstLimit:
    """A service gets a limit of 2 while requests are in flight to its replica."""

    def __init__(self, in_flight: list[int]) -> None:
        self.world = world = World(3, 1)
        world.control.configure({"web": 0})
        world.control.configure({"web": 2})
        rows = range(len(in_flight))
        ((_, self.shared),) = world.control.meet([SNAPSHOT], busy=rows)
        world.shared = self.shared
        for row, count in enumerate(in_flight):
            shares = world.processes[row]
            shares.configure(world.control.lines_in_use(), [])
            shares.configure(world.control.lines_in_use(), ["web"])
            world.share(row).adopt(count)

    def joins(self, row: int) -> None:
        number = self.shared.number
        self.world.processes[row].arrived(number, os.dup(self.shared.descriptor))
        self.world.processes[row].open(*KEY, number, ask=True)


@given(st.lists(st.integers(0, 2), min_size=3, max_size=3), st.permutations(range(3)))
@settings(deadline=None)
async def test_a_first_limit_counts_what_is_in_flight(
    in_flight: list[int], order: list[int]
) -> None:
    first = FirstLimit(in_flight)
    for row in order:
        assert free(first.shared) == 0
        first.joins(row)
    assert free(first.shared) == max(0, 2 - sum(in_flight))
    for row, count in enumerate(in_flight):
        for _ in range(count):
            first.world.share(row).give()
    async with asyncio.timeout(30):
        while first.shared.owed:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert free(first.shared) == 2
    first.world.control.close()


async def test_a_first_limit_does_not_wait_for_the_dead() -> None:
    first = FirstLimit([1, 0, 0])
    first.joins(0)
    first.world.control.bury(2)
    assert free(first.shared) == 0
    first.world.control.bury(1)
    assert free(first.shared) == 1
    first.world.control.close()


async def test_what_ends_before_the_share_is_there_was_never_in_it() -> None:
    first = FirstLimit([2, 0, 0])
    first.world.share(0).give()
    for row in range(3):
        first.joins(row)
    assert free(first.shared) == 1
    first.world.control.close()


async def test_a_replica_that_appears_when_nobody_makes_shares_any_more_is_served(
    world: World,
) -> None:
    """After a takeover: its limit is this process's alone, and what was shared stays so."""
    shares, line = world.processes[1], world.line(1)
    dispatcher: Dispatcher[str] = Dispatcher(random.Random(1))
    dispatcher.configure(concurrency=1, queue_size=9, balance="least_in_flight")
    dispatcher.share(line)
    dispatcher.wait("first")
    dispatcher.wait("second")
    dispatcher.update([Endpoint("web-2", Address("127.0.0.1", 81))])
    assert dispatcher.admit() is None
    world.admitted.clear()
    shares.finish()
    assert world.admitted == [1]
    admitted = dispatcher.admit()
    assert admitted is not None
    assert dispatcher.admit() is None  # one at a time
    dispatcher.release(admitted[1])
    assert dispatcher.admit() is not None
    assert world.takes(0, 0, 1) == [True, True, False]


def test_a_share_that_comes_too_late_is_not_opened(world: World) -> None:
    """What holds no place of it would give one back."""
    shares = world.processes[1]
    fresh = EndpointSnapshot("web", 2, (Endpoint("web-2", Address("127.0.0.1", 81)),))
    ((key, shared),) = world.control.meet([fresh])
    shares.open(*key, shared.number)
    shares.finish()
    tokens = world.line(1).tokens("web-2")
    assert tokens.take(JUST_CAME)
    shares.arrived(shared.number, os.dup(shared.descriptor))
    tokens.give()
    assert free(shared) == 2
