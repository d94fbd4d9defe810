"""HTTPS: which certificate is shown, what the replica is told, how connections end."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.gateway import Gateway, ListenError
from tests.support.certificates import Issued, issue
from tests.support.raw_http import (
    Call,
    Recorder,
    Script,
    Stage,
    get,
    post,
    say_hello,
    settled,
    stage,
    until,
)
from tests.support.tls_clients import blocking, client_of, port_of, secure, trusting


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def a(folder: Path) -> Issued:
    return issue(folder, "a", "a.test")


@pytest.fixture(scope="module")
def wild(folder: Path) -> Issued:
    return issue(folder, "wild", "*.b.test", "b.test")


@pytest.fixture(scope="module")
def exact(folder: Path) -> Issued:
    return issue(folder, "exact", "x.b.test")


async def test_requests_pass_and_the_replica_learns_that_they_were_secure(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a)) as s, client_of(s, trusting(a)) as client:
        for _ in range(3):
            answer = await client.ask(get())
            assert (answer.status, answer.body) == (200, b"hello")
        assert b"\r\nX-Forwarded-Proto: https\r\n" in s.replicas[0].heads[0]
        plain = await s.client()
        await plain.ask(get())
        assert b"\r\nX-Forwarded-Proto: http\r\n" in s.replicas[0].heads[-1]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.test", "a"),
        ("A.TEST", "a"),
        ("x.b.test", "exact"),
        ("y.b.test", "wild"),
        ("b.test", "wild"),
        ("z.y.b.test", "a"),
        ("else.test", "a"),
        (None, "a"),
    ],
)
async def test_the_certificate_is_chosen_by_name_then_wildcard_then_the_first(
    name: str | None, shown: str, a: Issued, wild: Issued, exact: Issued
) -> None:
    """RFC 6066 §3, RFC 9525 §6.3: a wildcard stands for one label."""
    issued = {"a": a, "wild": wild, "exact": exact}
    context = trusting(*issued.values())
    context.check_hostname = False
    tls = secure(a, wild, exact)
    async with stage(say_hello, tls=tls) as s, client_of(s, context, name) as client:
        connection = client.writer.get_extra_info("ssl_object")
        der = connection.getpeercert(binary_form=True)
        assert der == ssl.PEM_cert_to_DER_cert(issued[shown].cert.read_text())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_http_1_1_is_agreed_on_with_either_version_of_tls(
    version: ssl.TLSVersion, a: Issued
) -> None:
    """RFC 7301: a client that would rather speak HTTP/2 hears which one it is."""
    context = trusting(a)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with stage(say_hello, tls=secure(a)) as s, client_of(s, context) as client:
        assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        assert (await client.ask(get())).status == 200


async def test_plain_http_on_the_secure_port_is_closed(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a)) as s:
        s.port = port_of(s)
        client = await s.client()
        await client.send(get())
        assert b"HTTP" not in await client.rest()
        assert s.replicas[0].heads == []


# How connections end


def endless(parts: list[bytes]) -> Script:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for part in parts:
            await call.send(part)
        await call.reader.read()

    return script


async def test_an_end_that_was_asked_for_is_a_clean_one(a: Issued) -> None:
    """RFC 8446 §6.1. The control for the next test: here the client sees close_notify."""

    def converse() -> bytes:
        with blocking(s, trusting(a)) as connection:
            connection.sendall(get("/", "Connection: close"))
            received = b""
            while part := connection.recv(65536):
                received += part
            return received

    async with stage(say_hello, tls=secure(a)) as s:
        assert (await asyncio.to_thread(converse)).endswith(b"hello")


async def test_a_cut_is_never_a_clean_end(a: Issued) -> None:
    """RFC 9112 §9.8: without close_notify the client knows that the answer is incomplete."""

    def converse() -> None:
        with blocking(s, trusting(a)) as connection:
            connection.sendall(get())
            while part := connection.recv(65536):
                begun.append(part)
            raise AssertionError("a clean end")

    begun: list[bytes] = []
    async with stage(endless([b"x" * 100]), tls=secure(a)) as s:
        async with asyncio.TaskGroup() as group:
            conversation = group.create_task(asyncio.to_thread(_expect_cut, converse))
            await until(lambda: b"x" * 100 in b"".join(begun))
            s.replicas[0].calls[0].reset()
        assert isinstance(conversation.result(), (ssl.SSLEOFError, ConnectionResetError))


def _expect_cut(converse: Callable[[], None]) -> OSError:
    with pytest.raises((ssl.SSLError, ConnectionError)) as cut:
        converse()
    return cut.value


async def test_a_client_that_leaves_frees_its_place_at_once(a: Issued) -> None:
    async with stage(endless([]), tls=secure(a)) as s:
        async with client_of(s, trusting(a)) as client:
            await client.send(get())
            await until(lambda: s.stats().in_flight == 1)
        await until(lambda: s.stats().in_flight == 0)
        await until(lambda: s.replicas[0].open == 0)


async def test_a_refused_upload_is_answered_although_more_comes(a: Issued) -> None:
    tls = secure(a)
    async with stage(say_hello, tls=tls, body=1000) as s, client_of(s, trusting(a)) as client:
        await client.send(post(b"x" * 200_000))
        answer = await client.answer()
        assert (answer.status, answer.value("Connection")) == (413, "close")


@pytest.mark.parametrize("others", [0, 70])
async def test_long_bodies_pass_unchanged_both_ways(others: int, a: Issued) -> None:
    """With many clients, long bodies are read in another way."""
    body = bytes(range(256)) * 12_000

    async def mirror(call: Call) -> None:
        received = await call.body(await call.request())
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(received)
        await call.send(head + received)

    async with stage(mirror, tls=secure(a)) as s, contextlib.AsyncExitStack() as stack:
        for _ in range(others):
            await s.client()
        clients = [await stack.enter_async_context(client_of(s, trusting(a))) for _ in range(3)]
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(client.ask(post(body))) for client in clients]
        for answer in asking:
            assert answer.result().body == body


async def test_a_slow_client_holds_the_replica_back(a: Issued) -> None:
    """Back-pressure through TLS: what is not read is not taken from the replica."""
    sent = 0

    async def flood(call: Call) -> None:
        nonlocal sent
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        for _ in range(2000):
            await call.send(b"x" * 100_000)
            sent += 100_000

    async with stage(flood, tls=secure(a)) as s:
        connection = await asyncio.to_thread(blocking, s, trusting(a))
        with connection:
            await asyncio.to_thread(connection.sendall, get())
            assert 0 < await settled(lambda: sent) < 20_000_000


async def test_a_tunnel_passes_bytes_and_ends_with_either_side(a: Issued) -> None:
    """TLS has no half close: the end of one side is the end of the tunnel."""

    async def echo(call: Call) -> None:
        await call.request()
        await call.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        while (data := await call.reader.read(100)) not in (b"", b"bye"):
            await call.send(data)

    upgrade = get("/", "Connection: Upgrade", "Upgrade: echo")
    async with stage(echo, tls=secure(a)) as s:
        async with client_of(s, trusting(a)) as client:
            await client.send(upgrade)
            assert (await client.head()).status == 101
            await client.send(b"ping")
            assert await client.reader.readexactly(4) == b"ping"
            await client.send(b"bye")
            assert await client.is_closed()
        async with client_of(s, trusting(a)) as client:
            await client.send(upgrade)
            assert (await client.head()).status == 101
            await until(lambda: s.replicas[0].open == 1)
        await until(lambda: s.replicas[0].open == 0)
        await until(lambda: s.stats().in_flight == 0)


async def test_a_drain_closes_idle_secure_connections(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a)) as s, client_of(s, trusting(a)) as client:
        await client.ask(get())
        async with asyncio.TaskGroup() as group:
            group.create_task(s.gateway.drain(5.0))
            assert await client.is_closed()


# Changing certificates


def reconfigure(s: Stage) -> None:
    s.gateway.configure([], s.settings)


async def shown_to(s: Stage, name: str, *trusted: Issued) -> bool:
    try:
        async with client_of(s, trusting(*trusted), name):
            return True
    except ssl.SSLCertVerificationError:
        return False


async def test_new_connections_see_the_new_certificate_and_old_ones_live_on(
    tmp_path: Path,
) -> None:
    first = issue(tmp_path, "c", "a.test")
    async with stage(say_hello, tls=secure(first)) as s, client_of(s, trusting(first)) as old:
        assert (await old.ask(get())).status == 200
        issue(tmp_path, "c", "a.test", "new.test")
        assert not await shown_to(s, "new.test", first)
        reconfigure(s)
        assert await shown_to(s, "new.test", first)
        assert (await old.ask(get())).status == 404


async def test_an_unchanged_certificate_is_not_read_again(tmp_path: Path) -> None:
    one = issue(tmp_path, "c", "a.test")
    async with stage(say_hello, tls=secure(one)) as s:
        certificates = s.gateway._listeners[-1].certificates
        assert certificates is not None
        before = certificates.find("a.test")
        reconfigure(s)
        assert certificates.find("a.test") is before
        moment = one.cert.stat().st_mtime_ns + 10**9  # the kernel's own are milliseconds apart
        os.utime(one.cert, ns=(moment, moment))
        reconfigure(s)
        assert certificates.find("a.test") is not before


async def test_a_broken_file_keeps_the_old_certificate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = issue(tmp_path, "c", "a.test")
    good = Issued(one.cert.with_name("good.pem"), one.key)
    good.cert.write_bytes(one.cert.read_bytes())
    async with stage(say_hello, tls=secure(one)) as s:
        one.cert.write_text("nonsense")
        reconfigure(s)
        assert "keeps its former certificates" in caplog.text
        assert "holds no certificate in PEM form" in caplog.text
        assert await shown_to(s, "a.test", good)


async def test_sockets_that_are_no_longer_asked_for_stay_until_a_restart(a: Issued) -> None:
    async with stage(say_hello, tls=secure(a)) as s:
        s.gateway.configure([], s.settings.model_copy(update={"tls": ()}))
        assert await shown_to(s, "a.test", a)


async def test_certificates_that_cannot_be_read_at_the_start_are_told(tmp_path: Path) -> None:
    missing = Issued(tmp_path / "m.pem", tmp_path / "m.key")
    async with stage(say_hello) as s:
        settings = s.settings.model_copy(update={"tls": secure(missing)})
        other = Gateway(settings, Recorder(), s.gateway._context.rng)
        with pytest.raises(ListenError, match=r"m\.pem: No such file"):
            await other.start()
