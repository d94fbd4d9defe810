"""When tunnels end by themselves: silence both ways, and the end of a drain."""

import asyncio

import pytest

from config.service import Timeouts
from tests.support.raw_http import Call, Client, Stage, get, stage, until

UPGRADE = get("/", "Connection: Upgrade", "Upgrade: echo")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


async def echo(call: Call) -> None:
    """A tunnel that gives back what it gets."""
    await call.request()
    await call.send(SWITCHED)
    while data := await call.reader.read(100):
        await call.send(data)


async def swallow(call: Call) -> None:
    """A tunnel that says nothing."""
    await call.request()
    await call.send(SWITCHED)
    while await call.reader.read(100):
        pass


async def tunnel(s: Stage) -> Client:
    client = await s.client()
    await client.send(UPGRADE)
    assert (await client.head()).status == 101
    return client


@pytest.mark.rule("Tidegate: tunnels alive by bytes", side="both")
async def test_a_tunnel_in_which_nothing_moves_is_closed() -> None:
    async with stage(echo, timeouts=Timeouts(idle=0.2)) as s:
        client = await tunnel(s)
        assert await client.is_closed()
        await until(lambda: s.replicas[0].open == 0)
        await until(lambda: s.stats().in_flight == 0)


@pytest.mark.rule("Tidegate: tunnels alive by bytes", side="client")
async def test_bytes_of_the_client_alone_keep_a_tunnel_open() -> None:
    """Several times the idle timeout."""
    async with stage(swallow, timeouts=Timeouts(idle=0.3)) as s:
        client = await tunnel(s)
        loop = asyncio.get_running_loop()
        end = loop.time() + 1.2
        while loop.time() < end:
            await client.send(b"x")
            assert s.stats().in_flight == 1
            await asyncio.sleep(0.05)
        assert await client.is_closed()


@pytest.mark.rule("Tidegate: tunnels alive by bytes", side="replica")
async def test_bytes_of_the_replica_alone_keep_a_tunnel_open() -> None:
    """Several times the idle timeout; then both are silent, and it ends."""

    async def speak(call: Call) -> None:
        await call.request()
        await call.send(SWITCHED)
        for _ in range(12):
            await call.send(b"x")
            await asyncio.sleep(0.05)
        await call.reader.read()

    async with stage(speak, timeouts=Timeouts(idle=0.2)) as s:
        client = await tunnel(s)
        assert await client.rest() == b"x" * 12
        await until(lambda: s.replicas[0].open == 0)


@pytest.mark.rule("RFC 9112 §9.6: half-closed tunnels", side="replica")
async def test_a_replica_may_end_its_half_first_rfc9112_9_6() -> None:
    """What the client still has to say reaches it, and the end of that, too."""

    async def ends_first(call: Call) -> None:
        await call.request()
        await call.send(SWITCHED + b"bye")
        call.writer.write_eof()
        call.replica.bodies.append(await call.reader.read())

    async with stage(ends_first) as s:
        client = await tunnel(s)
        assert await client.rest() == b"bye"
        await client.send(b"still here")
        assert s.stats().in_flight == 1
        client.writer.write_eof()
        await until(lambda: s.replicas[0].bodies)
        assert s.replicas[0].bodies == [b"still here"]
        await until(lambda: s.stats().in_flight == 0)


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
