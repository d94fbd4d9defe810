"""When tunnels end by themselves: silence both ways, and the end of a drain."""

import asyncio

import pytest

from config.service import Timeouts
from tests.support.raw_http import PATIENCE, Call, Client, Stage, get, stage, until

IDLE = 60.0  # seconds: they pass when a test says so
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
    """Several times the idle timeout; then both are silent, and it ends."""
    heard = 0

    async def listen(call: Call) -> None:
        nonlocal heard
        await call.request()
        await call.send(SWITCHED)
        while data := await call.reader.read(100):
            heard += len(data)

    async with stage(listen, timeouts=Timeouts(idle=IDLE)) as s:
        client = await tunnel(s)
        for number in range(1, 4):
            await client.send(b"x")
            await until(lambda: heard == number)  # noqa: B023
            await s.passes(IDLE)
            assert s.stats().in_flight == 1
        await s.passes(IDLE)
        assert await client.is_closed()


@pytest.mark.rule("Tidegate: tunnels alive by bytes", side="replica")
async def test_bytes_of_the_replica_alone_keep_a_tunnel_open() -> None:
    """Several times the idle timeout; then both are silent, and it ends."""

    async with stage(swallow, timeouts=Timeouts(idle=IDLE)) as s:
        client = await tunnel(s)
        for _ in range(3):
            await s.replicas[0].calls[0].send(b"x")
            assert await client.reader.readexactly(1) == b"x"
            await s.passes(IDLE)
        await s.passes(IDLE)
        assert await client.is_closed()
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
            drain = group.create_task(s.gateway.drain(PATIENCE))
            await until(lambda: not s.gateway.listening())
            await client.send(b"ping")
            assert await client.reader.readexactly(4) == b"ping"
            assert not drain.done()
            drain.cancel()
            await s.gateway.drain(0.05)
            assert await client.is_closed()
        await until(lambda: s.replicas[0].open == 0)
        assert s.stats().in_flight == 0
