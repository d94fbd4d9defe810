"""What passes through, byte for byte, and what must not (RFC 9110 §7.6), over real sockets."""

import json
import logging
from collections.abc import AsyncIterator

import pytest

from config.service import Service
from tests.support.raw_http import Call, Stage, always, get, post, say_hello, stage

MINE = ("Host", "Content-Length", "X-Forwarded-For", "Authorization", "Cookie", "Via")


def lines(head: bytes, name: str) -> list[bytes]:
    """All lines of a field, as they came."""
    wanted = name.lower().encode() + b":"
    return [line for line in head.split(b"\r\n") if line.lower().startswith(wanted)]


@pytest.mark.rule("RFC 9110 §7.6.1: what Connection cannot remove", side="client")
@pytest.mark.rule("RFC 9110 §7.6.1: nominated fields", side="client")
@pytest.mark.rule("RFC 9110 §7.6.3: Via", side="client")
@pytest.mark.parametrize("name", MINE)
@pytest.mark.parametrize("spelling", ["{}", "close-not, {}", "{},x-hop", " {} ,", "UPPER"])
async def test_connection_removes_nothing_that_others_rely_on_rfc9110_7_6_1(
    name: str, spelling: str
) -> None:
    option = name.upper() if spelling == "UPPER" else spelling.format(name)
    sent = ["Authorization: Basic eDp5", "Cookie: a=b", "Via: 1.1 other"]
    async with stage(say_hello) as s:
        client = await s.client()
        body = post(b"hi", f"Connection: {option}", "Connection: x-second", "X-Second: 1", *sent)
        assert (await client.ask(body)).body == b"hello"
        head = s.replicas[0].heads[0]
        assert s.replicas[0].bodies == [b"hi"]
        for one in ("Host", "Content-Length", "X-Forwarded-For", "Authorization", "Cookie"):
            assert len(lines(head, one)) == 1
        assert lines(head, "Via") == [b"Via: 1.1 other", b"Via: 1.1 tidegate"]
        assert lines(head, "X-Second") == []
        assert lines(head, "Connection") == []


@pytest.mark.rule("RFC 9110 §7.6.1: what Connection cannot remove", side="replica")
@pytest.mark.rule("RFC 9110 §7.6.1: nominated fields", side="replica")
@pytest.mark.rule("RFC 9110 §6.6.1: Date", side="replica")
@pytest.mark.parametrize("name", ["Content-Length", "Set-Cookie", "Date"])
async def test_a_replica_can_not_remove_them_either_rfc9110_7_6_1(name: str) -> None:
    fields = b"Content-Length: 5\r\nSet-Cookie: a=b\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    answer = b"HTTP/1.1 200 OK\r\nConnection: X-Hop, " + name.encode() + b"\r\nX-Hop: 1\r\n"
    async with stage(always(answer + fields + b"\r\nhello")) as s:
        client = await s.client()
        got = await client.ask(get())
        assert got.body == b"hello"
        assert len(got.values(name)) == 1
        assert got.values("X-Hop") == got.values("Connection") == []


@pytest.mark.rule("RFC 9113 §3.1: h2c", side="both")
@pytest.mark.parametrize("wanted", ["h2c", "H2C", "websocket, h2c", "h2c-14"])
async def test_no_tunnel_for_h2c_which_would_pass_by_every_rule_rfc9113_3_1(wanted: str) -> None:
    asked = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {wanted}", "HTTP2-Settings: AA")
    switch = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    async with stage(say_hello) as s:
        client = await s.client()
        assert (await client.ask(get("/", *asked))).body == b"hello"
        head = s.replicas[0].heads[0]
        assert lines(head, "Upgrade") == lines(head, "HTTP2-Settings") == []
        assert lines(head, "Connection") == []
        s.publish(await s.replica("eager", always(switch)))
        assert (await client.ask(get("/", *asked))).status == 502


@pytest.mark.rule("RFC 7239 §8.1: disguised fields", side="client")
@pytest.mark.parametrize(
    "name",
    [
        *("X_Forwarded_For", "x_forwarded-host", "X-Forwarded_Proto", "X_Real_IP", "X_Request_Id"),
        *("Content_Length", "Transfer_Encoding", "X-Forwarded-Port", "X-Forwarded-Prefix"),
    ],
)
async def test_disguised_fields_do_not_pass(name: str) -> None:
    """Programs behind CGI-like interfaces cannot tell "_" from "-"."""
    async with stage(say_hello) as s:
        client = await s.client()
        assert (await client.ask(get("/", f"{name}: evil"))).status == 200
        assert b"evil" not in s.replicas[0].heads[0]


