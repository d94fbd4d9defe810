"""Thousands of requests in one read: all answered in their order, a few in each turn of the loop.

Those that need no replica would else be answered in one go. A hundred clients that ask for what is
nowhere, again and again without waiting for an answer, kept a gateway busy until it was taken for
hung.
"""

import asyncio
import random

import pytest

from config.service import Service
from gateway.downstream import Downstream
from tests.support.raw_http import Call, Client, Stage, get, say_hello, stage, until

PIPELINED = "Tidegate: early pipelined bytes"
NOWHERE = b"GET /%d HTTP/1.1\r\nHost: nowhere\r\n\r\n"
MANY = 5000
ONE = {"web": Service(name="web", hosts=("web",))}


def the_only(s: Stage) -> Downstream:
    [connection] = s.gateway._context.connections
    assert isinstance(connection, Downstream)
    return connection


async def refused(client: Client, count: int) -> None:
    for _ in range(count):
        assert (await client.answer()).status == 404


@pytest.mark.rule(PIPELINED, side="client")
async def test_all_that_come_at_once_are_answered_in_their_order() -> None:
    async with stage(say_hello, services=ONE) as s:
        client = await s.client()
        asked = b"".join(NOWHERE % number for number in range(MANY))
        async with asyncio.TaskGroup() as group:
            group.create_task(client.send(asked + get("/last", host="web")))
            await refused(client, MANY)
            assert (await client.answer()).body == b"hello"
        assert s.replicas[0].heads[0].startswith(b"GET /last ")
        assert (await client.ask(get(host="web"))).status == 200


@pytest.mark.rule(PIPELINED, side="client")
async def test_others_are_served_meanwhile() -> None:
    async with stage(say_hello, services=ONE) as s:
        busy, calm = await s.client(), await s.client()
        assert (await calm.ask(get(host="web"))).status == 200
        answered = 0

        async def count() -> None:
            nonlocal answered
            for _ in range(MANY):
                await busy.answer()
                answered += 1

        async with asyncio.TaskGroup() as group:
            group.create_task(busy.send(NOWHERE % 0 * MANY))
            group.create_task(count())
            await until(lambda: answered)
            for _ in range(3):
                assert (await calm.ask(get(host="web"))).status == 200
            assert answered < MANY
        assert answered == MANY


@pytest.mark.rule(PIPELINED, side="client")
@pytest.mark.parametrize("host", ["nowhere", "web"])
async def test_what_waits_for_its_turn_is_bounded(host: str) -> None:
    """However many were answered already: an answer is no reason to read more than is held."""
    async with stage(say_hello, services=ONE) as s:
        client = await s.client()
        assert (await client.ask(get(host=host))).status in (200, 404)
        connection, most = the_only(s), 0
        asked = get("/" + "x" * 100, host=host)
        count = 2_000_000 // len(asked)

        async def watch() -> None:
            nonlocal most
            for _ in range(count):
                await client.answer()
                most = max(most, len(connection.later))

        async with asyncio.TaskGroup() as group:
            group.create_task(client.send(asked * count))
            group.create_task(watch())
        assert 0 < most <= (64 + 256) * 1024


@pytest.mark.rule(PIPELINED, side="client")
async def test_who_leaves_amidst_them_leaves_nothing_behind() -> None:
    async with stage(say_hello, services=ONE) as s:
        client = await s.client()
        await client.send(NOWHERE % 0 * MANY)
        await refused(client, 1)
        client.reset()
        await until(lambda: not s.gateway._context.connections)
        assert (await (await s.client()).ask(get(host="web"))).status == 200


async def echo(call: Call) -> None:
    while True:
        body = await call.body(await call.request())
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def a_request(chance: random.Random) -> tuple[bytes, int, bytes]:
    """Its bytes, and the status and body of its answer."""
    body = bytes(chance.randrange(256) for _ in range(chance.choice([0, 1, 300, 700])))
    match chance.randrange(4):
        case 0:
            return NOWHERE % 0 * 40, 404, b""
        case 1:
            return get(host="web"), 200, b""
        case 2:
            head = get("/", f"Content-Length: {len(body)}", host="web", method="POST")
            return head + body, 200, body
        case _:
            head = get("/", "Transfer-Encoding: chunked", host="web", method="POST")
            chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
            return head + chunks + b"0\r\n\r\n", 200, body


@pytest.mark.rule("RFC 9112 §9.3.2: pipelining", side="both")
@pytest.mark.parametrize("seed", range(4))
async def test_any_mixture_however_it_is_cut_is_answered_in_order(seed: int) -> None:
    """Turns come and go: chunks of a byte, what needs no replica, and what is held meanwhile."""
    chance = random.Random(seed)
    asked = [a_request(chance) for _ in range(300)]
    stream = b"".join(data for data, _, _ in asked)
    async with stage(echo, services=ONE) as s:
        client = await s.client()

        async def send() -> None:
            at = 0
            while at < len(stream):
                size = chance.choice([1, 50, 3000, 70_000])
                await client.send(stream[at : at + size])
                at += size
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            for number, (_, status, body) in enumerate(asked):
                if status == 404:
                    await refused(client, 40)
                else:
                    assert (await client.answer()).body == body, number
