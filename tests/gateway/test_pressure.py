"""A gateway whose memory is short, as the files of its control group say: who is turned away, who
is not, and what is told.

Sources: Envoy's overload manager stops accepting requests and disables keep-alive; Kubernetes
reckons the working set.
"""

import asyncio
from pathlib import Path

import pytest

from cluster import cgroup
from cluster.cgroup import Group
from gateway import downstream, pressure
from tests.support.raw_http import (
    Call,
    Client,
    Stage,
    get,
    post,
    say_hello,
    stage,
    until,
)

MIB = 2**20
LIMIT = 1000 * MIB


class Told:
    """The control group's files, what this process has, and what the gateway says of it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._patch = monkeypatch
        self.news: list[tuple[bool, str]] = []
        self.trims = 0
        (folder / "member").write_text("0::/\n")
        (folder / "memory.max").write_text(str(LIMIT))
        (folder / "memory.stat").write_text("inactive_file 0\n")
        self.uses(100 * MIB, grown=0)
        monkeypatch.setattr(pressure, "trimmer", lambda: self._trim)

    def _trim(self, _: int) -> None:
        self.trims += 1

    def uses(self, used: int, *, grown: int) -> None:
        (self._folder / "memory.current").write_text(str(used))
        self._patch.setattr(cgroup, "resident", lambda: 50 * MIB + grown)

    def heard(self, sheds: bool, why: str) -> None:
        self.news.append((sheds, why))

    @property
    def kinds(self) -> list[bool]:
        return [sheds for sheds, _ in self.news]

    def under(self, s: Stage) -> None:
        """Have this gateway look at these files; before anybody is connected."""
        group = Group.limited(self._folder, self._folder / "member")
        assert group is not None
        context = s.gateway.context
        context.pressure = pressure.Pressure(context, group, self.heard)
        context.pressure.begin()


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(tmp_path, monkeypatch)


async def short(s: Stage, told: Told) -> None:
    told.uses(850 * MIB, grown=400 * MIB)
    await until(lambda: s.gateway.stats(0.0).shedding)


async def until_over(s: Stage, told: Told) -> None:
    told.uses(300 * MIB, grown=20 * MIB)
    await until(lambda: not s.gateway.stats(0.0).shedding)


async def is_refused(client: Client) -> None:
    answer = await client.answer()
    assert (answer.status, answer.value("Connection")) == (503, "close")
    assert answer.value("Retry-After") == "1"
    assert b'"memory-pressure"' in answer.body


async def when_told(call: Call) -> None:
    """Answers one request when there is a second line on its connection."""
    while True:
        await call.request()
        await until(lambda: call.replica.name in _go)
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


_go: set[str] = set()


@pytest.fixture(autouse=True)
def _nobody_goes() -> None:
    _go.clear()


@pytest.mark.rule("Tidegate: memory pressure", side="client")
async def test_new_clients_and_new_requests_are_refused(told: Told) -> None:
    async with stage(when_told) as s:
        told.under(s)
        busy = await s.client()
        await busy.send(get())
        await until(lambda: s.stats().in_flight == 1)
        await short(s, told)
        await is_refused(await s.client())
        assert told.kinds == [True]
        assert told.news[0][1].startswith("850MiB of 1000MiB are used, about 400MiB")
        # What is under way goes on, and is told that it was the last one.
        _go.add("web-0")
        answer = await busy.answer()
        assert (answer.status, answer.value("Connection")) == (200, "close")
        assert await busy.is_closed()
        await until_over(s, told)
        assert (await (await s.client()).ask(get())).status == 200
        assert told.kinds == [True, False]


@pytest.mark.rule("Tidegate: memory pressure", side="client")
async def test_who_has_just_come_is_told_why_by_its_first_request(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downstream, "FRESH", 60.0)
    async with stage(say_hello) as s:
        told.under(s)
        new, sending = await s.client(), await s.client()
        await until(lambda: len(s.gateway.context.connections) == 2)
        await short(s, told)
        await new.send(get())
        await is_refused(new)
        await sending.send(post(b"x" * 100_000))
        await is_refused(sending)
        assert s.stats().rejected == {"memory-pressure": 2}
        assert s.replicas[0].heads == []


@pytest.mark.rule("Tidegate: memory pressure", side="client")
async def test_idle_connections_are_closed_and_begun_heads_refused(told: Told) -> None:
    async with stage(say_hello) as s:
        told.under(s)
        idle, begun = await s.client(), await s.client()
        assert (await idle.ask(get())).status == 200
        await begun.send(b"GET / HTTP/1.1\r\nHost: web.te")
        await until(lambda: any(one._scanned for one in s.gateway.context.connections))  # type: ignore[attr-defined]
        await short(s, told)
        assert await idle.is_closed()
        await is_refused(begun)


@pytest.mark.rule("Tidegate: memory pressure", side="client")
async def test_who_waits_for_a_replica_waits_on(told: Told) -> None:
    async with stage(say_hello) as s:
        s.publish()
        told.under(s)
        waiting = await s.client()
        await waiting.send(get())
        await until(lambda: s.stats().queued == 1)
        await short(s, told)
        s.publish(*s.replicas)
        assert (await waiting.answer()).status == 200


async def test_large_heads_are_noticed_between_two_sweeps(told: Told) -> None:
    """Thousands may be read in one turn of the loop."""
    async with stage(say_hello, headers=4 * MIB) as s:
        told.under(s)
        client = await s.client()
        await until(lambda: s.gateway.context.connections)
        s.gateway.context.sweep.stop()
        told.uses(850 * MIB, grown=400 * MIB)
        await client.send(get("/", "X-Large: " + "x" * 2 * MIB)[:-4])
        await is_refused(client)


async def test_slow_readers_and_bodies_that_wait_are_noticed_too(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pressure, "_LOOK_AFTER", 20_000)
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9_000_000
    may_answer = asyncio.Event()

    async def script(call: Call) -> None:
        await call.request()
        await may_answer.wait()
        await call.send(large)

    async with stage(script) as s:
        told.under(s)
        reader = await s.client(receive_buffer=4096)
        await reader.send(get())
        await until(lambda: s.stats().in_flight == 1)
        s.gateway.context.sweep.stop()
        told.uses(850 * MIB, grown=400 * MIB)
        may_answer.set()
        await until(lambda: told.kinds == [True], "a slow reader is noticed")
        s.gateway.context.sweep.start()
        await until_over(s, told)
        assert len((await reader.answer()).body) == 9_000_000
        s.publish()
        sender = await s.client()
        await sender.send(get("/", "Content-Length: 60000", method="POST"))
        await until(lambda: s.stats().queued == 1)
        s.gateway.context.sweep.stop()
        told.uses(850 * MIB, grown=400 * MIB)
        await sender.send(b"x" * 30_000)
        await until(lambda: told.kinds == [True, False, True], "a body that waits is noticed")


async def test_others_that_need_the_memory_shut_nobody_out(told: Told) -> None:
    async with stage(say_hello) as s:
        told.under(s)
        told.uses(990 * MIB, grown=50 * MIB)
        client = await s.client()
        for _ in range(3):
            assert (await client.ask(get())).status == 200
            await until(lambda: s.gateway.context.pressure.pause < 0.2)  # type: ignore[union-attr]
        assert told.news == []


async def test_it_ends_with_nobody_there_and_the_allocator_gives_back(told: Told) -> None:
    async with stage(say_hello) as s:
        told.under(s)
        client = await s.client()
        await short(s, told)
        assert told.trims == 1
        client.writer.transport.abort()
        await until(lambda: not s.gateway.is_busy())
        await until_over(s, told)
        await until(lambda: not s.gateway.context.sweep.is_running)
        assert told.kinds == [True, False]


async def test_a_share_of_0_is_off(told: Told) -> None:
    async with stage(say_hello, memory=0.0) as s:
        told.under(s)
        told.uses(990 * MIB, grown=900 * MIB)
        client = await s.client()
        await until(lambda: s.gateway.context.sweep.is_running)
        s.gateway.context.pressure.sweep(s.gateway.context.loop.time())  # type: ignore[union-attr]
        assert (await client.ask(get())).status == 200
        assert told.news == []


async def test_a_limit_that_is_taken_away_ends_it(told: Told, tmp_path: Path) -> None:
    async with stage(say_hello) as s:
        told.under(s)
        await s.client()
        await short(s, told)
        (tmp_path / "memory.max").write_text("max")
        await until(lambda: not s.gateway.stats(0.0).shedding)
        assert told.news[-1] == (False, "there is no limit any more")
