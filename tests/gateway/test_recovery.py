"""Replicas that refuse, reset, lie or break off, and what their clients see."""

import asyncio
from collections.abc import Iterator

import pytest

from cluster.messages import Drained, Endpoint, Outcome, OutcomeKind, Wake
from config.service import Queue, Retries, Timeouts
from gateway.routed import routed
from tests.support.lone_server import dead_port, deaf_port
from tests.support.raw_http import (
    HELLO,
    Call,
    get,
    once,
    post,
    say_hello,
    stage,
    until,
)

_REFUSED = OutcomeKind.REFUSED
LONG = 60.0  # seconds: no test takes that


@pytest.fixture
def dead() -> Iterator[Endpoint]:
    with dead_port() as address:
        yield Endpoint("web-dead", address)


@pytest.mark.rule("RFC 9112 §8: replica gone", side="both")
@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Length: 10", b"short"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\nzz\r\n"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n"),
    ],
)
async def test_a_body_that_breaks_is_cut_never_ended_rfc9112_8(head: bytes, body: bytes) -> None:
    async with stage(once(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body)) as s:
        client = await s.client()
        await client.send(get())
        await client.head()
        got = await client.rest()
        assert b"0\r\n\r\n" not in got
        assert len(got) < 15
        assert s.events.of(Outcome) == [Outcome("web", "web-0", OutcomeKind.RESET)]
        assert s.stats().in_flight == 0


@pytest.mark.rule("Tidegate: refused or reset", side="replica")
async def test_a_refusing_replica_is_left_for_another(dead: Endpoint) -> None:
    async with stage(say_hello) as s:
        s.publish(dead, *s.replicas)
        client = await s.client()
        assert (await client.ask(post(b"body"))).body == b"hello"
        assert s.replicas[0].bodies == [b"body"]
        assert s.events.of(Outcome) == [Outcome("web", "web-dead", OutcomeKind.REFUSED)]
        assert s.stats().retries == {"refused": 1}


@pytest.mark.rule("Tidegate: refused or reset", side="replica")
async def test_the_only_replica_refuses(dead: Endpoint) -> None:
    async with stage(queue=Queue(timeout=0.3)) as s:
        s.publish(dead)
        answer = await (await s.client()).ask(get())
        assert (answer.status, answer.value("Content-Type")) == (502, "application/problem+json")
        assert b"replica-unreachable" in answer.body


async def test_a_request_outlives_the_moment_between_death_and_replacement(
    dead: Endpoint,
) -> None:
    async with stage(queue=Queue(timeout=LONG)) as s:
        s.publish(dead)
        client = await s.client()
        await client.send(post(b"x"))
        await until(lambda: s.events.of(Outcome))
        s.publish(await s.replica("web-new"))
        assert (await client.answer()).body == b"hello"


@pytest.mark.rule("Tidegate: refused or reset", side="replica")
@pytest.mark.parametrize("request_bytes", [get(), post(b"x")])
async def test_however_often_it_is_refused_it_is_served_by_the_replacement(
    request_bytes: bytes, dead: Endpoint
) -> None:
    """Nothing of it has reached a replica, so it costs no attempt; the death may be heard late."""
    async with stage(queue=Queue(timeout=LONG), retries=Retries(attempts=1)) as s:
        s.publish(dead)
        client = await s.client()
        await client.send(request_bytes)
        await until(lambda: len(s.events.of(Outcome)) > 3)
        s.publish(await s.replica("web-new"))
        assert (await client.answer()).body == b"hello"


async def test_one_that_nobody_lets_in_is_answered_when_its_time_is_over() -> None:
    with deaf_port() as address:
        timeouts = Timeouts(connect=0.1)
        async with stage(queue=Queue(timeout=LONG), timeouts=timeouts) as s:
            s.publish(Endpoint("web-deaf", address))
            client = await s.client()
            await client.send(post(b"x"))
            await until(lambda: len(s.events.of(Outcome)) > 2)
            shorter = s.services["web"].model_copy(update={"queue": Queue(timeout=0.5)})
            s.gateway.configure([routed("web", shorter)], s.settings)
            answer = await client.answer()
            assert answer.status == 502
            assert b"replica-unreachable" in answer.body
            assert s.stats().in_flight == 0


async def test_one_sent_in_vain_has_the_whole_time_of_the_queue_again(dead: Endpoint) -> None:
    async def script(call: Call) -> None:
        await call.request()
        s.publish(Endpoint("web-0", dead.address))
        (connection,) = s.gateway.context.connections
        assert connection.exchange is not None
        connection.exchange.seeking_since -= LONG  # the replica took as long as it may wait
        call.reset()

    async with stage(script, queue=Queue(timeout=LONG)) as s:
        client = await s.client()
        await client.send(get())
        await until(lambda: [one.kind for one in s.events.of(Outcome)][-2:] == [_REFUSED] * 2)
        s.publish(await s.replica("web-new"))
        assert (await client.answer()).body == b"hello"


