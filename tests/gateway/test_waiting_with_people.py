"""A page waits with people, everybody else is held; over real sockets."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cluster.messages import EndpointSnapshot, LoadReport, Wake
from cluster.model import Trouble
from gateway import guests
from tests.support.raw_http import PATIENCE, Client, Stage, get, post, say_hello, until
from tests.support.sleeping_stage import BROWSER, last_report, served

EVENTS = "/.well-known/tidegate/wake"


@contextlib.asynccontextmanager
async def waiting(*, start_seconds: float | None = 5.0, **web: Any) -> AsyncIterator[Stage]:
    """A service that sleeps, and whose start is known to take long."""
    async with served(**{"wake": {"page": "auto"}, **web}) as s:
        s.publish(start_seconds=start_seconds)
        yield s


async def events_of(s: Stage, path: str = EVENTS) -> Client:
    client = await s.client()
    await client.send(get(path, "Accept: text/event-stream"))
    head = await client.head()
    assert (head.status, head.value("Content-Type")) == (200, "text/event-stream")
    return client


async def event(client: Client) -> tuple[str, bytes]:
    async with asyncio.timeout(PATIENCE):
        block = await client.reader.readuntil(b"\n\n")
    kind, data = block.strip().split(b"\n")
    return kind.removeprefix(b"event: ").decode(), data.removeprefix(b"data: ")


async def event_after(former: str, client: Client) -> tuple[str, bytes]:
    """The next of another kind: a tick may have repeated the former."""
    while (told := await event(client))[0] == former:
        pass
    return told


@pytest.mark.rule("Tidegate: waiting page", side="client")
async def test_a_navigation_gets_the_page_at_once_and_wakes() -> None:
    async with waiting() as s:
        client = await s.client()
        answer = await client.ask(get("/shop?x=1", BROWSER))
        assert (answer.status, answer.value("Retry-After")) == (503, "5")
        assert answer.value("Cache-Control") == "no-store"
        assert b'data-events="/.well-known/tidegate/wake"' in answer.body
        assert b"shop" not in answer.body
        assert s.events.of(Wake) == [Wake("web")]
        assert s.stats().requests == {503: 1}
        assert s.events.of(LoadReport)[0].requests == 1
        s.publish(await s.replica("web-0"))
        assert (await client.ask(get("/shop?x=1", BROWSER))).body == b"hello"


@pytest.mark.rule("Tidegate: waiting page", side="client")
@pytest.mark.parametrize(
    "data",
    [
        get("/", "Accept: */*"),
        get("/", BROWSER, "Sec-Fetch-Mode: cors"),
        get("/", BROWSER, "Connection: Upgrade", "Upgrade: websocket"),
        post(b"order", BROWSER),
    ],
)
async def test_everything_else_is_held(data: bytes) -> None:
    async with waiting() as s:
        client = await s.client()
        await client.send(data)
        await until(lambda: s.stats().queued == 1)
        s.publish(await s.replica("web-0"))
        assert (await client.answer()).body == b"hello"


@pytest.mark.parametrize(
    ("snapshot", "page"),
    [
        ({"start_seconds": 0.31}, True),
        ({"start_seconds": 0.29}, False),
        ({"start_seconds": None}, False),
        ({"start_seconds": 9.0, "frozen": True}, False),  # a thaw is no start
    ],
)
async def test_only_a_start_that_is_known_to_be_long_is_shown(
    snapshot: dict[str, Any], page: bool
) -> None:
    async with waiting() as s:
        s._version += 1
        told = dataclasses.replace(EndpointSnapshot("web", s._version), **snapshot)
        s.gateway.apply(told)
        client = await s.client()
        await client.send(get("/", BROWSER))
        if page:
            assert (await client.answer()).status == 503
        else:
            await until(lambda: s.stats().queued == 1)


async def test_a_start_that_nobody_measured_is_shown_once_it_is_long() -> None:
    async with waiting(start_seconds=None) as s:
        first, second = await s.client(), await s.client()
        await first.send(get("/", BROWSER))
        await until(lambda: s.stats().queued == 1)
        await asyncio.sleep(0.35)  # the start takes that long
        assert (await second.ask(get("/", BROWSER))).status == 503


async def test_never_is_the_default() -> None:
    async with served() as s:
        s.publish(start_seconds=60.0)
        client = await s.client()
        await client.send(get("/", BROWSER))
        await until(lambda: s.stats().queued == 1)


@pytest.mark.rule("Tidegate: waiting page", side="client")
async def test_the_events_tell_how_it_goes_and_end_when_a_replica_is_ready() -> None:
    async with waiting() as s:
        page = await (await s.client()).ask(get("/", BROWSER))
        assert page.status == 503
        client = await events_of(s)
        kinds = [await event(client) for _ in range(2)]
        assert [kind for kind, _ in kinds] == ["progress", "progress"]
        assert b'"expected": 5000' in kinds[0][1]
        s.publish(await s.replica("web-0"))
        assert (await event_after("progress", client))[0] == "ready"
        assert await client.is_closed()
        assert s.stats().requests == {503: 1, 200: 1}
        assert s.replicas == []
        assert s.stats().in_flight == 0


async def test_ready_is_told_in_the_moment_and_at_no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guests, "_TICK", 3600.0)
    async with waiting() as s:
        client = await events_of(s)
        assert (await event(client))[0] == "progress"
        s.publish(trouble=Trouble("start-failed", "exited with code 3"))
        assert (await event(client))[0] == "trouble"
        s.publish(await s.replica("web-0"))
        assert (await event(client))[0] == "ready"


async def test_events_are_demand_and_never_silent() -> None:
    async with waiting() as s:
        await events_of(s)
        assert s.events.of(Wake)
        for _ in range(2):
            assert (await last_report(s)).keeping_awake == 1


async def test_events_of_an_awake_service_are_ready_at_once_and_reach_no_replica() -> None:
    """The page may ask just after the replica came."""
    async with served(say_hello, wake={"page": "auto"}) as s:
        client = await events_of(s)
        assert (await event(client))[0] == "ready"
        assert s.replicas[0].heads == []


async def test_trouble_is_an_event_and_so_is_the_next_try() -> None:
    async with waiting() as s:
        client = await events_of(s)
        assert (await event(client))[0] == "progress"
        s.publish(trouble=Trouble("start-failed", "exited with code 3", 4.0))
        kind, data = await event_after("progress", client)
        assert (kind, b"exited with code 3" in data) == ("trouble", True)
        s.publish()
        assert (await event_after("trouble", client))[0] == "progress"


async def test_a_navigation_during_trouble_gets_the_page_with_it() -> None:
    async with waiting() as s:
        s.publish(trouble=Trouble("start-failed", "exited with code 3", 4.0))
        answer = await (await s.client()).ask(get("/", BROWSER))
        assert (answer.status, answer.value("Retry-After")) == (503, "4")
        assert b'data-state="trouble"' in answer.body
        assert b"exited with code 3" in answer.body


async def test_the_page_and_its_events_are_no_short_waits() -> None:
    """Or a rule about the time in the queue would see that nobody waits."""
    rules = [{"metric": "queue_wait", "percentile": 95, "target": "100ms"}]
    async with waiting(scaling={"rules": rules}) as s:
        await (await s.client()).ask(get("/", BROWSER))
        await events_of(s)
        await until(lambda: any(one.span > 0.5 for one in s.events.of(LoadReport)), "a report")
        assert {one.waits for one in s.events.of(LoadReport)} == {()}


async def test_without_the_page_its_events_are_a_path_like_any_other() -> None:
    async with served(say_hello) as s:
        assert (await (await s.client()).ask(get(EVENTS))).body == b"hello"


async def test_events_are_below_the_path_of_the_service() -> None:
    more = {"root": {"hosts": ("*",)}}
    async with served(paths=("/app",), wake={"page": "auto"}, more=more) as s:
        s.publish(start_seconds=5.0)
        answer = await (await s.client()).ask(get("/app/x", BROWSER))
        assert b'data-events="/app/.well-known/tidegate/wake"' in answer.body
        client = await events_of(s, "/app" + EVENTS)
        assert (await event(client))[0] == "progress"
        assert {wake.service for wake in s.events.of(Wake)} == {"web"}


async def test_who_leaves_watches_no_more() -> None:
    async with waiting() as s:
        client = await events_of(s)
        client.reset()
        await until(lambda: s.stats().in_flight == 0)
        s.publish(await s.replica("web-0"))
        assert s.stats().requests == {499: 1}


async def test_a_drain_ends_the_events() -> None:
    async with waiting() as s:
        client = await events_of(s)
        async with asyncio.timeout(PATIENCE):
            await s.gateway.drain(PATIENCE)
        assert b"ready" not in await client.rest()


async def test_events_of_a_service_that_leaves_the_configuration_end() -> None:
    async with waiting() as s:
        client = await events_of(s)
        s.gateway.configure([], s.settings)
        await client.rest()
