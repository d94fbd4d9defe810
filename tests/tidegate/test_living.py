"""A gateway process that is silent when asked hangs; one that nobody asked does not."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from cluster import wire
from tests.support.virtual_time import VirtualTimeLoop, run
from tidegate.descriptors import Passing
from tidegate.link import Link
from tidegate.living import ASK_EVERY, HUNG_AFTER, HUNG_AT_START, Living


class Asked:
    """The other end: answers every question for which `alive` is true."""

    def __init__(self, alive: Callable[[int], bool]) -> None:
        self.living = Living(cast(Link, self), "gateway-0", cast(Passing, None))
        self.questions = 0
        self._alive = alive

    def send(self, message: wire.Message) -> None:
        assert isinstance(message, wire.Ping)
        self.questions += 1
        if self._alive(self.questions):
            asyncio.get_running_loop().call_later(0.1, self.living.heard)


async def found_hung(asked: Asked, within: float) -> float:
    """When; infinity if not."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with asyncio.timeout(within):
            await asked.living.hung()
    except TimeoutError:
        return float("inf")
    return loop.time() - begun


def test_one_that_answers_is_never_hung() -> None:
    assert run(found_hung(Asked(lambda _: True), 1000)) == float("inf")


def test_one_that_answers_now_and_then_is_not_hung() -> None:
    assert run(found_hung(Asked(lambda n: n % HUNG_AFTER == 0), 1000)) == float("inf")


@pytest.mark.parametrize("answers", [1, 2, 50])
def test_one_that_answers_no_more_is_found_within_the_bound(answers: int) -> None:
    when = run(found_hung(Asked(lambda n: n <= answers), 1000))
    last_answer = (answers - 1) * ASK_EVERY + 0.1
    assert HUNG_AFTER * ASK_EVERY < when - last_answer <= (HUNG_AFTER + 1) * ASK_EVERY


def test_one_that_still_starts_has_more_time() -> None:
    assert run(found_hung(Asked(lambda _: False), 1000)) == HUNG_AT_START * ASK_EVERY


def test_a_machine_that_stood_still_blames_nobody() -> None:
    """As in a container that was paused: it was asked once in all that time."""

    async def paused() -> float:
        loop = cast(VirtualTimeLoop, asyncio.get_running_loop())
        for second in range(20):
            loop.call_later(second + 0.05, loop.jump, 100)
        return await found_hung(Asked(lambda _: True), 3000)

    assert run(paused()) == float("inf")


def test_nobody_waits_for_one_that_is_gone() -> None:
    """Neither for its counts nor for the end of its requests."""

    async def waiting() -> float:
        living = Living(cast(Link, Silent()), "gateway-0", cast(Passing, None))
        loop = asyncio.get_running_loop()
        loop.call_later(0.2, living.gone)
        await asyncio.gather(living.count(100), living.drain(100))
        return loop.time()

    assert run(waiting()) == pytest.approx(0.2)


class Silent:
    def send(self, message: wire.Message) -> None:
        """Never answered."""
