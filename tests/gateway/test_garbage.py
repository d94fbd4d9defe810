"""What requests and connections leave behind is freed by its reference counts alone.

The collector freezes what lives on (tidegate.collector): a cycle in a long-lived connection would
stay for good.
"""

import asyncio
import gc
from collections import Counter

import pytest

from tests.support.raw_http import HELLO, Call, Stage, get, post, say_hello, stage, until

CASES = {
    "answered": get(),
    "a body": post(b"x" * 5000),
    "no such service": get(host="other.test"),
    "malformed": b"GET / HTTP/9.9\r\n\r\n",
    "half a head": b"GET / HTT",
    "reset by the replica": get("/reset"),
    "cut": get("/cut"),
    "garbage": get("/garbage"),
    "left while it waits": get("/silent"),
}


async def misbehave(call: Call) -> None:
    while True:
        head = await call.request()
        await call.body(head)
        if b"/reset" in head:
            call.reset()
            return
        if b"/silent" in head:
            await asyncio.Event().wait()
        part = HELLO[:-2] if b"/cut" in head else HELLO
        await call.send(b"garbage\r\n\r\n" if b"/garbage" in head else part)
        if b"/cut" in head:
            call.writer.close()
            return


async def begin_and_leave(s: Stage, data: bytes) -> None:
    client = await s.client()
    await client.send(data)
    if b"/silent" in data:
        await until(lambda: s.stats().in_flight)
    elif data.endswith(b"\r\n\r\n") or b"\r\n\r\n" in data:
        await client.head() if b"/cut" not in data else await client.rest()
    client.writer.close()
    await client.writer.wait_closed()


def leftovers() -> Counter[str]:
    """Objects of the gateway that only the collector could free."""
    gc.collect()
    found = Counter(
        type(one).__qualname__ for one in gc.garbage if "gateway." in type(one).__module__
    )
    gc.garbage.clear()
    return found


@pytest.mark.parametrize("name", CASES)
async def test_nothing_is_left_for_the_collector(name: str) -> None:
    async with stage(misbehave, say_hello) as s:
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(3):
                await begin_and_leave(s, CASES[name])
            await until(lambda: not s.gateway._context.connections, "all have left")
            s.gateway._close_upstreams()
            assert not leftovers()
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
