"""Client connections: what is refused, bounded, held and closed."""

import asyncio
import socket
from typing import Any

import pytest

from config.service import Service
from gateway import downstream
from gateway.downstream import Downstream
from tests.gateway.corpus import CASES, VALID, VALID_CASES
from tests.support.raw_http import (
    HELLO,
    Call,
    Script,
    get,
    post,
    say_hello,
    settled,
    stage,
    until,
)


@pytest.mark.rule("RFC 9112 §9.6: refused is closed", side="client")
@pytest.mark.parametrize(("data", "status"), CASES)
async def test_the_ambiguous_is_refused_and_never_forwarded_rfc9112_11_2(
    data: bytes, status: int
) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        answer = await client.ask(data)
        assert (answer.status, answer.value("Connection")) == (status, "close")
        assert await client.is_closed()
        assert s.replicas[0].connections == 0


@pytest.mark.parametrize("name", VALID_CASES)
async def test_the_valid_is_served(name: str) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        assert (await client.ask(VALID[name])).body == b"hello"
        assert b"\r\nHost: " in s.replicas[0].heads[0]
        if name != "HTTP/1.0":
            assert (await client.ask(get())).body == b"hello"


@pytest.mark.rule("RFC 9112 §11.2: any split", side="client")
@pytest.mark.parametrize("name", VALID_CASES)
async def test_the_valid_is_served_byte_by_byte(name: str) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        client.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in VALID[name]:
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.answer()).body == b"hello"


@pytest.mark.rule("RFC 9112 §9.6: refused is closed", side="client")
async def test_a_bad_request_ends_a_pipeline_rfc9112_9_3_2() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.send(get() + b"GET / HTTP/1.1\r\n\r\n" + get("/never"))
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 400
        assert await client.is_closed()
        assert len(s.replicas[0].heads) == 1


@pytest.mark.rule("RFC 9112 §9.3: persistence", side="client")
async def test_nothing_follows_connection_close_rfc9112_9_6() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.send(get("/", "Connection: close") + get("/never"))
        assert (await client.answer()).status == 200
        assert await client.is_closed()
        assert len(s.replicas[0].heads) == 1


@pytest.mark.rule("Tidegate: no route", side="client")
async def test_no_route_is_a_404_and_the_connection_stays() -> None:
    async with stage(say_hello, hosts=("only.test",)) as s:
        client = await s.client()
        answer = await client.ask(get(host="other.test"))
        assert (answer.status, b'"no-route"' in answer.body) == (404, True)
        assert (await client.ask(post(b"body"))).status == 404
        page = await client.ask(get("/", "Accept: text/html", host="other.test"))
        assert page.value("Content-Type") == "text/html; charset=utf-8"
        empty = await client.ask(get(host="other.test", method="HEAD"), to_head=True)
        assert empty.status == 404
        assert (await client.ask(get(host="only.test"))).status == 200
        assert s.gateway.stats(0.0).unrouted == {404: 4}


def of(rule: str, *values: object) -> Any:
    """A case that proves a rule at the client's side."""
    return pytest.param(*values, marks=pytest.mark.rule(rule, side="client"))


@pytest.mark.parametrize(
    ("data", "limits", "status"),
    [
        of("RFC 9110 §15.5.15: length of the target", get("/" + "a" * 100), {"url": 50}, 414),
        of("RFC 6585 §5: size of the head", get("/", "X: " + "a" * 100), {"headers": 50}, 431),
        of("RFC 6585 §5: number of fields", get("/", "A: 1", "B: 2"), {"header_count": 2}, 431),
        of(
            "RFC 9110 §15.5.14: size of the body",
            get("/", "Content-Length: 11", method="POST"),
            {"body": 10},
            413,
        ),
        of(
            "RFC 9110 §15.5.14: size of the body",
            get("/", "Transfer-Encoding: chunked", method="POST")
            + b"b\r\nhello world\r\n0\r\n\r\n",
            {"body": 10},
            413,
        ),
    ],
)
async def test_limits(data: bytes, limits: dict[str, Any], status: int) -> None:
    async with stage(say_hello, **limits) as s:
        client = await s.client()
        answer = await client.ask(data)
        assert (answer.status, answer.value("Connection")) == (status, "close")
        assert s.replicas[0].heads == []


