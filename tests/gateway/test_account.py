"""What the gateway tells of services that are recorded, beside their load."""

import asyncio
import time
from collections import Counter
from typing import Any

from cluster.buckets import percentile
from cluster.messages import LoadReport, Recorded
from cluster.sizes import bucket
from config.service import Retries, Service
from gateway.account import Account
from gateway.routed import routed
from tests.support.raw_http import HELLO, Call, Stage, always, get, post, stage, until

RECORDED: dict[str, Any] = {"record": True}
FAILURE = b"HTTP/1.1 500 -\r\nContent-Length: 0\r\n\r\n"
IN_PARTS = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"
SLOW = 0.15  # seconds


def at_most(seen: float) -> float:
    """Seconds; a percentile is within 5 %, and uvloop's clock goes by milliseconds."""
    return seen * 1.07 + 0.01


async def slow_to_end(call: Call) -> None:
    """The head at once, the rest of the body much later."""
    await call.request()
    await call.send(IN_PARTS)
    await asyncio.sleep(SLOW)
    await call.send(b"." * 3000)


async def taking_all(call: Call) -> None:
    while True:
        await call.body(await call.request())
        await call.send(HELLO)


class Told:
    """All that was told of the service."""

    def __init__(self, s: Stage) -> None:
        reports = s.events.of(LoadReport)
        parts = [report.recorded for report in reports if report.recorded is not None]
        self.failures = sum(one.failures for one in parts)
        self.occupied = _sum(one.occupied for one in parts)
        self.request_sizes = _sum(one.request_sizes for one in parts)
        self.answer_sizes = _sum(one.answer_sizes for one in parts)
        self.cold_waits = _sum(one.cold_waits for one in parts)
        self.request_bytes = sum(one.request_bytes for one in parts)
        self.answer_bytes = sum(one.answer_bytes for one in parts)
        self.requests = sum(report.requests for report in reports)
        self.service_times = _sum(report.service_times for report in reports)


def _sum(parts: Any) -> Counter[int]:
    total: Counter[int] = Counter()
    for one in parts:
        total.update(dict(one))
    return total


async def told(s: Stage, answers: int) -> Told:
    await until(lambda: Told(s).occupied.total() >= answers)
    await until(lambda: s.events.of(LoadReport)[-1].is_silent)
    return Told(s)


async def test_each_answer_with_its_sizes_and_times() -> None:
    async with stage(taking_all, **RECORDED) as s:
        client = await s.client()
        for size in (0, 1, 1, 5000):
            assert (await client.ask(post(b"x" * size))).status == 200
        seen = await told(s, 4)
    assert seen.request_sizes == {bucket(0): 1, bucket(1): 2, bucket(5000): 1}
    assert (seen.request_bytes, seen.answer_bytes) == (5002, 4 * len(b"hello"))
    assert seen.answer_sizes == {bucket(len(b"hello")): 4}
    assert seen.occupied.total() == seen.service_times.total() == 4


async def test_the_size_of_a_body_that_says_none_is_that_of_its_content() -> None:
    chunks = b"3\r\nabc\r\n4;x=y\r\nefgh\r\n0\r\n\r\n"
    head = get("/", "Transfer-Encoding: chunked", method="POST")
    async with stage(taking_all, **RECORDED) as s:
        at_once, in_parts = await s.client(), await s.client()
        assert (await at_once.ask(head + chunks)).status == 200
        await in_parts.send(head + chunks[:5])
        await asyncio.sleep(0.05)
        assert (await in_parts.ask(chunks[5:])).status == 200
        assert (await in_parts.ask(get())).status == 200
        seen = await told(s, 3)
    assert seen.request_sizes == {bucket(7): 2, 0: 1}
    assert seen.request_bytes == 14


async def test_a_place_is_occupied_until_the_last_byte() -> None:
    async with stage(slow_to_end, **RECORDED) as s:
        client = await s.client()
        began = time.perf_counter()
        await client.send(get())
        await client.head()
        to_head = time.perf_counter() - began
        assert len(await client.reader.readexactly(3000)) == 3000
        took = time.perf_counter() - began
        seen = await told(s, 1)
    # A loaded machine is late, never early: what is too long follows from what the client saw.
    assert SLOW * 0.93 < (percentile(seen.occupied, 50) or 0.0) < at_most(took)
    assert (percentile(seen.service_times, 50) or 0.0) < at_most(to_head)
    assert seen.answer_sizes == {bucket(3000): 1}


async def test_failures_are_counted_and_have_no_size() -> None:
    async with stage(always(FAILURE), retries=Retries(attempts=0), **RECORDED) as s:
        client = await s.client()
        for _ in range(3):
            assert (await client.ask(get())).status == 500
        await until(lambda: Told(s).failures == 3)
        await until(lambda: s.events.of(LoadReport)[-1].is_silent)
        seen = Told(s)
    assert (seen.failures, seen.requests, seen.occupied.total()) == (3, 3, 0)


async def test_how_long_a_wake_took_is_told_to_who_is_recorded() -> None:
    async with stage(**RECORDED) as s:
        client = await s.client()
        await client.send(get())
        await asyncio.sleep(SLOW)
        s.publish(await s.replica("web-0", always(HELLO)))
        assert (await client.answer()).status == 200
        seen = await told(s, 1)
    assert seen.cold_waits.total() == 1
    assert (percentile(seen.cold_waits, 50) or 0.0) > SLOW * 0.93


async def test_nothing_is_told_of_others() -> None:
    async with stage(always(HELLO)) as s:
        assert (await (await s.client()).ask(get())).status == 200
        await until(lambda: bool(s.events.of(LoadReport)))
        assert not any(slot.is_heeded for slot in _slots(s))
        assert {report.recorded for report in s.events.of(LoadReport)} == {None}


async def test_a_reload_turns_it_on_and_off_to_the_request() -> None:
    async with stage(taking_all) as s:
        client = await s.client()
        for record, count in ((True, 1), (False, 2), (True, 4), (False, 8)):
            for _ in range(count):
                assert (await client.ask(get())).status == 200
            s.gateway.configure([routed("web", _web(record=record))], s.settings)
        assert not any(slot.is_heeded for slot in _slots(s))
        recorded = [one.requests for one in s.events.of(LoadReport) if one.recorded is not None]
        others = [one.requests for one in s.events.of(LoadReport) if one.recorded is None]
    assert (sum(recorded), sum(others)) == (2 + 8, 1 + 4)
    assert Told(s).occupied.total() == 2 + 8


async def test_the_end_of_a_gateway_leaves_no_request_untold() -> None:
    async with stage(taking_all, **RECORDED) as s:
        client = await s.client()
        for _ in range(5):
            assert (await client.ask(get())).status == 200
        await s.gateway.drain(1.0)
        seen = Told(s)
    assert (seen.requests, seen.occupied.total()) == (5, 5)


def test_what_was_counted_before_is_not_told_and_all_else_once() -> None:
    account = Account([2, 0, 1])
    account.answered(0.0, 0, 3)
    account.failures += 1
    first = account.take([2, 1, 1])
    assert first == Recorded(1, ((0, 1),), ((0, 1),), ((2, 1),), 0, 3, ((1, 1),))
    assert account.take([2, 1, 1]) == Recorded()


def _web(record: bool) -> Service:
    return Service(name="web", hosts=("*",), record=record)


def _slots(s: Stage) -> Any:
    destination = s.gateway._routes["web"].destination
    assert destination is not None
    return destination.dispatcher.slots
