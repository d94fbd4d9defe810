"""Tunnels of replicas that leave: told to close, and nothing that was said is lost."""

import asyncio
import dataclasses

import pytest

from cluster.messages import Drained, EndpointSnapshot
from tests.gateway import websocket
from tests.gateway.websocket import CLOSE, TEXT, Frame
from tests.support.raw_http import PATIENCE, Call, Client, Stage, get, stage, until

AWAY = (1001).to_bytes(2, "big") + b"going away"
TOLD = Frame(CLOSE, AWAY)


async def read_masked(reader: asyncio.StreamReader) -> Frame:
    """The next frame of a client, whatever its mask."""
    first, second = await reader.readexactly(2)
    assert second & 0x80
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(second & 0x7F)
    plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return Frame(first & 0x0F, plain)


async def switch(call: Call) -> None:
    await call.request()
    await call.send(websocket.switching(websocket.KEY))


async def polite(call: Call) -> None:
    """Has something to say yet when it is told, then echoes the Close (RFC 6455 §5.5.1)."""
    await switch(call)
    while (frame := await read_masked(call.reader)).opcode != CLOSE:
        await call.send(Frame(TEXT, frame.payload).encode())
    await call.send(Frame(TEXT, b"one more thing").encode() + Frame(CLOSE, frame.payload).encode())


async def deaf(call: Call) -> None:
    """Reads nothing, and ends when the test says so."""
    await switch(call)
    await call.send(Frame(TEXT, b"hi").encode())
    await asyncio.Event().wait()


def leave(s: Stage, *, for_good: bool = True) -> None:
    s._version += 1
    gone = tuple(replica.endpoint.replica for replica in s.replicas) if for_good else ()
    s.gateway.apply(dataclasses.replace(EndpointSnapshot("web", s._version), draining=gone))


async def opened(s: Stage) -> Client:
    client = await s.client()
    await client.send(get("/", *websocket.ASK))
    assert (await client.head()).status == 101
    return client


async def said(client: Client) -> Frame:
    async with asyncio.timeout(PATIENCE):
        return await websocket.read_frame(client.reader)


@pytest.mark.rule("Tidegate: tunnels told to close", side="both")
async def test_a_websocket_is_told_to_close_when_its_replica_leaves() -> None:
    async with stage(polite) as s:
        client = await opened(s)
        await client.send(Frame(TEXT, b"before", masked=True).encode())
        assert await said(client) == Frame(TEXT, b"before")
        leave(s)
        assert await said(client) == Frame(TEXT, b"one more thing")
        assert await said(client) == TOLD
        await client.send(Frame(CLOSE, AWAY, masked=True).encode())
        assert await client.is_closed()
        await until(lambda: s.events.of(Drained) == [Drained("web", "web-0")])
        assert s.stats().requests == {101: 1}


@pytest.mark.rule("Tidegate: tunnels told to close", side="client")
async def test_a_frame_of_the_client_is_never_torn_apart() -> None:
    async with stage(polite) as s:
        client = await opened(s)
        spoken = Frame(TEXT, b"in two parts", masked=True).encode()
        await client.send(spoken[:9])
        (connection,) = s.gateway._context.connections
        await until(lambda: connection.body.size == 9)  # type: ignore[attr-defined]
        leave(s)
        await asyncio.sleep(0.05)  # nothing may be said now
        await client.send(spoken[9:] + Frame(TEXT, b"too late", masked=True).encode())
        assert await said(client) == Frame(TEXT, b"in two parts")
        assert await said(client) == Frame(TEXT, b"one more thing")
        assert await said(client) == TOLD


async def test_one_that_may_come_back_keeps_its_tunnels() -> None:
    """Unready or ejected: out of the snapshot, and not to be stopped."""
    async with stage(polite) as s:
        client = await opened(s)
        leave(s, for_good=False)
        await client.send(Frame(TEXT, b"still here", masked=True).encode())
        assert await said(client) == Frame(TEXT, b"still here")
        assert s.stats().in_flight == 1
        leave(s)
        assert await said(client) == Frame(TEXT, b"one more thing")


@pytest.mark.rule("Tidegate: tunnels told to close", side="replica")
async def test_a_replica_that_did_not_listen_ends_and_its_client_is_told_why() -> None:
    """It goes on until it is stopped, at the end of `drain`."""
    async with stage(deaf) as s:
        client = await opened(s)
        assert await said(client) == Frame(TEXT, b"hi")
        leave(s)
        await s.replicas[0].calls[0].send(Frame(TEXT, b"and on").encode())
        assert await said(client) == Frame(TEXT, b"and on")
        s.replicas[0].calls[0].writer.close()
        assert await said(client) == TOLD
        assert await client.is_closed()


