"""Memory per connection is bounded whatever the body."""

import asyncio
import os
import pathlib

import pytest

from gateway.bulk import LONG, is_worth_it
from tests.support.raw_http import Call, get, post, stage, until


def resident() -> int:
    """Bytes of memory in use by this process."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_short_bodies_and_few_clients_are_spared() -> None:
    assert not is_worth_it(LONG, 1000)
    assert not is_worth_it(-1, 10)
    assert is_worth_it(-1, 1000)
    assert is_worth_it(LONG + 1, 1000)


async def test_bodies_pass_unchanged_with_many_clients() -> None:
    async def echo(call: Call) -> None:
        while True:
            body = await call.body(await call.request())
            await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with stage(echo) as s:
        clients = [await s.client() for _ in range(70)]
        await until(lambda: sum(s.gateway.stats(0.0).connections.values()) == 70)
        for size in (1_000_000, 10, 300_000):
            body = bytes(range(250)) * (size // 250)
            for client in clients[:3]:
                client.writer.write(post(body))
                assert (await client.answer()).body == body


@pytest.mark.rule("Tidegate: slow readers", side="client")
async def test_many_readers_that_stop_cost_a_bounded_amount() -> None:
    async def endless(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 2**30)
        part = b"x" * 16384
        while True:
            await call.send(part)
            call.replica.bodies[:] = [b"%d" % (int(call.replica.bodies[0]) + 1)]

    async with stage(endless) as s:
        s.replicas[0].bodies = [b"0"]
        clients = [await s.client(receive_buffer=32768) for _ in range(150)]
        await until(lambda: sum(s.gateway.stats(0.0).connections.values()) == 150)
        before = resident()
        for client in clients:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(get())
        last = b""
        while s.replicas[0].bodies[0] != last:
            last = s.replicas[0].bodies[0]
            await asyncio.sleep(0.3)
        # The replicas of the test hold up to 64 KiB a connection in this process, too.
        assert (resident() - before) / 150 < (128 + 64 + 32) * 1024
