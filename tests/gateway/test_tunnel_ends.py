"""When tunnels end by themselves: silence both ways, and the end of a drain."""

import asyncio

from config.service import Timeouts
from tests.support.raw_http import Call, Client, Stage, get, stage, until

UPGRADE = get("/", "Connection: Upgrade", "Upgrade: echo")


async def echo(call: Call) -> None:
    """A tunnel that gives back what it gets."""
    await call.request()
    await call.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    )
    while data := await call.reader.read(100):
        await call.send(data)


async def swallow(call: Call) -> None:
    """A tunnel that says nothing."""
    await call.request()
    await call.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    )
    while await call.reader.read(100):
        pass


async def tunnel(s: Stage) -> Client:
    client = await s.client()
    await client.send(UPGRADE)
    assert (await client.head()).status == 101
    return client


async def test_a_tunnel_in_which_nothing_moves_is_closed() -> None:
    async with stage(echo, timeouts=Timeouts(idle=0.2)) as s:
        client = await tunnel(s)
        assert await client.is_closed()
        await until(lambda: s.replicas[0].open == 0)
        await until(lambda: s.stats().in_flight == 0)


async def test_bytes_in_either_direction_keep_a_tunnel_open() -> None:
    """Several times the idle timeout, with the client alone speaking."""
    async with stage(swallow, timeouts=Timeouts(idle=0.3)) as s:
        client = await tunnel(s)
        loop = asyncio.get_running_loop()
        end = loop.time() + 1.2
        while loop.time() < end:
            await client.send(b"x")
            assert s.stats().in_flight == 1
            await asyncio.sleep(0.05)
        assert await client.is_closed()


async def test_without_an_idle_timeout_a_silent_tunnel_lives_on() -> None:
    async with stage(echo, idle_timeout=0.1) as s:
        client = await tunnel(s)
        await asyncio.sleep(0.5)
        await client.send(b"ping")
        assert await client.reader.readexactly(4) == b"ping"


async def test_a_drain_lets_tunnels_live_until_its_deadline() -> None:
    async with stage(echo) as s:
        client = await tunnel(s)
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(s.gateway.drain(0.5))
            await asyncio.sleep(0.1)
            await client.send(b"ping")
            assert await client.reader.readexactly(4) == b"ping"
            assert not drain.done()
            assert await client.is_closed()
        await until(lambda: s.replicas[0].open == 0)
        assert s.stats().in_flight == 0
