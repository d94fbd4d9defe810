"""A limit that falls is in force at once: what comes back is not taken again.

Real eventfds and real shared memory; the processes are Shares objects of this one.
"""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.shared_places import World, collected, free


@pytest.fixture
def world() -> Iterator[World]:
    made = World(3, 2)
    made.rung()
    yield made
    made.control.close()


async def test_nothing_is_taken_while_more_are_in_use_than_a_lower_limit(world: World) -> None:
    """What comes back is not taken again before the control process could look."""
    world.control.configure({"web": 3})
    assert world.takes(0, 0, 1) == [True, True, True]
    world.control.configure({"web": 1})
    world.share(0).give()
    assert world.takes(2, 1, 0) == [False, False, False]
    await asyncio.sleep(0)
    assert world.takes(2) == [False]
    world.share(0).give()
    await collected(world)
    assert world.takes(2) == [False]
    world.share(1).give()
    assert world.takes(2, 0) == [True, False]


async def test_who_waits_is_told_when_a_lower_limit_is_reached(world: World) -> None:
    """Though everything came back before the control process could look."""
    assert world.takes(0, 0) == [True, True]
    world.control.configure({"web": 1})
    world.line(2).waiting(60)
    world.rung()
    for _ in range(2):
        world.share(0).give()
        assert world.rung() == [2]
        assert not world.share(2).take(60)
    await collected(world)
    assert 2 in world.rung()
    assert world.share(2).take(60)
    assert free(world.shared) == 0


async def test_without_a_control_process_nobody_waits_for_it(world: World) -> None:
    assert world.takes(0, 0) == [True, True]
    world.control.configure({"web": 1})
    world.share(0).give()
    world.line(1).waiting(60)
    assert not world.share(1).take(60)
    world.admitted.clear()
    world.processes[1].go_on()
    assert world.admitted == [1]
    assert world.share(1).take(60)
    world.share(1).give()
    await collected(world)


def test_a_number_that_is_used_again_is_open(world: World) -> None:
    board, number = world.control.board, world.shared.number
    board.words[board.closed(number)] = 1
    world.control.configure({"web": 0})
    assert not board.words[board.closed(number)]


@given(st.lists(st.tuples(st.sampled_from("tttgglw"), st.integers(0, 3)), max_size=40))
@settings(deadline=None)
async def test_whatever_happens_no_place_is_taken_beyond_the_present_limit(
    steps: list[tuple[str, int]],
) -> None:
    """Takes, gives, changes of the limit, and turns of the control process in any order."""
    world = World(3, 2)
    taken: list[int] = []
    limit = 2
    for step, number in steps:
        if step == "t" and world.takes(number % 3) == [True]:
            taken.append(number % 3)
            assert len(taken) <= limit
        elif step == "g" and taken:
            world.share(taken.pop(number % len(taken))).give()
        elif step == "l":
            limit = 1 + number
            world.control.configure({"web": limit})
        elif step == "w":
            await asyncio.sleep(0)
    for row in taken:
        world.share(row).give()
    await collected(world)
    assert free(world.shared) == limit
    assert world.takes(0, 1, 2, 0, 1)[:limit] == [True] * min(limit, 5)
    world.control.close()
