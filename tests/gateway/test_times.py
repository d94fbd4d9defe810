"""How long requests took, as the gateway's reports tell it: latency, service time, wait."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from cluster.buckets import percentile
from cluster.messages import LoadReport
from config.rules import LatencyRule
from config.scaling import Scaling
from config.service import Queue, Service, Timeouts
from gateway.routed import routed
from tests.support.raw_http import HELLO, Call, Stage, get, stage, until

TIMED: dict[str, Any] = {"scaling": Scaling(rules=(LatencyRule(metric="latency", target=0.3),))}
POST = b"POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 4\r\n\r\n"
SLOW = 0.15  # seconds
# A percentile is within 5 %. A loaded machine is late, never early: what is too long for a request
# follows from what its client saw.
LEAST = SLOW * 0.93


def at_most(seen: float) -> float:
    """Seconds; uvloop's clock goes by milliseconds."""
    return seen * 1.07 + 0.01


async def slow(call: Call) -> None:
    while True:
        await call.body(await call.request())
        await asyncio.sleep(SLOW)
        await call.send(HELLO)


async def headlong(call: Call) -> None:
    """The head at once, the rest of the body when the test says so."""
    await call.request()
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    await call.reader.read()


async def asked_slowly(s: Stage) -> float:
    """Seconds until the client had the head; it has it for SLOW when the rest comes."""
    client = await s.client()
    began = time.perf_counter()
    await client.send(get())
    assert (await client.head()).status == 200
    to_head = time.perf_counter() - began
    await asyncio.sleep(SLOW)
    await s.replicas[0].calls[0].send(b"." * 9)
    assert await client.reader.readexactly(9) == b"." * 9
    return to_head


async def told(s: Stage, latencies: int, waits: int) -> tuple[list[float], ...]:
    """Latencies, service times and waits, each in rising order, when so many were reported."""

    def of(name: str) -> list[float]:
        counts: Counter[int] = Counter()
        for report in s.events.of(LoadReport):
            counts.update(dict(getattr(report, name)))
        each = [(percentile({bucket: 1}, 50), count) for bucket, count in sorted(counts.items())]
        return [seconds for seconds, count in each for _ in range(count) if seconds is not None]

    await until(lambda: len(of("latencies")) >= latencies and len(of("waits")) >= waits)
    return of("latencies"), of("service_times"), of("waits")


async def test_a_request_that_is_answered_at_once() -> None:
    async with stage(slow, **TIMED) as s:
        client = await s.client()
        began = time.perf_counter()
        for _ in range(3):
            assert (await client.ask(get())).status == 200
        took = time.perf_counter() - began
        latencies, service_times, waits = await told(s, 3, 3)
    assert all(seconds > LEAST for seconds in latencies + service_times)
    assert sum(latencies) < at_most(took)
    assert sum(service_times) < at_most(took)
    assert (len(latencies), len(service_times)) == (3, 3)
    assert waits == [0.0, 0.0, 0.0]


async def test_the_first_byte_counts_and_not_the_last() -> None:
    async with stage(headlong, **TIMED) as s:
        to_head = await asked_slowly(s)
        latencies, service_times, _ = await told(s, 1, 1)
        assert s.stats().duration.total > LEAST
    assert latencies[0] < at_most(to_head)
    assert service_times[0] < at_most(to_head)


async def test_waiting_for_a_place_is_latency_but_no_service_time() -> None:
    async with stage(slow, concurrency=1, **TIMED) as s:
        clients = [await s.client() for _ in range(3)]
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.ask(get()))
        took = time.perf_counter() - began
        latencies, service_times, waits = await told(s, 3, 3)
    assert all(seconds > LEAST * (place + 1) for place, seconds in enumerate(latencies))
    assert all(seconds > LEAST for seconds in service_times)
    assert sum(service_times) < at_most(took), "one after the other"
    assert waits[0] == 0.0
    assert all(seconds >= LEAST * place for place, seconds in enumerate(waits))


async def test_waiting_in_vain_is_a_wait_and_no_latency() -> None:
    """Else the worst of all waits would be unknown to the rule about them."""
    go = asyncio.Event()

    async def held(call: Call) -> None:
        await call.request()
        await go.wait()
        await call.send(HELLO)

    async with stage(held, concurrency=1, queue=Queue(timeout=SLOW / 3), **TIMED) as s:
        first, second = await s.client(), await s.client()
        await first.send(get())
        await until(lambda: s.replicas[0].heads)
        assert (await second.ask(get())).status == 503
        go.set()
        assert (await first.answer()).status == 200
        latencies, service_times, waits = await told(s, 1, 2)
    assert (len(latencies), len(service_times)) == (1, 1)
    assert waits[0] == 0.0
    assert waits[1] > SLOW / 3 * 0.93


async def test_answers_of_the_gateway_itself_are_no_latency() -> None:
    async def mute(call: Call) -> None:
        await call.request()
        await call.reader.read()

    async with stage(mute, timeouts=Timeouts(response=SLOW / 3), **TIMED) as s:
        assert (await (await s.client()).ask(get())).status == 504
        latencies, service_times, _ = await told(s, 0, 1)
    assert (latencies, service_times) == ([], [])


async def test_a_wake_is_no_latency_and_no_wait() -> None:
    async with stage(**TIMED) as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: s.stats().queued == 1)
        replica = await s.replica("web-0", slow)
        await asyncio.sleep(SLOW)
        s.publish(replica)
        assert (await client.answer()).value("Server-Timing") is not None
        assert (await client.ask(get())).status == 200
        latencies, service_times, waits = await told(s, 1, 1)
        assert s.stats().queue_wait.total > LEAST
    assert (len(latencies), len(service_times), waits) == (1, 2, [0.0])


async def test_how_slowly_a_client_sends_is_no_latency() -> None:
    async with stage(slow, **TIMED) as s:
        client = await s.client()
        began = time.perf_counter()
        await client.send(POST)
        await until(lambda: s.replicas[0].heads)
        slept = time.perf_counter()
        await asyncio.sleep(3 * SLOW)
        slept = time.perf_counter() - slept
        assert (await client.ask(b"body")).status == 200
        took = time.perf_counter() - began - slept
        latencies, service_times, _ = await told(s, 1, 1)
    assert LEAST < latencies[0] < at_most(took)
    assert LEAST < service_times[0] < at_most(took)


async def test_nothing_is_told_where_no_rule_asks() -> None:
    async with stage(slow) as s:
        assert (await (await s.client()).ask(get())).status == 200
        await until(lambda: len(s.events.of(LoadReport)) >= 2)
        assert {(r.latencies, r.service_times, r.waits) for r in s.events.of(LoadReport)} == {
            ((), (), ())
        }


@pytest.mark.parametrize(
    ("metric", "timed"), [("latency", True), ("queue_wait", True), ("concurrency", False)]
)
def test_times_are_told_for_rules_that_need_them(metric: str, timed: bool) -> None:
    rule = {"metric": metric, "target": 1.0}
    service = Service.model_validate({"scaling": {"rules": [rule]}})
    assert routed("web", service).timed == timed
