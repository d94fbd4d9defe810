"""A gateway whose control process is gone waits for the next one."""

import asyncio
import time
from typing import cast

from tidegate.link import Link
from tidegate.worker import Orphanage

LINK = cast(Link, object())


async def test_the_next_one_is_waited_for() -> None:
    orphanage = Orphanage(None, 60.0)
    asyncio.get_running_loop().call_soon(orphanage.taken, LINK)
    assert await orphanage.next() is LINK


async def test_nobody_comes_in_time() -> None:
    assert await Orphanage(None, 0.01).next() is None


async def test_one_that_came_while_the_machine_stood_still_is_taken() -> None:
    """In the turn of the loop in which the time is up: what serves would leave for nothing."""
    loop, orphanage = asyncio.get_running_loop(), Orphanage(None, 0.01)
    loop.call_soon(time.sleep, 0.05)
    loop.call_soon(loop.call_soon, orphanage.taken, LINK)
    assert await orphanage.next() is LINK


async def test_who_is_told_to_end_waits_for_nobody() -> None:
    orphanage = Orphanage(None, None)
    asyncio.get_running_loop().call_soon(orphanage.end)
    assert await orphanage.next() is None