@pytest.mark.rule("RFC 9110 §15.5.14: size of the body", side="client")
async def test_a_chunked_body_is_counted_as_it_comes() -> None:
    async with stage(say_hello, body=10) as s:
        client = await s.client()
        await client.send(
            get("/", "Transfer-Encoding: chunked", method="POST") + b"6\r\nhello!\r\n"
        )
        await until(lambda: s.replicas[0].heads)
        answer = await client.ask(b"6\r\nhello!\r\n")
        assert answer.status == 413
        await until(lambda: s.replicas[0].open == 0)
        assert s.replicas[0].bodies == []


@pytest.mark.rule("RFC 9112 §7.1: chunk size", side="client")
async def test_a_bad_chunk_later_aborts_the_replica_too() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.send(get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
        await until(lambda: s.replicas[0].heads)
        assert (await client.ask(b"zz\r\n")).status == 400
        await until(lambda: s.replicas[0].open == 0)
        assert s.replicas[0].bodies == []


@pytest.mark.rule("RFC 9112 §9.6: lingering close", side="client")
async def test_a_refused_upload_is_answered_although_it_goes_on_rfc9112_9_6() -> None:
    async with stage(say_hello, body=10) as s:
        client = await s.client()
        await client.send(get("/", "Content-Length: 300000", method="POST"))
        client.writer.write(b"x" * 300_000)
        assert (await client.answer()).status == 413
        assert await client.is_closed()


async def refuse(call: Call) -> None:
    await call.request()
    await call.send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    await call.reader.read()


CHUNK = b"6\r\nhello!\r\n"
LATER = get("/", "Transfer-Encoding: chunked", method="POST")


@pytest.mark.rule("RFC 9112 §9.6: lingering close", side="client")
@pytest.mark.parametrize(
    ("script", "first", "second", "status"),
    [
        (say_hello, get("/", "Content-Length: 999999", method="POST"), b"", 413),
        (say_hello, LATER + CHUNK, CHUNK, 413),
        (say_hello, LATER + CHUNK, b"zz\r\n", 400),
        (say_hello, b"GET / HTTP/1.1\r\nA : b\r\n\r\n", b"", 400),
        (refuse, get("/", "Content-Length: 9", method="POST"), b"", 403),
    ],
    ids=["length", "size", "chunk", "head", "early answer"],
)
async def test_what_still_comes_after_a_refusal_is_no_reason_for_a_reset_rfc9112_9_6(
    script: Script, first: bytes, second: bytes, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reset could take the answer with it."""
    monkeypatch.setattr(downstream, "_LINGER", 60.0)
    async with stage(script, body=10) as s:
        client = await s.client()
        await client.send(first)
        if second:
            await until(lambda: s.replicas[0].heads)
            await client.send(second)
        assert (await client.answer()).status == status
        for _ in range(5):
            client.writer.write(b"x" * 1000)
            await asyncio.sleep(0.01)
        assert await client.reader.read() == b""


@pytest.mark.rule("RFC 9110 §15.5.9: slow heads", side="client")
async def test_a_head_that_drips_is_a_408_counted_from_its_first_byte() -> None:
    async with stage(say_hello, header_timeout=0.3) as s:
        client = await s.client()
        loop = asyncio.get_running_loop()
        started = loop.time()

        async def drip() -> None:
            for byte in get("/", "X: " + "a" * 1000):
                client.writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        task = loop.create_task(drip())
        answer = await client.answer()
        assert (answer.status, answer.value("Connection")) == (408, "close")
        assert 0.25 < loop.time() - started < 10.0
        task.cancel()


@pytest.mark.rule("RFC 9110 §15.5.9: slow heads", side="client")
async def test_neither_a_line_nor_an_empty_line_buys_more_time() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await until(lambda: s.gateway._context.connections)
        (connection,) = s.gateway._context.connections
        assert isinstance(connection, Downstream)
        deadlines = set()
        came = b""
        for part in (b"\r", b"\nGET / HT", b"TP/1.1\r", b"\nHost: a\r\n", b"A: b\r\n"):
            await client.send(part)
            came += part
            await until(lambda: connection._drips and connection._drips._held == came)  # noqa: B023
            deadlines.add(connection.deadline)
        assert len(deadlines) == 1
        assert (await client.ask(b"\r\n")).body == b"hello"


@pytest.mark.rule("RFC 9112 §9.5: idle connections", side="client")
async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with stage(say_hello, idle_timeout=60.0) as s:
        client, fresh = await s.client(), await s.client()
        await client.ask(get())
        await until(lambda: len(s.gateway.context.connections) == 2)
        await s.passes(30.0)
        assert len(s.gateway.context.connections) == 2
        await s.passes(30.0)
        assert await client.is_closed()
        assert await fresh.is_closed()


@pytest.mark.rule("Tidegate: connections", side="client")
async def test_connections_are_limited() -> None:
    async with stage(say_hello, connections=2) as s:
        first, second = await s.client(), await s.client()
        await first.ask(get())
        await second.ask(get())
        third = await s.client()
        answer = await third.answer()
        assert (answer.status, b"too-many-connections" in answer.body) == (503, True)
        assert await third.is_closed()
        third.writer.close()
        first.writer.close()
        await until(lambda: sum(s.gateway.stats(0.0).connections.values()) == 1)
        assert (await (await s.client()).ask(get())).status == 200


@pytest.mark.rule("Tidegate: early pipelined bytes", side="client")
async def test_early_pipelined_bytes_are_bounded() -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.request()
        await go.wait()
        await call.send(HELLO)
        await say_hello(call)

    async with stage(script, concurrency=1) as s:
        client = await s.client()
        await client.send(get("/first"))
        await until(lambda: s.replicas[0].heads)
        request = get("/", "X: " + "y" * 3000)
        count = 16 * 2**20 // len(request)
        client.writer.write(request * count)
        buffered = client.writer.transport.get_write_buffer_size
        await settled(lambda: len(request) * count - buffered())
        assert buffered() > 4 * 2**20
        go.set()
        async with asyncio.timeout(150):
            for _ in range(count + 1):
                await client.answer()


@pytest.mark.rule("Tidegate: routing", side="client")
async def test_services_are_told_apart() -> None:
    services = {
        "one": Service(name="one", hosts=("one.test",)),
        "two": Service(name="two", paths=("/two",), hosts=("one.test",)),
        "three": Service(name="three"),
    }
    async with stage(services=services) as s:
        for name in services:
            s.publish(await s.replica(name), service=name)
        client = await s.client()
        asked = [("one.test", "/"), ("ONE.test.:80", "/two/x"), ("three.localhost:9", "/two")]
        for host, path in asked:
            assert (await client.ask(get(path, host=host))).status == 200
        assert [s.stats(name).requests for name in services] == [{200: 1}] * 3


@pytest.mark.parametrize(
    ("few", "size", "kept"), [(5, 3000, True), (0, 3000, False), (0, 99, True)]
)
async def test_long_heads_are_remembered_only_while_clients_are_few(
    few: int, size: int, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downstream, "_FEW", few)
    async with stage(say_hello) as s:
        client = await s.client()
        assert (await client.ask(get("/", f"Cookie: {'c' * size}"))).status == 200
        (connection,) = s.gateway._context.connections
        assert isinstance(connection, Downstream)
        assert (connection._former is not None) is kept
