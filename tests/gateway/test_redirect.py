"""Plain HTTP is sent to HTTPS: same name, path and query, and nothing that a client slips in."""

import asyncio
import contextlib
import json
import logging
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.settings import Limits
from gateway import grammar
from gateway.fields import Malformed, Peer
from gateway.head import parse_request
from gateway.redirect import answer, location
from tests.support.certificates import Issued, issue
from tests.support.raw_http import PATIENCE, Client, Stage, get, post, say_hello, stage, until
from tests.support.tls_clients import client_of, port_of, secure, trusting

ANYWHERE = ("127.0.0.1:0",)


@pytest.fixture(scope="module")
def a(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("certificates"), "a", "a.test")


async def plain(s: Stage) -> Client:
    """A client of the address that redirects."""
    s.port = s.gateway._listeners[-1].address.port
    return await s.client()


def to(s: Stage, path: str, host: str = "a.test") -> str:
    return f"https://{host}:{port_of(s)}{path}"


# The decision


@pytest.mark.parametrize(
    ("host", "target", "port", "way"),
    [
        (b"a.test", b"/", 443, b"https://a.test/"),
        (b"a.test", b"/", 8443, b"https://a.test:8443/"),
        (b"a.test", b"/a%2Fb/../c//?q=%41&r=a?b", 443, b"https://a.test/a%2Fb/../c//?q=%41&r=a?b"),
        (b"a.test", b"//evil.test/", 443, b"https://a.test//evil.test/"),
        (b"[::1]", b"/x", 80, b"https://[::1]:80/x"),
        (b"a.test", b"*", 443, b"https://a.test"),
    ],
)
def test_the_way_is_the_same_resource_on_the_secure_port(
    host: bytes, target: bytes, port: int, way: bytes
) -> None:
    """RFC 9110 §15.4.9 and §10.2.2; RFC 9112 §3.2.4 for what `OPTIONS *` is about."""
    assert location(host, target, port) == way


def test_there_is_no_way_without_a_name() -> None:
    with pytest.raises(Malformed) as refused:
        location(b"", b"/", 443)
    assert refused.value.status == 400


_PARTS = st.lists(st.sampled_from([bytes([byte]) for byte in b"a./:%?#@[] \r\n\t\0\x7f\xff"]))


@given(_PARTS.map(b"".join), _PARTS.map(b"".join))
@example(b"?q=%0d%0aX:y", b"a.test:80")
def test_no_head_that_is_accepted_can_end_the_line_that_repeats_it(
    target: bytes, host: bytes
) -> None:
    """Header injection: what the strict reader lets through is one line, in a location as well."""
    head = b"GET /%b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, host)
    try:
        request = parse_request(head, 0, Limits(), Peer(b"127.0.0.1", authority=b""), None)
    except Malformed:
        return
    if request is not None and request.fields.host:
        way = location(request.fields.host, request.target, 8443)
        told = answer(way, request.minor, True, b"now")
        assert told.count(b"\r\n") == 5
        assert grammar.REST_OF_HEAD.fullmatch(told, told.index(b"\r\n"))


# On the wire


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"])
async def test_every_method_hears_308_and_the_connection_stays(method: str, a: Issued) -> None:
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE)) as s:
        client = await plain(s)
        for path in ("/", "/a?b=%20c", "/"):
            told = await client.ask(get(path, host="A.test:80", method=method), to_head=True)
            assert (told.status, told.value("Location")) == (308, to(s, path))
            assert told.value("Content-Length") == "0"
            assert told.value("Date")
            assert told.value("Connection") is None
        assert s.replicas[0].heads == []
        await until(lambda: not s.gateway.stats(0.0).services)


async def test_whoever_follows_is_served(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE)) as s:
        told = await (await plain(s)).ask(get("/x?y", host="a.test"))
        async with client_of(s, trusting(a)) as client:
            assert told.value("Location") == to(s, "/x?y")
            assert (await client.ask(get("/x?y", host="a.test"))).body == b"hello"
        assert b"GET /x?y HTTP/1.1" in s.replicas[0].heads[0]


async def test_requests_in_one_piece_are_answered_in_order(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE)) as s:
        client = await plain(s)
        await client.send(b"".join(get(f"/{n}", host="a.test") for n in range(50)))
        for n in range(50):
            assert (await client.answer()).value("Location") == to(s, f"/{n}")


@pytest.mark.parametrize(
    ("request_", "host", "path"),
    [
        (b"GET http://B.test:81/p?q HTTP/1.1\r\nHost: a.test\r\n\r\n", "b.test", "/p?q"),
        (b"OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", "a.test", ""),
        (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "[::1]", "/"),
        (b"GET / HTTP/1.1\r\nHost: a.test.\r\n\r\n", "a.test", "/"),
        (b"GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n", "a.test", "/"),
    ],
)
async def test_every_form_of_target_has_its_way(
    request_: bytes, host: str, path: str, a: Issued
) -> None:
    """RFC 9112 §3.2."""
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE)) as s:
        client = await plain(s)
        for _ in range(2):
            told = await client.ask(request_)
            assert (told.status, told.value("Location")) == (308, to(s, path, host))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # RFC 9112 §3.2
        (b"GET / HTTP/1.0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: .\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a.test/@evil.test\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n", 400),  # RFC 9112 §2.2
        (b"GET /\rX HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a.test\r\n\r\n", 400),
        (b"GET a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405),
        (b"GET /%b HTTP/1.1\r\nHost: a.test\r\n\r\n" % (b"x" * 9000), 414),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
async def test_what_is_refused_elsewhere_is_refused_here(
    request_: bytes, status: int, a: Issued
) -> None:
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE)) as s:
        client = await plain(s)
        told = await client.ask(request_)
        assert (told.status, told.value("Location")) == (status, None)
        assert told.value("Connection") == "close"
        assert await client.is_closed()
        assert s.gateway.stats(0.0).unrouted == {status: 1}


