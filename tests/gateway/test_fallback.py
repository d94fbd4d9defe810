"""Another service answers while the first one is woken; over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cluster.messages import LoadReport, Wake
from cluster.model import Trouble
from config.service import Queue
from tests.support.raw_http import HELLO, Call, Stage, get, post, say_hello, until
from tests.support.sleeping_stage import BROWSER, last_report, served


@contextlib.asynccontextmanager
async def lending(**changes: Any) -> AsyncIterator[Stage]:
    more = {"spare": changes.pop("spare", {})}
    async with served(wake={"fallback": "spare"}, more=more, **changes) as s:
        yield s


async def spare(s: Stage, script: Any = say_hello) -> Any:
    replica = await s.replica("spare-0", script)
    s.publish(replica, service="spare")
    return replica


@pytest.mark.rule("Tidegate: fallback", side="client")
async def test_another_service_answers_while_the_first_is_woken() -> None:
    async with lending() as s:
        other = await spare(s)
        client = await s.client()
        answer = await client.ask(get("/x"))
        assert (answer.body, answer.value("Tidegate-Fallback")) == (b"hello", "spare")
        assert s.events.of(Wake) == [Wake("web")]
        assert other.heads[0].startswith(b"GET /x HTTP/1.1\r\nHost: web.test\r\n")
        assert s.stats("spare").requests == {200: 1}
        assert s.stats("web").requests == {}
        assert s.stats("web").in_flight == 0
        assert s.events.of(LoadReport)[0].keeping_awake == 1


@pytest.mark.rule("Tidegate: fallback", side="client")
async def test_requests_go_over_as_soon_as_the_first_is_ready() -> None:
    async with lending() as s:
        other = await spare(s)
        client = await s.client()
        await client.ask(get())
        real = await s.replica("web-0")
        s.publish(real)
        answer = await client.ask(get())
        assert answer.value("Tidegate-Fallback") is None
        assert (len(other.heads), len(real.heads)) == (1, 1)
        assert s.stats("web").requests == {200: 1}


async def test_what_waits_for_the_other_goes_over_too() -> None:
    """Both sleep; the first is there first. Its body goes with it."""
    async with lending() as s:
        clients = [await s.client() for _ in range(3)]
        for number, client in enumerate(clients):
            await client.send(post(b"body %d" % number))
            await until(lambda: s.stats("spare").queued == number + 1)  # noqa: B023
        assert {wake.service for wake in s.events.of(Wake)} == {"web", "spare"}
        assert s.stats("web").in_flight == 3  # its demand
        real = await s.replica("web-0")
        s.publish(real)
        for client in clients:
            answer = await client.answer()
            assert answer.value("Tidegate-Fallback") is None
            assert (answer.value("Server-Timing") or "").startswith("wake;dur=")
        assert sorted(real.bodies) == [b"body 0", b"body 1", b"body 2"]
        assert (s.stats("spare").queued, s.stats("spare").in_flight) == (0, 0)
        assert (s.stats("web").in_flight, s.stats("web").requests) == (0, {200: 3})
        report = await last_report(s)
        assert report.in_flight == report.queued == 0


async def test_one_that_the_other_has_begun_stays_there() -> None:
    going = asyncio.Event()

    async def slow(call: Call) -> None:
        await call.request()
        await going.wait()
        await call.send(HELLO)

    async with lending() as s:
        other = await spare(s, slow)
        client = await s.client()
        await client.send(get())
        await until(lambda: other.heads)
        s.publish(await s.replica("web-0"))
        await until(lambda: s.stats("web").in_flight == 0)
        going.set()
        assert (await client.answer()).value("Tidegate-Fallback") == "spare"


async def test_queue_and_limits_are_those_of_the_other() -> None:
    async with lending(spare={"queue": Queue(size=1)}) as s:
        first, second = await s.client(), await s.client()
        await first.send(get())
        await until(lambda: s.stats("spare").queued == 1)
        refused = await second.ask(get())
        assert (refused.status, s.stats("spare").rejected) == (503, {"queue-full": 1})
        assert s.stats("web").in_flight == 1


async def test_a_fallback_has_its_fallback_while_it_sleeps() -> None:
    more = {"spare": {"wake": {"fallback": "last"}}, "last": {}}
    async with served(wake={"fallback": "spare"}, more=more) as s:
        s.publish(await s.replica("last-0"), service="last")
        answer = await (await s.client()).ask(get())
        assert answer.value("Tidegate-Fallback") == "last"
        assert {wake.service for wake in s.events.of(Wake)} == {"web", "spare"}
        assert s.stats("spare").in_flight == s.stats("web").in_flight == 0


async def test_trouble_of_the_first_is_no_reason_not_to_answer() -> None:
    async with lending() as s:
        await spare(s)
        s.publish(trouble=Trouble("crash-looping", "It crashes.", 9.0))
        assert (await (await s.client()).ask(get())).value("Tidegate-Fallback") == "spare"


async def test_a_client_that_leaves_is_nobodys_demand() -> None:
    async with lending() as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: s.stats("spare").queued == 1)
        client.reset()
        await until(lambda: s.stats("spare").queued == 0)
        assert s.stats("web").in_flight == 0
        s.publish(await s.replica("web-0"))
        assert s.stats("spare").requests == {499: 1}


async def test_people_get_the_page_and_everybody_else_the_other_service() -> None:
    async with served(wake={"page": "auto", "fallback": "spare"}, more={"spare": {}}) as s:
        await spare(s)
        s.publish(start_seconds=5.0)
        client = await s.client()
        assert (await client.ask(get("/", BROWSER))).status == 503
        assert (await client.ask(get())).value("Tidegate-Fallback") == "spare"


async def test_trouble_of_the_other_is_no_reason_not_to_wait() -> None:
    """Known before, or found out while it waits there."""
    async with lending() as s:
        early, late = await s.client(), await s.client()
        await early.send(get())
        await until(lambda: s.stats("spare").queued == 1)
        s.publish(service="spare", trouble=Trouble("start-failed", "exited with code 3"))
        await until(lambda: s.stats("web").queued == 1)
        await late.send(get())
        await until(lambda: s.stats("web").queued == 2)
        assert s.stats("spare").in_flight == s.stats("spare").queued == 0
        s.publish(await s.replica("web-0"))
        for client in (early, late):
            assert (await client.answer()).body == b"hello"
        assert s.stats("web").in_flight == 0


async def test_trouble_of_both_is_told() -> None:
    async with lending() as s:
        for name in ("web", "spare"):
            s.publish(service=name, trouble=Trouble("start-failed", f"{name} fails"))
        answer = await (await s.client()).ask(get())
        assert (answer.status, b"web fails" in answer.body) == (503, True)
        assert s.stats("web").in_flight == s.stats("spare").in_flight == 0
