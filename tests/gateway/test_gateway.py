"""The facade: configuration, snapshots, start, drain, and what an idle gateway costs."""

import asyncio
import random
import tracemalloc

import pytest

from cluster.messages import Drained, Endpoint, EndpointSnapshot, LoadReport, Wake
from cluster.model import Address
from config.service import Service
from config.settings import Gateway as Settings
from gateway.gateway import Gateway, ListenError
from gateway.routed import routed
from tests.support.raw_http import (
    HELLO,
    PATIENCE,
    Call,
    Recorder,
    Script,
    get,
    say_hello,
    stage,
    until,
)


def held(go: asyncio.Event) -> Script:
    async def script(call: Call) -> None:
        while True:
            await call.request()
            await go.wait()
            await call.send(HELLO)

    return script


def test_ten_thousand_sleeping_services_cost_little() -> None:
    services = [routed(f"s{i}", Service(hosts=(f"s{i}.test",))) for i in range(10_000)]
    settings, events = Settings(), Recorder()
    gateway = Gateway(settings, events, random.Random(1))
    tracemalloc.start()
    gateway.configure(services, settings)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / 10_000 < 600


async def test_an_idle_gateway_has_no_timer() -> None:
    async with stage(say_hello) as s:
        sweep = s.gateway._context.sweep

        def is_running() -> bool:
            return sweep.is_running

        assert not is_running()
        client = await s.client()
        await client.ask(get())
        assert is_running()
        client.writer.close()
        s.publish()
        await until(lambda: not is_running())


async def test_a_removed_service_is_unknown_and_what_runs_goes_on() -> None:
    go = asyncio.Event()
    async with stage(held(go), concurrency=1) as s:
        running, waiting = await s.client(), await s.client()
        await running.send(get())
        await until(lambda: s.replicas[0].heads)
        await waiting.send(get())
        await until(lambda: s.stats().queued == 1)
        s.gateway.configure([], s.settings)
        assert (await waiting.answer()).status == 404
        assert s.events.of(Drained) == []
        go.set()
        assert (await running.answer()).status == 200
        assert s.events.of(Drained) == [Drained("web", "web-0")]
        assert (await running.ask(get())).status == 404


async def test_a_reload_raises_the_limit_for_those_who_wait() -> None:
    go = asyncio.Event()
    async with stage(held(go), concurrency=1) as s:
        clients = [await s.client() for _ in range(2)]
        for client in clients:
            await client.send(get())
        await until(lambda: s.stats().queued == 1)
        s.gateway.configure([routed("web", Service(hosts=("*",), concurrency=2))], s.settings)
        await until(lambda: len(s.replicas[0].heads) == 2)
        go.set()
        for client in clients:
            assert (await client.answer()).status == 200


async def test_an_endpoint_that_leaves_drains_exactly_once() -> None:
    go = asyncio.Event()
    async with stage(held(go), say_hello) as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: s.replicas[0].heads)
        s.publish(s.replicas[1])
        assert s.events.of(Drained) == []
        go.set()
        assert (await client.answer()).status == 200
        assert s.events.of(Drained) == [Drained("web", "web-0")]
        await until(lambda: s.replicas[0].open == 0)
        s.publish()
        assert s.events.of(Drained) == [Drained("web", "web-0"), Drained("web", "web-1")]


async def test_an_endpoint_nobody_used_drains_too() -> None:
    async with stage(say_hello) as s:
        s.publish()
        assert s.events.of(Drained) == [Drained("web", "web-0")]


async def test_an_older_snapshot_is_ignored() -> None:
    async with stage(say_hello) as s:
        s.gateway.apply(EndpointSnapshot("web", 0))
        assert (await (await s.client()).ask(get())).status == 200


async def test_a_snapshot_of_an_unknown_service_is_ignored() -> None:
    async with stage(say_hello) as s:
        s.gateway.apply(EndpointSnapshot("other", 1, (Endpoint("o", Address("127.0.0.1", 1)),)))
        assert (await (await s.client()).ask(get())).status == 200


async def test_load_is_reported_while_there_is_some_and_once_after() -> None:
    go = asyncio.Event()
    async with stage(held(go)) as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: len(s.events.of(LoadReport)) == 1)
        first = s.events.of(LoadReport)[0]
        assert first.pending == (("web-0", 1),)
        assert (first.in_flight, first.requests, first.queued) == (1, 1, 0)
        assert first.busy_seconds == pytest.approx(first.span, rel=0.05)
        # Within the same millisecond the second span would not have been busy at all.
        await asyncio.sleep(0.01)
        go.set()
        await client.answer()
        await until(lambda: s.events.of(LoadReport)[-1].is_silent)
        last = s.events.of(LoadReport)[-1]
        assert (last.in_flight, last.requests, last.busy_seconds) == (0, 0, 0)
        count = len(s.events.of(LoadReport))
        assert count >= 3
        await asyncio.sleep(1.5)
        assert [one.is_silent for one in s.events.of(LoadReport)] == [False] * (count - 1) + [True]
        assert s.events.of(Wake) == []


async def test_draining_finishes_what_runs_and_closes_what_is_idle() -> None:
    go = asyncio.Event()
    async with stage(held(go)) as s:
        idle, running = await s.client(), await s.client()
        await running.send(get())
        await until(lambda: s.replicas[0].heads)
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(s.gateway.drain(PATIENCE))
            assert await idle.is_closed()
            with pytest.raises(ConnectionError):
                await s.client()
            assert not drain.done()
            go.set()
            answer = await running.answer()
            assert (answer.status, answer.value("Connection")) == (200, "close")
        assert await running.is_closed()


async def test_draining_cuts_what_takes_too_long() -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.reader.read()

    async with stage(script) as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: s.replicas[0].heads)
        await s.gateway.drain(0.05)
        assert await client.is_closed()
        assert s.stats().in_flight == 0
        await until(lambda: s.replicas[0].open == 0)


async def test_a_port_in_use_is_a_clear_error() -> None:
    async with stage(say_hello) as s:
        text = f"127.0.0.1:{s.port}"
        settings = Settings(listen=("127.0.0.1:0", text))
        other = Gateway(settings, Recorder(), random.Random(1))
        with pytest.raises(
            ListenError, match=rf"cannot listen on {text}: .*in use.*gateway.listen"
        ):
            await other.start()


@pytest.mark.parametrize("text", ["host.invalid:80", "1.2.3.4.5:80"])
async def test_a_wrong_address_is_a_clear_error(text: str) -> None:
    gateway = Gateway(Settings(listen=(text,)), Recorder(), random.Random(1))
    with pytest.raises(ListenError, match="cannot listen on"):
        await gateway.start()


async def test_it_listens_on_all_addresses_given_only_a_port() -> None:
    async with stage(say_hello, listen=(":0",)) as s:
        answer = await (await s.client()).ask(get())
        assert answer.status == 200
        assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in s.replicas[0].heads[0]
