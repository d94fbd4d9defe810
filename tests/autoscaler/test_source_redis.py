"""Lists, streams and groups of a real Redis."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from autoscaler.sources import redis as driver
from autoscaler.sources.redis import RedisSource
from autoscaler.sources.source import SourceFailure
from config.rules import RedisRule
from tests.support.callers import stop
from tests.support.held_ports import held_port
from tests.support.lone_server import dead_port
from tests.support.servers import redis_url, running_redis

__all__ = ["redis_url"]


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, decode_responses=True, protocol=2) as client:
        await client.flushall()
        yield client


def source(url: str, **what: str) -> RedisSource:
    facts = {"metric": "redis", "url": url, "target": 1.0, **what}
    return RedisSource(RedisRule.model_validate(facts))


async def ask(url: str, **what: str) -> float:
    one = source(url, **what)
    try:
        return await one.ask()
    finally:
        await one.close()


async def refused(url: str, **what: str) -> str:
    with pytest.raises(SourceFailure) as failure:
        await ask(url, **what)
    assert "hunter2" not in failure.value.says
    return failure.value.says


async def add(client: Redis, count: int, stream: str = "s") -> list[str]:
    return [str(await client.xadd(stream, {"n": number})) for number in range(count)]


async def test_the_length_of_a_list(client: Redis, redis_url: str) -> None:
    assert await ask(redis_url, list="jobs") == 0
    await client.rpush("jobs", *range(7))
    assert await ask(redis_url, list="jobs") == 7


async def test_a_source_is_asked_again_over_one_connection(client: Redis, redis_url: str) -> None:
    one = source(redis_url, list="jobs")
    for count in range(3):
        assert await one.ask() == count
        await client.rpush("jobs", "x")
    clients = [c for c in await client.client_list() if c["cmd"] == "llen"]
    assert len(clients) == 1
    await one.close()


async def test_the_length_of_a_stream(client: Redis, redis_url: str) -> None:
    assert await ask(redis_url, stream="s") == 0
    await add(client, 5)
    assert await ask(redis_url, stream="s") == 5


async def test_a_groups_backlog_is_what_is_unread_and_what_is_unacknowledged(
    client: Redis, redis_url: str
) -> None:
    """XINFO GROUPS: lag + pending."""
    await client.xgroup_create("s", "g", id="0", mkstream=True)
    await add(client, 5)
    assert await ask(redis_url, stream="s", group="g") == 5
    given: Any = await client.xreadgroup("g", "me", {"s": ">"}, count=2)
    assert await ask(redis_url, stream="s", group="g") == 5, "given, but not done"
    await client.xack("s", "g", given[0][1][0][0])
    assert await ask(redis_url, stream="s", group="g") == 4
    await client.xgroup_create("s", "late", id="$")
    assert await ask(redis_url, stream="s", group="late") == 0


async def test_a_lag_that_redis_does_not_know_is_counted(client: Redis, redis_url: str) -> None:
    """XINFO GROUPS: the lag is null after entries in the middle were deleted (XDEL), and for a
    group that begins in the middle. Nobody would ever be woken to read on."""
    ids = await add(client, 350)
    await client.xgroup_create("s", "g", id="0")
    await client.xreadgroup("g", "me", {"s": ">"}, count=10)
    await client.xdel("s", ids[200])
    await client.xgroup_create("s", "middle", id=ids[299])
    groups = {group["name"]: group for group in await client.xinfo_groups("s")}
    assert groups["g"]["lag"] is None
    assert groups["middle"]["lag"] is None
    assert await ask(redis_url, stream="s", group="g") == 10 + 339
    assert await ask(redis_url, stream="s", group="middle") == 50


async def test_counting_ends_somewhere(
    client: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "MOST_COUNTED", 200)
    ids = await add(client, 350)
    await client.xgroup_create("s", "middle", id=ids[9])
    assert await ask(redis_url, stream="s", group="middle") == 200


async def test_a_group_that_is_still_to_be_made_has_all_before_it(
    client: Redis, redis_url: str
) -> None:
    """Whoever makes it has to be woken first."""
    assert await ask(redis_url, stream="s", group="g") == 0
    await add(client, 3)
    assert await ask(redis_url, stream="s", group="g") == 3


async def test_what_is_wrong_is_said_without_the_password(client: Redis, redis_url: str) -> None:
    await client.set("jobs", "text")
    assert "WRONGTYPE" in await refused(redis_url, list="jobs")
    other = redis_url.replace("hunter2%2F%25", "hunter2-wrong")
    assert "invalid username-password" in await refused(other, list="jobs")
    with dead_port() as address:
        nobody = f"redis://me:hunter2@{address}/0"
        assert (await refused(nobody, list="jobs")).endswith(": Connection refused")
    assert "unknown.invalid" in await refused("redis://:hunter2@unknown.invalid/0", list="jobs")
    assert "out of range" in await refused(redis_url.replace("/0", "/99"), list="jobs")
    assert await refused(f"{redis_url}?socket_timeout=hunter2", list="jobs")
    unix = "unix:///nowhere/hunter.sock?password=hunter2"
    assert "/nowhere/hunter.sock" in await refused(unix, list="jobs")


async def test_it_is_asked_again_after_it_was_away(tmp_path: Path) -> None:
    with held_port() as port:
        with running_redis(tmp_path, port) as url:
            one = source(url, list="jobs")
            assert await one.ask() == 0
        with pytest.raises(SourceFailure):
            await one.ask()
        with running_redis(tmp_path, port):
            assert await one.ask() == 0
        await one.close()


async def test_a_late_answer_is_not_taken_for_the_next_one(client: Redis, redis_url: str) -> None:
    one = source(redis_url, list="jobs")
    assert await one.ask() == 0
    server = (await client.info("server"))["process_id"]
    try:
        await stop(server)  # so it is late however slow we are
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await one.ask()
    finally:
        os.kill(server, signal.SIGCONT)
    await client.rpush("jobs", "x")
    assert await one.ask() == 1
    await one.close()
