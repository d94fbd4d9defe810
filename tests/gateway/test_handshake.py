"""Clients are admitted before their handshake: one that never ends costs a place and no more."""

import asyncio
import errno
import gc
import socket
import ssl
from typing import Any

import pytest
import uvloop

from tests.gateway.test_garbage import leftovers
from tests.support.certificates import Issued, issue
from tests.support.raw_http import Client, Stage, get, say_hello, stage, until
from tests.support.tls_clients import client_of, port_of, secure, trusting

# The head of a record that announces a ClientHello of 512 bytes (RFC 8446 §5.1).
BEGUN = b"\x16\x03\x01\x02\x00\x01"
NONSENSE = b"\x16\x03\x01\x00\x05\xff\x00\x00\x01\x00"
LONG = 60.0


@pytest.fixture(scope="module")
def a(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("certificates"), "a", "a.test")


async def silent(s: Stage, said: bytes = b"") -> Client:
    """A client of the TLS port that says this, and then nothing."""
    plain, s.port = s.port, port_of(s)
    try:
        client = await s.client()
    finally:
        s.port = plain
    await client.send(said)
    return client


async def half_open(s: Stage, count: int, said: bytes = b"") -> list[Client]:
    """Only told once the gateway knows them."""
    before = connections(s)
    clients = [await silent(s, said) for _ in range(count)]
    await until(lambda: connections(s) == before + count)
    return clients


def connections(s: Stage) -> int:
    return sum(s.gateway.stats(0.0).connections.values())


def counted(s: Stage, status: int) -> int:
    return s.gateway.stats(0.0).unrouted.get(status, 0)


async def is_served(s: Stage, issued: Issued) -> bool:
    try:
        async with client_of(s, trusting(issued)) as client:
            return (await client.ask(get())).status == 200
    except (ssl.SSLError, ConnectionError):
        return False


@pytest.mark.parametrize(
    ("limit", "said"), [("connections", b""), ("connections_per_client", BEGUN)]
)
async def test_half_open_handshakes_count_until_their_time_is_over(
    limit: str, said: bytes, a: Issued
) -> None:
    """RFC 9110 §15.5.9: `header_timeout` runs from the connection on."""
    options: dict[str, Any] = {limit: 3, "header_timeout": LONG}
    async with stage(say_hello, tls=secure(a), **options) as s:
        waiting = await half_open(s, 3, said)
        plain = await s.client()
        assert (await plain.answer()).status == 503
        plain.writer.close()
        assert await (await silent(s)).is_closed()
        assert not await is_served(s, a)
        assert (counted(s, 503), counted(s, 408)) == (3, 0)
        await s.passes(LONG)
        for client in waiting:
            assert await client.is_closed()
        await until(lambda: connections(s) == 0)
        assert counted(s, 408) == 3
        assert s.gateway._context.admission._counts == {}
        assert await is_served(s, a)


async def test_dripping_does_not_prolong_a_handshake(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a), header_timeout=0.3) as s:
        (client,) = await half_open(s, 1, BEGUN)

        async def drip() -> None:
            while True:
                await client.send(b"\x00")
                await asyncio.sleep(0.02)

        dripping = asyncio.get_running_loop().create_task(drip())
        assert await client.is_closed()
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        assert counted(s, 408) == 1


