"""Steps take turns: in their order, a few in each, and one that fails takes no other along."""

import asyncio
from typing import Any

from gateway.turns import AT_ONCE, Turns


async def after_turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_few_run_in_each_turn_in_the_order_in_which_they_came() -> None:
    turns = Turns(asyncio.get_running_loop())
    ran: list[int] = []
    for number in range(3 * AT_ONCE):
        turns.add(lambda number=number: ran.append(number))  # type: ignore[misc]
    assert ran == []
    for turn in range(1, 4):
        await after_turns(1)
        assert ran == list(range(turn * AT_ONCE))


async def test_one_that_goes_on_comes_after_those_that_waited() -> None:
    turns = Turns(asyncio.get_running_loop())
    ran: list[str] = []

    def long(left: int) -> None:
        ran.append("long")
        if left:
            turns.add(lambda: long(left - 1))

    long(AT_ONCE * 3)
    for _ in range(AT_ONCE):
        turns.add(lambda: ran.append("short"))
    await after_turns(20)
    assert ran[:2] == ["long"] * 2
    assert ran.index("short") == 2
    assert ran.count("long") == AT_ONCE * 3 + 1


async def test_one_that_fails_is_told_of_and_the_others_run() -> None:
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda loop, context: told.append(context))
    turns = Turns(loop)
    ran: list[int] = []
    turns.add(lambda: ran.append(1 // 0))
    for number in range(AT_ONCE):
        turns.add(lambda number=number: ran.append(number))  # type: ignore[misc]
    await after_turns(4)
    assert ran == list(range(AT_ONCE))
    assert [type(one["exception"]) for one in told] == [ZeroDivisionError]