async def test_a_replica_that_dies_in_the_middle_of_a_frame_leaves_no_word() -> None:
    """The rest would be taken for payload."""
    async with stage(deaf) as s:
        client = await opened(s)
        assert await said(client) == Frame(TEXT, b"hi")
        leave(s)
        torn = Frame(TEXT, b"never finished").encode()[:5]
        await s.replicas[0].calls[0].send(torn)
        s.replicas[0].calls[0].writer.close()
        assert await client.rest() == torn


async def test_a_crash_is_no_going_away() -> None:
    async with stage(deaf) as s:
        client = await opened(s)
        assert await said(client) == Frame(TEXT, b"hi")
        s.replicas[0].calls[0].writer.close()
        assert await client.rest() == b""


async def test_what_becomes_a_tunnel_while_its_replica_leaves_is_told_at_once() -> None:
    go = asyncio.Event()

    async def slow(call: Call) -> None:
        await call.request()
        await go.wait()
        await call.send(websocket.switching(websocket.KEY))
        call.replica.bodies.append((await read_masked(call.reader)).payload)

    async with stage(slow) as s:
        client = await s.client()
        await client.send(get("/", *websocket.ASK))
        await until(lambda: s.replicas[0].heads)
        leave(s)
        go.set()
        assert (await client.head()).status == 101
        await until(lambda: s.replicas[0].bodies == [AWAY])


@pytest.mark.rule("Tidegate: tunnels told to close", side="both")
async def test_tunnels_are_told_when_tidegate_stops() -> None:
    async with stage(polite) as s:
        client = await opened(s)
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(s.gateway.drain(PATIENCE))
            assert await said(client) == Frame(TEXT, b"one more thing")
            assert await said(client) == TOLD
            client.writer.close()
            await until(drain.done)


async def test_a_removed_service_tells_its_tunnels() -> None:
    async with stage(polite) as s:
        client = await opened(s)
        s.gateway.configure([], s.settings)
        assert await said(client) == Frame(TEXT, b"one more thing")
        assert await said(client) == TOLD


async def test_tunnels_of_other_protocols_have_all_of_the_drain() -> None:
    """Nobody here knows a word of theirs."""

    async def echo(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 101 -\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        while data := await call.reader.read(100):
            await call.send(data)

    async with stage(echo) as s:
        client = await s.client()
        await client.send(get("/", "Connection: Upgrade", "Upgrade: echo"))
        assert (await client.head()).status == 101
        leave(s)
        await client.send(b"\x88\x00still")
        assert await client.reader.readexactly(7) == b"\x88\x00still"
        assert s.stats().in_flight == 1


async def test_a_gateway_that_is_replaced_lets_tunnels_go_on_until_its_time_is_nearly_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No replica leaves: they have all of `drain`, except what a Close needs."""
    monkeypatch.setattr("gateway.gateway.FAREWELL", 4.0)
    async with stage(polite) as s, asyncio.TaskGroup() as group:
        client = await opened(s)
        begun = asyncio.get_running_loop().time()
        drain = group.create_task(s.gateway.drain(8.0, 0.2), name="drain")
        await until(lambda: not s.gateway.listening())
        await client.send(Frame(TEXT, b"still here", masked=True).encode())
        assert await said(client) == Frame(TEXT, b"still here")
        assert await said(client) == Frame(TEXT, b"one more thing")
        assert asyncio.get_running_loop().time() - begun > 3.9
        assert await said(client) == TOLD
        assert not drain.done()
        client.writer.close()


async def test_what_becomes_a_tunnel_of_a_gateway_that_is_replaced_goes_on() -> None:
    go = asyncio.Event()

    async def slow(call: Call) -> None:
        await call.request()
        await go.wait()
        await call.send(websocket.switching(websocket.KEY))
        await call.send(Frame(TEXT, (await read_masked(call.reader)).payload).encode())

    async with stage(slow) as s, asyncio.TaskGroup() as group:
        client = await s.client()
        await client.send(get("/", *websocket.ASK))
        await until(lambda: s.stats().in_flight == 1)
        group.create_task(s.gateway.drain(20.0, 0.2), name="drain")
        await until(lambda: not s.gateway.listening())
        go.set()
        assert (await client.head()).status == 101
        await client.send(Frame(TEXT, b"hello", masked=True).encode())
        assert await said(client) == Frame(TEXT, b"hello")
        client.writer.close()