async def test_a_client_that_leaves_within_the_handshake_makes_room_at_once(
    a: Issued, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is it worth a word in the log: anybody can do it, as often as they like."""
    async with stage(say_hello, tls=secure(a), connections=1, header_timeout=LONG) as s:
        for said in (b"", BEGUN, b"GET / HTTP/1.1\r\n\r\n"):
            (client,) = await half_open(s, 1)
            await client.send(said)
            client.reset() if said == BEGUN else client.writer.close()
            await until(lambda: connections(s) == 0)
            assert await is_served(s, a)
            await until(lambda: connections(s) == 0)
        assert counted(s, 408) == 0
        assert s.gateway._context.admission._counts == {}
    assert caplog.messages == []


async def test_a_handshake_that_fails_is_told_so_and_ends_in_time(
    a: Issued, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 8446 §6.2: an alert, which is to end the connection, even if the client will not."""
    async with stage(say_hello, tls=secure(a), header_timeout=LONG) as s:
        client = await silent(s, NONSENSE)
        assert (await client.reader.readexactly(2)) == b"\x15\x03"
        await s.passes(LONG)
        await client.rest()
        assert counted(s, 408) == 1
    async with stage(say_hello, tls=secure(a), header_timeout=LONG) as s:
        client = await silent(s, NONSENSE)
        assert (await client.reader.readexactly(2)) == b"\x15\x03"
        await client.send(b"more")
        await client.rest()
        await until(lambda: connections(s) == 0)
        assert counted(s, 408) == 0
    assert caplog.messages == []


async def test_a_handshake_hands_its_place_on(a: Issued) -> None:
    """With a limit of one, whoever has it may go on, from the first byte to the last."""
    async with stage(say_hello, tls=secure(a), connections=1, connections_per_client=1) as s:
        async with client_of(s, trusting(a)) as client:
            for _ in range(2):
                assert (await client.ask(get())).status == 200
            assert connections(s) == 1
            assert s.gateway._context.admission._counts == {b"127.0.0.1": 1}
        await until(lambda: connections(s) == 0)
        assert counted(s, 503) == 0


async def test_the_time_of_a_handshake_ends_with_it(a: Issued) -> None:
    async with (
        stage(say_hello, tls=secure(a), header_timeout=LONG, idle_timeout=10 * LONG) as s,
        client_of(s, trusting(a)) as client,
    ):
        (later,) = await half_open(s, 1)
        await s.passes(LONG)
        assert await later.is_closed()
        assert (await client.ask(get())).status == 200
        assert counted(s, 408) == 1


async def test_no_header_timeout_is_no_time_for_handshakes(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a), header_timeout=0, idle_timeout=0.1) as s:
        (client,) = await half_open(s, 1)
        assert await (await s.client()).is_closed()
        assert connections(s) == 1
        client.reset()
        await until(lambda: connections(s) == 0)


async def test_a_drain_does_not_wait_for_handshakes(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a), header_timeout=LONG) as s:
        clients = [*await half_open(s, 2), *await half_open(s, 2, BEGUN)]
        async with asyncio.timeout(30):
            await s.gateway.drain(LONG)
        for client in clients:
            assert await client.is_closed()


async def test_a_trusted_proxy_may_shake_many_hands(a: Issued) -> None:
    limits: dict[str, Any] = {"connections_per_client": 1, "trusted_proxies": ("127.0.0.0/8",)}
    async with stage(say_hello, tls=secure(a), **limits) as s:
        await half_open(s, 3)
        assert await is_served(s, a)


async def test_accepting_goes_on_after_it_failed(
    a: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    """accept(2): without descriptors the client stays in the backlog, and is served later."""
    accept = socket.socket.accept
    failed: list[int] = []

    def starved(listening: socket.socket) -> tuple[socket.socket, object]:
        if len(failed) < 2:
            failed.append(errno.EMFILE)
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(listening)

    async with stage(say_hello, tls=secure(a)) as s:
        monkeypatch.setattr(socket.socket, "accept", starved)
        assert await is_served(s, a)
        assert len(failed) == 2


@pytest.mark.parametrize("said", [b"", BEGUN, NONSENSE, b"GET / HTTP/1.1\r\n\r\n", None])
async def test_nothing_is_left_for_the_collector(said: bytes | None, a: Issued) -> None:
    """See tidegate.collector. asyncio's own TLS makes cycles when handshakes fail; uvloop, which
    runs in production, does not."""
    async with stage(say_hello, tls=secure(a)) as s:
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(3):
                if said is None:
                    assert await is_served(s, a)
                else:
                    (await silent(s, said)).writer.close()
            await until(lambda: not s.gateway._context.connections and not s.gateway._context.tasks)
            left = leftovers()
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
        if said is None or isinstance(asyncio.get_running_loop(), uvloop.Loop):
            assert not left


async def test_no_more_is_accepted_on_a_socket_that_was_closed(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a)) as s:
        port = port_of(s)
        await s.gateway.drain(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
