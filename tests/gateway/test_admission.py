"""Who may come in: clients of one address, and what happens when descriptors run out."""

import pytest

from tests.support.raw_http import get, say_hello, stage, until


@pytest.mark.rule("Tidegate: connections per address", side="client")
async def test_one_address_may_have_so_many_connections(caplog: pytest.LogCaptureFixture) -> None:
    async with stage(say_hello, connections_per_client=2) as s:
        clients = [await s.client() for _ in range(2)]
        for client in clients:
            assert (await client.ask(get())).status == 200
        third = await s.client()
        answer = await third.answer()
        assert (answer.status, answer.value("Connection")) == (503, "close")
        assert (answer.value("Retry-After"), b"too-many-connections" in answer.body) == ("1", True)
        assert await third.is_closed()
        third.writer.close()
        for client in clients:
            assert (await client.ask(get())).status == 200


@pytest.mark.rule("Tidegate: connections per address", side="client")
async def test_a_connection_that_ends_makes_room_for_another() -> None:
    async with stage(say_hello, connections_per_client=1) as s:
        first = await s.client()
        assert (await first.ask(get())).status == 200
        first.writer.close()
        await until(lambda: not s.gateway._context.connections)
        second = await s.client()
        assert (await second.ask(get())).status == 200
        assert s.gateway._context.admission._counts == {b"127.0.0.1": 1}


@pytest.mark.rule("Tidegate: connections per address", side="client")
async def test_a_trusted_proxy_stands_for_many_clients() -> None:
    async with stage(say_hello, connections_per_client=1, trusted_proxies=("127.0.0.0/8",)) as s:
        for client in [await s.client() for _ in range(3)]:
            assert (await client.ask(get())).status == 200


async def test_without_a_limit_one_address_may_have_them_all() -> None:
    async with stage(say_hello) as s:
        for client in [await s.client() for _ in range(30)]:
            assert (await client.ask(get())).status == 200