async def reset_at_once(call: Call) -> None:
    await call.request()
    call.reset()


@pytest.mark.rule("RFC 9110 §9.2.2: safe retries", side="replica")
@pytest.mark.rule("Tidegate: refused or reset", side="replica")
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
async def test_a_safe_request_is_retried_after_a_reset_rfc9110_9_2_2(method: str) -> None:
    async with stage(reset_at_once, say_hello) as s:
        client = await s.client()
        assert (await client.ask(get(method=method), to_head=method == "HEAD")).status == 200
        assert s.stats().retries == {"reset": 1}


@pytest.mark.rule("RFC 9110 §9.2.2: safe retries", side="replica")
@pytest.mark.rule("RFC 9110 §9.2.2: a body is sent once", side="replica")
@pytest.mark.parametrize("request_bytes", [post(b""), post(b"body"), post(b"body", method="PUT")])
async def test_an_unsafe_request_is_never_sent_twice_rfc9110_9_2_2(request_bytes: bytes) -> None:
    async def script(call: Call) -> None:
        await call.body(await call.request())
        call.reset()

    async with stage(script, script) as s:
        client = await s.client()
        answer = await client.ask(request_bytes)
        assert answer.status == 502
        assert len(s.replicas[0].heads) + len(s.replicas[1].heads) == 1
        assert (await client.ask(request_bytes)).status == 502


@pytest.mark.rule("Tidegate: retry budget", side="replica")
async def test_attempts_and_budget_bound_retries() -> None:
    async with stage(*[reset_at_once] * 5, retries=Retries(attempts=2)) as s:
        client = await s.client()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert (await client.ask(get())).status == 502
        assert sum(len(replica.heads) for replica in s.replicas) == 3
        for _ in range(60):
            assert (await client.ask(get())).status == 502
        # Ten from the floor, a fifth of the requests, and three that each second has earned.
        earned = 3 * (loop.time() - begun)
        assert sum(s.stats().retries.values()) <= 10 + 61 * 0.2 + earned + 1


@pytest.mark.rule("Tidegate: retry budget", side="replica")
async def test_no_retries_when_told_so() -> None:
    async with stage(reset_at_once, say_hello, retries=Retries(attempts=0)) as s:
        assert (await (await s.client()).ask(get())).status == 502


@pytest.mark.rule("RFC 9112 §9.3.1: stale connections", side="replica")
async def test_a_connection_that_went_stale_costs_the_client_nothing() -> None:
    async def one_each(call: Call) -> None:
        await call.body(await call.request())
        await call.send(HELLO)
        await call.request()  # read the second one, and close without a word

    async with stage(one_each) as s:
        client = await s.client()
        for _ in range(4):
            assert (await client.ask(get())).body == b"hello"
        assert s.events.of(Outcome) == []
        assert s.stats().retries["stale"] == 3


async def test_server_errors_are_told_and_the_recovery_too() -> None:
    answers = iter([b"500 Bad", b"200 OK", b"200 OK"])

    async def script(call: Call) -> None:
        while True:
            await call.request()
            await call.send(b"HTTP/1.1 " + next(answers) + b"\r\nContent-Length: 0\r\n\r\n")

    async with stage(script) as s:
        client = await s.client()
        for _ in range(3):
            await client.ask(get())
        kinds = [outcome.kind for outcome in s.events.of(Outcome)]
        assert kinds == [OutcomeKind.SERVER_ERROR, OutcomeKind.OK]


@pytest.mark.parametrize("left_behind", [0, 1])
async def test_a_request_that_still_connects_goes_elsewhere_when_its_replica_leaves(
    left_behind: int,
) -> None:
    """Also because the address may be another's when the connection is made at last: engines give
    the addresses of the dead to the next ones."""
    with deaf_port() as address:
        async with stage(timeouts=Timeouts(connect=3600.0)) as s:
            s.publish(Endpoint("web-deaf", address))
            clients = [await s.client() for _ in range(3)]
            for client in clients:
                await client.send(get())
            await until(lambda: s.stats().in_flight == 3)
            replicas = [await s.replica("web-0")] * left_behind
            s.publish(*replicas)
            drained = s.events.of(Drained)
            assert [one.replica for one in drained] == ["web-deaf"]
            if not left_behind:
                assert s.stats().queued == 3
                assert s.events.of(Wake)
                s.publish(await s.replica("web-0"))
            for client in clients:
                assert (await client.answer()).status == 200
            assert s.stats().requests == {200: 3}
