"""Events as Server-Sent Events (HTML standard, section 9.2): resume, heartbeat, and an end."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientResponse, ClientSession

from admin import streams
from admin.app import AdminServer
from admin.streams import Followers
from cluster.events import Events
from tests.support.operated_plane import OperatedPlane, ticking_clock

pytestmark = pytest.mark.timeout(60)


async def read_event(response: ClientResponse) -> dict[str, str]:
    """The fields of the next event; comments are passed over."""
    fields: dict[str, str] = {}
    async with asyncio.timeout(30):
        while line := (await response.content.readline()).decode():
            if line == "\n" and fields:
                return fields
            name, _, value = line.strip().partition(": ")
            if name:
                fields[name] = value
    raise AssertionError("the stream ended")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the events are those under test
            await asyncio.sleep(0.001)


def followers_of(plane: OperatedPlane) -> int:
    return len(plane.events._followers)


async def test_an_event_has_id_kind_and_json(client: ClientSession, plane: OperatedPlane) -> None:
    plane.events.emit("replica-ready", "web-1 is ready\nindeed", service="web", replica="web-1")
    async with client.get("/v1/events?follow=false") as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store"
        text = await response.text()
    identity, kind, data, *rest = text.split("\n")
    assert (identity, kind, rest) == ("id: 1", "event: replica-ready", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == {
        "id": 1,
        "at": "2023-11-14T22:13:20Z",
        "kind": "replica-ready",
        "message": "web-1 is ready\nindeed",
        "service": "web",
        "replica": "web-1",
    }


async def test_no_events_and_no_following_is_an_empty_answer(client: ClientSession) -> None:
    async with client.get("/v1/events?follow=false") as response:
        assert (response.status, await response.text()) == (200, "")


@pytest.mark.parametrize(
    ("query", "headers", "first"),
    [
        ("", {}, "1"),
        ("?since=0", {}, "1"),
        ("?since=2", {}, "3"),
        ("", {"Last-Event-ID": "2"}, "3"),
        ("?since=1", {"Last-Event-ID": "2"}, "3"),  # the browser knows better than the old URL
        ("?since=2", {"Last-Event-ID": "yesterday"}, "3"),
        ("?since=3", {}, "4"),
        ("?since=99", {}, "1"),  # an id of a former run
        ("?service=api", {}, "2"),
    ],
)
async def test_a_stream_resumes_after_the_last_id(
    client: ClientSession,
    plane: OperatedPlane,
    query: str,
    headers: dict[str, str],
    first: str,
) -> None:
    for service in ("web", "api", "web"):
        plane.events.emit("woke", f"{service} woke", service=service)
    async with client.get(f"/v1/events{query}", headers=headers) as response:
        await until(lambda: followers_of(plane) == 1)
        plane.events.emit("woke", "api woke again", service="api")
        assert (await read_event(response))["id"] == first


async def test_kept_and_new_events_come_once_each_in_order(
    client: ClientSession, plane: OperatedPlane
) -> None:
    plane.events.emit("a", "kept")
    async with client.get("/v1/events") as response:
        assert (await read_event(response))["id"] == "1"
        for kind in ("b", "c"):
            plane.events.emit(kind, "new")
        seen = [await read_event(response) for _ in range(2)]
        assert [(one["id"], one["event"]) for one in seen] == [("2", "b"), ("3", "c")]


async def test_silence_is_broken_by_a_heartbeat(client: ClientSession) -> None:
    async with asyncio.timeout(30), client.get("/v1/events") as response:
        assert await response.content.readline() == b": still here\n"
        assert await response.content.readline() == b"\n"
        assert await response.content.readline() == b": still here\n"


async def test_a_follower_that_is_too_slow_is_told_what_it_lost(
    client: ClientSession, plane: OperatedPlane
) -> None:
    plane.events = Events(ticking_clock, keep=10)
    async with asyncio.timeout(30), client.get("/v1/events") as response:
        await until(lambda: followers_of(plane) == 1)
        # No turn of the loop for the follower: its queue of 1000 overflows.
        for _ in range(1005):
            plane.events.emit("x", "many")
        while (line := await response.content.readline()) in (b": still here\n", b"\n"):
            pass
        assert line == b": too slow, 5 events were lost\n"
        await response.content.readline()
        assert (await read_event(response))["id"] == "6"


async def test_a_follower_ends_when_its_client_leaves(
    client: ClientSession, plane: OperatedPlane
) -> None:
    async with client.get("/v1/events"):
        await until(lambda: followers_of(plane) == 1)
    await until(lambda: followers_of(plane) == 0)


@pytest.mark.parametrize(
    ("path", "ended"),
    [
        ("/v1/events", lambda plane: followers_of(plane) == 0),
        ("/v1/services/web/logs?follow=true", lambda plane: plane.logs_closed.is_set()),
    ],
)
async def test_stopping_ends_followers_at_once_and_cleanly(
    client: ClientSession,
    server: AdminServer,
    plane: OperatedPlane,
    path: str,
    ended: Callable[[OperatedPlane], bool],
) -> None:
    assert server._runner is not None
    server._runner._shutdown_timeout = 60.0  # what is given to others does not help it
    async with client.get(path) as response:
        async with asyncio.timeout(30):
            await server.stop()
        # The chunked body has its proper end: read() would raise otherwise.
        await response.read()
    assert ended(plane)


async def test_stopping_ends_a_follower_that_does_not_read(
    client: ClientSession, server: AdminServer, plane: OperatedPlane
) -> None:
    async with client.get("/v1/events"):
        await until(lambda: followers_of(plane) == 1)
        for _ in range(900):
            plane.events.emit("x", "y" * 100_000)
        async with asyncio.timeout(30):
            await server.stop()
    assert followers_of(plane) == 0


async def test_who_follows_after_the_end_is_ended_at_once() -> None:
    followers = Followers(heartbeat=1)
    followers.close()
    async with asyncio.timeout(30):
        async with followers.following():
            await asyncio.Event().wait()
    assert len(followers) == 0


async def test_a_timeout_of_somebody_else_is_not_swallowed() -> None:
    followers = Followers(heartbeat=1)

    async def late() -> None:
        raise TimeoutError

    work: Awaitable[None] = late()
    with pytest.raises(TimeoutError):
        async with followers.following():
            await work


async def test_what_came_while_the_machine_stood_still_is_not_late() -> None:
    """A failure to read logs would be told by 200, as one that comes half way."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[str]()
    loop.call_soon(time.sleep, 0.05)
    loop.call_soon(loop.call_soon, queue.put_nowait, "here")  # in the turn in which time is up
    assert await streams._next(queue, 0.01) == "here"