# Bodies


async def test_a_body_that_has_come_is_no_reason_to_close(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE)) as s:
        client = await plain(s)
        for _ in range(3):
            assert (await client.ask(post(b"x" * 100))).status == 308
        assert (await client.ask(get())).status == 308


@pytest.mark.parametrize("framing", [b"Content-Length: 300000000", b"Transfer-Encoding: chunked"])
async def test_a_body_that_is_to_come_is_not_taken_and_the_answer_not_lost(
    framing: bytes, a: Issued
) -> None:
    """RFC 9112 §9.6: closed in stages, as the client still sends."""
    head = b"POST / HTTP/1.1\r\nHost: a.test\r\n%b\r\n\r\n" % framing
    part = b"8000\r\n%b\r\n" % (b"x" * 0x8000)
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE)) as s:
        client = await plain(s)
        told = await client.ask(head + part)
        assert (told.status, told.value("Connection")) == (308, "close")
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while True:
                    await client.send(part)
                    await asyncio.sleep(0)
        await until(lambda: not s.gateway._context.connections)


async def test_a_body_over_the_limit_or_wrongly_framed_is_refused(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE), body=10) as s:
        assert (await (await plain(s)).ask(post(b"x" * 11))).status == 413
        wrong = get("/", "Transfer-Encoding: chunked", method="POST") + b"zz\r\n"
        assert (await (await plain(s)).ask(wrong)).status == 400


async def test_who_expects_100_hears_308_and_need_not_send(a: Issued) -> None:
    """RFC 9110 §10.1.1: a final answer instead of 100."""
    head = get("/", "Expect: 100-continue", "Content-Length: 5", method="POST", host="a.test")
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE)) as s:
        client = await plain(s)
        told = await client.ask(head)
        assert (told.status, told.value("Connection")) == (308, "close")
        assert await client.is_closed()


# As any other client


async def test_limits_and_timeouts_hold_here_too(a: Issued) -> None:
    tls = secure(a, redirect=ANYWHERE)
    limits: dict[str, Any] = {"connections": 2, "header_timeout": 30.0, "idle_timeout": 60.0}
    async with stage(say_hello, tls=tls, **limits) as s:
        slow, idle = await plain(s), await plain(s)
        assert (await idle.ask(get())).status == 308
        assert (await (await plain(s)).answer()).status == 503
        await slow.send(b"GET / HT")
        await until(lambda: any(one._scanned for one in s.gateway.context.connections))  # type: ignore[attr-defined]
        await s.passes(30.0)
        assert (await slow.answer()).status == 408
        await s.passes(30.0)
        assert await idle.is_closed()


@pytest.mark.parametrize("end", [b"Connection: close", b""])
async def test_a_client_that_wants_to_close_is_closed(end: bytes, a: Issued) -> None:
    line = b"GET / HTTP/1.1" if end else b"GET / HTTP/1.0"
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE)) as s:
        client = await plain(s)
        told = await client.ask(line + b"\r\nHost: a.test\r\n" + (end and end + b"\r\n") + b"\r\n")
        assert (told.status, told.value("Connection")) == (308, "close")
        assert await client.is_closed()


async def test_it_is_logged_and_counted(a: Issued, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidegate.access")
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE), access_log="json") as s:
        await (await plain(s)).ask(get("/x", host="a.test"))
        stats = s.gateway.stats(0.0)
        assert (stats.unrouted, stats.services) == ({308: 1}, {})
        assert stats.connections[f"127.0.0.1:{s.port}"] == 1
    entry = json.loads(caplog.records[-1].getMessage())
    facts = entry["status"], entry["service"], entry["target"], entry["host"]
    assert facts == (308, "", "/x", "a.test")


async def test_a_drain_closes_who_is_idle_there(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE)) as s:
        client = await plain(s)
        await client.ask(get())
        await s.gateway.drain(PATIENCE)
        assert await client.is_closed()


async def test_a_reload_changes_neither_sockets_nor_where_they_lead(a: Issued) -> None:
    """Sockets change with a restart; one that is asked for no more, or anew, breaks nothing."""
    async with stage(say_hello, tls=secure(a, redirect=ANYWHERE)) as s:
        client = await plain(s)
        for redirect in ((), ("127.0.0.1:1", "127.0.0.1:2"), ANYWHERE):
            asked = s.settings.model_copy(update={"tls": secure(a, redirect=redirect)})
            s.gateway.configure([], asked)
            assert (await client.ask(get(host="a.test"))).value("Location") == to(s, "/")
            assert len(s.gateway._listeners) == 3
