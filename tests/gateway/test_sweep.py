"""Nobody is late because this process did not look."""

import asyncio
import socket
import time

import pytest

from gateway.downstream import Downstream
from tests.support.raw_http import get, say_hello, stage, until

LONG = 60.0  # seconds


async def test_what_came_while_the_gateway_was_held_up_is_read_before_anybody_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a machine that had much else to do, or by others in the same turn of its loop: libuv looks
    at its timers before it reads again."""
    receive = Downstream.data_received

    def hold_up(connection: Downstream, data: bytes) -> None:
        if b"/hold-up" in data:
            late.sendall(get())
            for one in connection.context.connections:
                one.deadline -= LONG
            time.sleep(3 * connection.context.sweep.interval)
        receive(connection, data)

    monkeypatch.setattr(Downstream, "data_received", hold_up)
    async with stage(say_hello, idle_timeout=LONG) as s:
        with socket.create_connection(("127.0.0.1", s.port)) as late:
            client = await s.client()
            await until(lambda: len(s.gateway.context.connections) == 2)
            assert (await client.ask(get("/hold-up"))).status == 200
            late.setblocking(False)
            async with asyncio.timeout(LONG):
                answer = await asyncio.get_running_loop().sock_recv(late, 65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