@pytest.mark.rule("RFC 7239 §4: a trusted proxy's Forwarded", side="client")
async def test_a_trusted_forwarded_gets_our_own_element_rfc7239_4() -> None:
    async with stage(say_hello, trusted_proxies=("127.0.0.1",)) as s:
        client = await s.client()
        told = ("Forwarded: for=1.2.3.4;proto=https", "Forwarded: for=5.6.7.8")
        await client.ask(get("/", *told))
        assert lines(s.replicas[0].heads[0], "Forwarded") == [
            b"Forwarded: for=1.2.3.4;proto=https, for=5.6.7.8, for=127.0.0.1;proto=http"
        ]


@pytest.mark.rule("RFC 9110 §7.2: Host", side="client")
@pytest.mark.parametrize("host", ["web.test", "WEB.Test:8080", "web.test.", "[::1]:81", "1.2.3.4"])
async def test_host_is_kept_as_it_came_rfc9110_7_2(host: str) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.ask(get(host=host))
        head = s.replicas[0].heads[0]
        assert lines(head, "Host") == [b"Host: " + host.encode()]
        assert lines(head, "X-Forwarded-Host") == [b"X-Forwarded-Host: " + host.encode()]


@pytest.mark.rule("RFC 9112 §3.2.2: absolute-form", side="client")
async def test_the_authority_of_the_target_is_the_host_everywhere_rfc9112_3_2_2() -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.ask(get("http://one.test:81/a?b", "X-Forwarded-Host: evil", host="two.test"))
        head = s.replicas[0].heads[0]
        assert head.startswith(b"GET /a?b HTTP/1.1\r\nHost: one.test:81\r\n")
        assert lines(head, "X-Forwarded-Host") == [b"X-Forwarded-Host: one.test:81"]
        assert b"two.test" not in head


@pytest.mark.rule("RFC 9110 §9.3: bodies of any method", side="client")
@pytest.mark.rule("RFC 9112 §3.1: method", side="client")
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "PATCH", "purge", "M-X"])
async def test_any_method_may_have_a_body_rfc9110_9_3(method: str) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        got = await client.ask(post(b"body", method=method), to_head=method == "HEAD")
        assert got.status == 200
        assert s.replicas[0].bodies == [b"body"]
        assert s.replicas[0].heads[0].startswith(f"{method} / HTTP/1.1\r\n".encode())


@pytest.mark.rule("RFC 9110 §5.3: order of fields", side="both")
@pytest.mark.rule("RFC 9110 §7.7: no transformation", side="both")
async def test_order_repetition_and_coding_of_fields_pass_both_ways_rfc9110_5_3() -> None:
    answer = b"Set-Cookie: a=1\r\nX: 1\r\nSet-Cookie: b=2\r\nVary: a\r\nContent-Encoding: br\r\n"
    async with stage(
        always(b"HTTP/1.1 200 OK\r\n" + answer + b"Content-Length: 2\r\n\r\n\xff\x00")
    ) as s:
        client = await s.client()
        sent = b"\r\nCookie: a\r\nX: 1\r\nCookie: b\r\nX:\t2 \r\nAccept-Encoding: br;q=0.1\r\n"
        got = await client.ask(b"GET / HTTP/1.1\r\nHost: a" + sent + b"\r\n")
        assert sent in s.replicas[0].heads[0]
        assert got.head.startswith(b"HTTP/1.1 200 OK\r\n" + answer)
        assert got.body == b"\xff\x00"


@pytest.mark.rule("RFC 9110 §9.3.2: HEAD", side="client")
@pytest.mark.parametrize("method", ["HEAD"])
@pytest.mark.parametrize(
    ("line", "status"), [("Content-Length: x", 400), ("Expect: x", 417), ("A : b", 400)]
)
async def test_a_refused_head_request_has_no_body_rfc9110_9_3_2(
    method: str, line: str, status: int
) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        await client.send(get("/", line, method=method))
        got = await client.rest()
        assert got.startswith(b"HTTP/1.1 %d " % status)
        assert got.endswith(b"\r\n\r\n")


@pytest.mark.rule("RFC 9112 §9.2: trailing data", side="client")
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_bytes_after_a_body_are_the_next_request_rfc9112_9_3_2(method: str) -> None:
    async with stage(say_hello) as s:
        client = await s.client()
        # One empty line may follow a body (RFC 9112 §2.2), garbage may not.
        await client.send(post(b"body", method=method) + b"\r\n" + get("/2") + b"garbage\r\n\r\n")
        assert [(await client.answer()).status for _ in range(3)] == [200, 200, 400]
        assert await client.is_closed()
        assert s.replicas[0].bodies == [b"body", b""]
        assert len(s.replicas[0].heads) == 2


