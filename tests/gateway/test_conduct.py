"""What the gateway tells of each replica, for whoever compares it with its siblings."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from cluster.buckets import percentile
from cluster.messages import LoadReport, Outcome, OutcomeKind
from config.service import Health, Outliers, Service, Timeouts
from gateway.routed import routed
from tests.support.raw_http import HELLO, Call, Stage, always, get, once, stage, until

COMPARED: dict[str, Any] = {"health": Health(outliers=Outliers(slow=5.0))}
POST = b"POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 4\r\n\r\n"
FAILURE = b"HTTP/1.1 500 -\r\nContent-Length: 0\r\n\r\n"
FAILURE_IN_PARTS = b"HTTP/1.1 500 -\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
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


async def mute(call: Call) -> None:
    await call.body(await call.request())
    await asyncio.sleep(3600)


class Told:
    """All reports on one replica together."""

    def __init__(self, s: Stage, replica: str = "web-0") -> None:
        served = [
            one
            for report in s.events.of(LoadReport)
            for one in report.served
            if one.replica == replica
        ]
        self.answers = sum(one.answers for one in served)
        self.failures = sum(one.failures for one in served)
        times: Counter[int] = Counter()
        for one in served:
            times.update(dict(one.times))
        self.times = [percentile({bucket: 1}, 50) or 0.0 for bucket in sorted(times.elements())]

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.answers, self.failures, len(self.times)


async def told(s: Stage, counts: tuple[int, int, int], replica: str = "web-0") -> list[float]:
    """The times, once so many answers, failures and times were told; and no more than these."""
    await until(lambda: Told(s, replica).counts >= counts, f"{counts}")
    assert Told(s, replica).counts == counts
    return Told(s, replica).times


async def test_each_answer_of_each_replica_with_its_time() -> None:
    async with stage(slow, always(HELLO), balance="round_robin", **COMPARED) as s:
        client = await s.client()
        took = {"web-0": 0.0, "web-1": 0.0}
        for _ in range(4):
            began, asked = time.perf_counter(), len(s.replicas[0].heads)
            assert (await client.ask(get())).status == 200
            took["web-0" if len(s.replicas[0].heads) > asked else "web-1"] += (
                time.perf_counter() - began
            )
        slowly = await told(s, (2, 0, 2), "web-0")
        quickly = await told(s, (2, 0, 2), "web-1")
        # And each is told once.
        await until(lambda: s.events.of(LoadReport)[-1].is_silent)
        assert Told(s, "web-0").counts == Told(s, "web-1").counts == (2, 0, 2)
    assert all(seconds > LEAST for seconds in slowly)
    assert sum(slowly) < at_most(took["web-0"])
    assert sum(quickly) < at_most(took["web-1"])


async def test_the_first_byte_counts_and_not_the_last() -> None:
    async with stage(headlong, **COMPARED) as s:
        client = await s.client()
        began = time.perf_counter()
        await client.send(get())
        assert (await client.head()).status == 200
        to_head = time.perf_counter() - began
        await asyncio.sleep(SLOW)
        await s.replicas[0].calls[0].send(b"." * 9)
        assert await client.reader.readexactly(9) == b"." * 9
        assert (await told(s, (1, 0, 1)))[0] < at_most(to_head)


async def test_waiting_for_a_place_is_none_of_its_time() -> None:
    async with stage(slow, concurrency=1, **COMPARED) as s:
        clients = [await s.client() for _ in range(3)]
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.ask(get()))
        took = time.perf_counter() - began
        times = await told(s, (3, 0, 3))
    assert all(seconds > LEAST for seconds in times)
    assert sum(times) < at_most(took), "one after the other"


async def test_how_slowly_a_client_sends_is_none_of_its_time() -> None:
    async with stage(**COMPARED) as s:
        s.replicas.append(await s.replica("web-0", always(HELLO)))
        s.publish(*s.replicas)
        client = await s.client()
        began = time.perf_counter()
        await client.send(POST)
        await until(lambda: s.replicas[0].heads)
        slept = time.perf_counter()
        await asyncio.sleep(SLOW)
        slept = time.perf_counter() - slept
        assert (await client.ask(b"body")).status == 200
        took = time.perf_counter() - began - slept
        assert (await told(s, (1, 0, 1)))[0] < at_most(took)


@pytest.mark.parametrize("failure", [FAILURE, FAILURE_IN_PARTS])
async def test_a_failure_is_counted_without_its_time(failure: bytes) -> None:
    async with stage(always(failure), **COMPARED) as s:
        client = await s.client()
        for _ in range(3):
            assert (await client.ask(get())).status == 500
        assert await told(s, (0, 3, 0)) == []
        assert len(s.events.of(Outcome)) == 3


async def test_a_reset_is_a_failure_of_the_one_and_an_answer_of_the_other() -> None:
    async def reset(call: Call) -> None:
        await call.request()
        call.reset()

    async with stage(reset, once(HELLO), **COMPARED) as s:
        assert (await (await s.client()).ask(get())).status == 200
        await told(s, (0, 1, 0), "web-0")
        await told(s, (1, 0, 1), "web-1")


async def test_a_request_that_its_client_gave_up_counts_with_the_time_it_waited() -> None:
    """Else a replica that all run away from would look like one that nobody asks."""
    async with stage(mute, **COMPARED) as s:
        client = await s.client()
        began = time.perf_counter()
        await client.send(get())
        await until(lambda: s.replicas[0].bodies)
        await asyncio.sleep(SLOW)
        client.reset()
        await until(lambda: s.stats().requests == {499: 1})
        took = time.perf_counter() - began
        times = await told(s, (0, 0, 1))
        assert LEAST < times[0] < at_most(took)
        assert s.stats().requests == {499: 1}


async def test_a_client_that_leaves_in_the_middle_of_its_upload_says_nothing() -> None:
    async with stage(slow, **COMPARED) as s:
        client = await s.client()
        await client.send(POST)
        await until(lambda: s.replicas[0].heads)
        client.reset()
        await until(lambda: s.stats().requests == {499: 1})
        assert (await (await s.client()).ask(get())).status == 200
        await told(s, (1, 0, 1))


async def test_a_silent_replica_has_failed_and_taken_as_long() -> None:
    timeouts = Timeouts(response=SLOW)
    async with stage(mute, timeouts=timeouts, **COMPARED) as s:
        client = await s.client()
        began = time.perf_counter()
        assert (await client.ask(get())).status == 504
        took = time.perf_counter() - began
        times = await told(s, (0, 1, 1))
        assert LEAST < times[0] < at_most(took)


async def test_a_success_is_still_told_once_after_a_failure() -> None:
    answers = [FAILURE, HELLO, HELLO]

    async def by_turns(call: Call) -> None:
        while answers:
            await call.request()
            await call.send(answers.pop(0))

    async with stage(by_turns, **COMPARED) as s:
        client = await s.client()
        for status in (500, 200, 200):
            assert (await client.ask(get())).status == status
        kinds = [outcome.kind for outcome in s.events.of(Outcome)]
        assert kinds == [OutcomeKind.SERVER_ERROR, OutcomeKind.OK]
        await told(s, (2, 1, 2))


async def test_nothing_is_counted_unless_it_is_asked_for_and_from_then_on() -> None:
    async with stage(always(HELLO)) as s:
        client = await s.client()
        assert (await client.ask(get())).status == 200
        await until(lambda: len(s.events.of(LoadReport)) >= 2)
        assert {report.served for report in s.events.of(LoadReport)} == {()}
        s.gateway.configure(
            [routed("web", s.services["web"].model_copy(update=COMPARED))], s.settings
        )
        assert (await client.ask(get())).status == 200
        await told(s, (1, 0, 1))
        s.gateway.configure([routed("web", s.services["web"])], s.settings)
        s.events.log.clear()
        assert (await client.ask(get())).status == 200
        await until(lambda: len(s.events.of(LoadReport)) >= 2)
        assert Told(s).counts == (0, 0, 0)


async def test_what_it_did_before_it_was_away_is_not_told_when_it_is_back() -> None:
    """Not even while something of before is still in flight there."""

    async def slow_at_times(call: Call) -> None:
        while True:
            if b"/slow" in await call.request():
                await release.wait()
            await call.send(HELLO)

    release = asyncio.Event()
    async with stage(slow_at_times, **COMPARED) as s:
        (replica,) = s.replicas
        client, patient = await s.client(), await s.client()
        await patient.send(get("/slow"))
        await until(lambda: replica.heads)
        assert (await client.ask(get())).status == 200
        s.publish()
        s.publish(replica)
        assert (await client.ask(get())).status == 200
        await told(s, (1, 0, 1))
        release.set()
        assert (await patient.answer()).status == 200


async def test_a_new_replica_gets_its_share_little_by_little() -> None:
    """And a whole one in the end, over real connections, none of them refused."""
    service = Service(hosts=("*",), balance="round_robin", slow_start=3600.0)
    async with stage(services={"web": service}) as s:
        old, new = await s.replica("web-0"), await s.replica("web-1")
        s.publish(old)
        client = await s.client()
        assert (await client.ask(get())).status == 200
        dispatcher = s.gateway._context.routes["web"].destination
        assert dispatcher is not None
        s.publish(old, new)
        for _ in range(40):
            assert (await client.ask(get())).status == 200
        assert 1 <= len(new.heads) <= 10
        grown = service.model_copy(update={"slow_start": 0.1})
        s.gateway.configure([routed("web", grown)], s.settings)
        await until(lambda: not dispatcher.dispatcher.is_growing)
        before = len(new.heads)
        for _ in range(40):
            assert (await client.ask(get())).status == 200
        assert len(new.heads) - before == 20


async def test_one_that_starts_slowly_and_is_alone_serves_at_once() -> None:
    service = {"web": Service(hosts=("*",), slow_start=30.0, concurrency=1)}
    async with stage(services=service) as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: s.stats().queued == 1)
        s.publish(await s.replica("web-0"))
        assert (await client.answer()).status == 200
