"""What one service may have of connections and descriptors when they become few; and refusals of
thousands that do not hold the loop up.

Sources: connection limits of HAProxy and nginx are for all backends together, so that one that
hangs takes them from the others; the rule of fair shares is that of shared buffers in switches.
"""

import asyncio

import pytest

from cluster.messages import Outcome
from cluster.model import Trouble
from config.service import Queue
from gateway.sweep import AT_ONCE
from tests.support.raw_http import Call, get, say_hello, stage, until

PLACES = 90
SHARE = 72  # four fifths


async def never_answer(call: Call) -> None:
    await call.reader.read()


@pytest.mark.rule("Tidegate: shares of connections", side="client")
async def test_a_service_has_its_share_of_connections_and_is_refused_beyond() -> None:
    async with stage(never_answer, connections=PLACES) as s:
        clients = []
        for _ in range(SHARE):
            clients.append(await s.client())
            await clients[-1].send(get())
        await until(lambda: s.stats().in_flight == SHARE)
        late = await s.client()
        answer = await late.ask(get())
        assert (answer.status, answer.value("Connection")) == (503, "close")
        assert answer.value("Retry-After") == "1"
        assert b"over-share" in answer.body
        assert await late.is_closed()
        assert s.stats().rejected == {"over-share": 1}
        assert s.stats().in_flight == SHARE
        assert s.events.of(Outcome) == []
        # One that leaves makes room.
        clients[0].writer.transport.abort()
        await until(lambda: s.stats().in_flight == SHARE - 1)
        another = await s.client()
        await another.send(get())
        await until(lambda: s.stats().in_flight == SHARE)


@pytest.mark.rule("Tidegate: shares of connections", side="client")
async def test_clients_that_ask_for_nothing_cost_no_service_its_share() -> None:
    """All places are taken, by connections that are kept alive."""
    async with stage(say_hello, connections=PLACES) as s:
        clients = [await s.client() for _ in range(PLACES)]
        for _ in range(2):
            for client in clients:
                assert (await client.ask(get())).status == 200
        assert s.stats().rejected == {}


@pytest.mark.rule("Tidegate: shares of connections", side="replica")
async def test_a_service_gets_no_more_descriptors_than_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its other requests wait for one of its own connections, and are refused in the end."""
    async with stage(never_answer, queue=Queue(timeout=1.0)) as s:
        crowd = s.gateway._context.crowd
        monkeypatch.setattr(crowd, "_all", 32 + 30)
        for _ in range(20):
            await (await s.client()).send(get())
        # All have come, whoever was refused meanwhile.
        await until(lambda: s.stats().in_flight + sum(s.stats().rejected.values()) == 20)
        # Each client takes one, and each connection to the replica.
        await until(lambda: crowd.upstreams >= 5)
        assert crowd.upstreams <= 15
        await until(lambda: s.stats().rejected.get("queue-timeout", 0) >= 5)


async def test_upstream_connections_are_counted_until_they_end() -> None:
    async with stage(say_hello) as s:
        crowd = s.gateway._context.crowd
        client = await s.client()
        for _ in range(3):
            assert (await client.ask(get())).status == 200
        assert crowd.upstreams == 1
        s.publish()
        await until(lambda: crowd.upstreams == 0)


async def test_many_are_refused_some_at_a_time() -> None:
    """The loop goes on in between: others are served before the last one has its answer."""
    async with stage(say_hello) as s:
        s.publish()
        clients = [await s.client() for _ in range(2 * AT_ONCE + 10)]
        for client in clients:
            await client.send(get())
        await until(lambda: s.stats().queued == len(clients))
        s.publish(trouble=Trouble("start-failed", "exited with code 1"))
        assert s.stats().queued == AT_ONCE + 10
        await asyncio.sleep(0)
        await until(lambda: s.stats().queued == 0)
        for client in clients:
            assert (await client.answer()).status == 503