@pytest.mark.rule("RFC 9110 §6.6.2: Trailer", side="both")
@pytest.mark.rule("RFC 9110 §6.5: trailers passed on", side="both")
async def test_announced_trailers_pass_behind_the_body_both_ways_rfc9110_6_6_2() -> None:
    framed = b"Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"5\r\nhello\r\n0\r\nX-Sum: 9\r\nServer-Timing: a\r\n\r\n"

    async def echo(call: Call) -> None:
        head = await call.request()
        assert lines(head, "Trailer") == [b"Trailer: X-Sum"]
        assert lines(head, "X-Sum") == []
        call.replica.bodies.append(await call.reader.readexactly(len(body)))
        await call.send(b"HTTP/1.1 200 OK\r\n" + framed + body)

    async with stage(echo) as s:
        client = await s.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n" + framed + body)
        got = await client.head()
        assert (got.value("Trailer"), got.value("X-Sum")) == ("X-Sum", None)
        assert await client.reader.readexactly(len(body)) == body
        assert s.replicas[0].bodies == [body]


# Paths

SPELLINGS = [
    "/admin", "/admin/", "/admin/x", "//admin", "/./admin", "/x/../admin", "/%61dmin", "/%2fadmin",
    "/x%2f..%2fadmin", "/x/%2e%2E/admin", "/x/..%5cadmin", "/\\admin", "/x\\..\\admin",
    "/..//admin", "/admin/../admin", "/admin?x", "/admin/%00", "/%41dmin/../admin",
    "/public/../admin", "/public/%2e%2e/admin", "/public//../admin", "/public/./../admin/",
    "/admin%2fx", "/%5cadmin",
]  # fmt: skip
OTHERS = [
    "/", "/public", "/public/admin", "/public/%2561dmin", "/admin%00", "/admin%20", "/ADMIN",
    "/administrator", "/admin;x", "/x?/admin", "/x?/../admin", "/admin/..", "/admin%3fx", "/...",
    "/public/..;/admin", "/admin/../public", "/%25%32%66admin", "/x//y/%zz/%/\\", "/a%0d%0ab",
]  # fmt: skip


@pytest.fixture
async def two() -> AsyncIterator[Stage]:
    services = {
        "open": Service(name="open", hosts=("web.test",)),
        "admin": Service(name="admin", hosts=("web.test",), paths=("/admin",)),
    }
    async with stage(services=services) as s:
        for name in services:
            s.replicas.append(await s.replica(name))
            s.publish(s.replicas[-1], service=name)
        yield s


@pytest.mark.rule("RFC 3986 §6: raw path", side="client")
@pytest.mark.rule("RFC 3986 §6.2.2: escapes", side="client")
@pytest.mark.rule("RFC 3986 §5.2.4: dot segments", side="client")
@pytest.mark.rule("RFC 3986 §6.2: double slashes", side="client")
@pytest.mark.parametrize("form", ["{}", "http://web.test{}", "HTTPS://web.test:80{}"])
async def test_no_spelling_reaches_the_other_service_and_all_pass_raw_rfc3986_6(
    two: Stage, form: str
) -> None:
    client = await two.client()
    for index, paths in ((1, SPELLINGS), (0, OTHERS)):
        for number, path in enumerate(paths):
            # Every other head is unlike the one before it, and read anew as a whole.
            line = f"X: {number // 2}"
            assert (await client.ask(get(form.format(path), line))).status == 200
            first = two.replicas[index].heads[-1].partition(b"\r\n")[0]
            assert first == f"GET {path} HTTP/1.1".encode(), path
    assert [len(one.heads) for one in two.replicas] == [len(OTHERS), len(SPELLINGS)]


# The access log


@pytest.mark.rule("Tidegate: log injection", side="client")
@pytest.mark.parametrize("kind", ["json", "combined"])
async def test_no_client_forges_a_line_of_the_log(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tidegate.access")
    nasty = '/"%0d%0aGET\\x{}|' + "a" * 3000
    async with stage(say_hello, access_log=kind, trusted_proxies=("127.0.0.1",)) as s:
        client = await s.client()
        lies = ('User-Agent: a" 200 "\t\xe9\u2028\\', 'Referer: "', 'X-Request-Id: "\t\\\xe9')
        assert (await client.ask(get(nasty, *lies))).status == 200
        await client.ask(b"GET /\x1b[31m\nforged HTTP/1.1\r\n\r\n")
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    for text in texts:
        assert text.isascii()
        assert text.isprintable()
        assert "forged" not in text
        if kind == "json":
            assert json.loads(text)["status"] in (200, 400)
        else:
            assert text.count('"') == 6
