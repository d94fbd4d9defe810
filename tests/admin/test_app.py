"""Listening, and who is let in."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry

from admin.app import AdminListenError, AdminServer
from tests.support.operated_plane import OperatedPlane

TOKEN = "s3cret"
SCALE = "/v1/services/web/scale"
BODY = {"replicas": 1}


def make_server(listen: str, token: str | None = None) -> AdminServer:
    return AdminServer(listen, token, OperatedPlane(), CollectorRegistry())


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
async def test_it_listens_on_loopback_and_tells_where(listen: str) -> None:
    server = make_server(listen)
    address = await server.start()
    try:
        async with ClientSession() as client, client.get(f"http://{address}/healthz") as response:
            assert response.status == 200
    finally:
        await server.stop()


async def test_a_port_in_use_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AdminListenError, match=f"{listen} is in use: is another Tidegate"):
            await make_server(listen).start()


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        ("192.0.2.1:9900", "cannot listen on 192.0.2.1:9900: Cannot assign"),  # RFC 5737
        ("no-such-host.invalid:9900", "cannot listen on no-such-host.invalid:9900"),
        ("127.0.0.1", "must be"),
        ("127.0.0.1:http", "must be"),
        ("127.0.0.1:99999", "port"),
    ],
)
async def test_an_address_that_cannot_be_is_a_clear_error(listen: str, words: str) -> None:
    with pytest.raises(AdminListenError, match=words):
        await make_server(listen, TOKEN).start()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:9900"])
async def test_what_others_can_reach_needs_a_token(listen: str) -> None:
    with pytest.raises(AdminListenError, match=r"set admin\.token_file"):
        await make_server(listen).start()


async def test_all_addresses_with_a_token() -> None:
    server = make_server("0.0.0.0:0", TOKEN)
    address = await server.start()
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "ops.example.com"}
    url = f"http://127.0.0.1:{address.port}/v1/services"
    try:
        async with ClientSession() as client, client.get(url, headers=headers) as response:
            assert response.status == 200
    finally:
        await server.stop()


async def test_stopping_twice_or_before_the_start_is_nothing() -> None:
    server = make_server("127.0.0.1:0")
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


async def test_a_stopped_server_can_be_reached_no_more() -> None:
    server = make_server("127.0.0.1:0")
    address = await server.start()
    await server.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address.host, address.port)


@pytest.fixture
async def guarded() -> AsyncIterator[ClientSession]:
    server = make_server("127.0.0.1:0", TOKEN)
    async with ClientSession(f"http://{await server.start()}") as client:
        yield client
    await server.stop()


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/services"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("POST", "/v1/reload"),
        ("GET", "/v1/events"),
        ("GET", "/no/such/path"),
        ("PATCH", "/v1/services"),
    ],
)
async def test_without_the_token_everything_is_401(
    guarded: ClientSession, method: str, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with guarded.request(method, path, headers=headers) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        problem = await response.json(content_type="application/problem+json")
        assert problem["code"] == "unauthorized"
        assert TOKEN not in str(problem)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_with_the_token_it_answers(guarded: ClientSession, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    async with guarded.get("/v1/services", headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_need_no_token(guarded: ClientSession, path: str) -> None:
    async with guarded.get(path) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_page_of_another_site_may_not_write(
    client: ClientSession, plane: OperatedPlane, method: str, headers: dict[str, str]
) -> None:
    async with client.request(method, SCALE, json=BODY, headers=headers) as response:
        assert response.status == 403
        assert (await response.json(content_type=None))["code"] == "cross-site"
    assert plane.hand == {}


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
)
async def test_programs_and_own_pages_may_write(
    client: ClientSession, headers: dict[str, str]
) -> None:
    async with client.post(SCALE, json=BODY, headers=headers) as response:
        assert response.status == 200


async def test_an_own_page_of_an_old_browser_may_write(client: ClientSession) -> None:
    headers = {"Host": "localhost:9900", "Origin": "http://localhost:9900"}
    async with client.post(SCALE, json=BODY, headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9900", "10.0.0.1", "localhost.evil.example", "", "[::"]
)
@pytest.mark.parametrize("path", ["/v1/services", "/metrics", "/healthz"])
async def test_on_loopback_a_foreign_host_is_421(
    client: ClientSession, host: str, path: str
) -> None:
    """DNS rebinding: a name of the attacker that points to 127.0.0.1."""
    async with client.get(path, headers={"Host": host}) as response:
        assert response.status == 421
        assert (await response.json(content_type=None))["code"] == "misdirected-host"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9900", "127.0.0.1", "127.9.9.9:1", "[::1]:9900", "LOCALHOST."]
)
async def test_on_loopback_its_own_names_are_answered(client: ClientSession, host: str) -> None:
    async with client.get("/v1/services", headers={"Host": host}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "TEXT/Plain;charset=utf-8",
    ],
)
async def test_what_a_form_can_send_is_415(
    client: ClientSession, plane: OperatedPlane, kind: str
) -> None:
    """An old browser sends a form to any site, with neither Sec-Fetch-Site nor Origin."""
    headers = {"Content-Type": kind}
    async with client.post(SCALE, data=b'{"replicas": 1}', headers=headers) as response:
        assert response.status == 415
        assert (await response.json(content_type=None))["code"] == "form-data"
    assert plane.hand == {}


async def test_what_bears_a_token_is_no_form(guarded: ClientSession) -> None:
    """`curl -d` says that it sends a form; a form never has this field."""
    headers = {"Content-Type": "text/plain", "Authorization": f"Bearer {TOKEN}"}
    async with guarded.post(SCALE, data=b'{"replicas": 1}', headers=headers) as response:
        assert response.status == 200


async def test_a_new_token_ends_the_former() -> None:
    server = make_server("127.0.0.1:0", TOKEN)
    address = await server.start()
    server.use_token("new-one")
    url = f"http://{address}/v1/services"
    try:
        async with ClientSession() as client:
            for token, status in ((TOKEN, 401), ("new-one", 200)):
                headers = {"Authorization": f"Bearer {token}"}
                async with client.get(url, headers=headers) as response:
                    assert response.status == status
    finally:
        await server.stop()


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/v1/services/web/logs", "/nothing"])
async def test_no_answer_is_taken_for_a_page_and_none_tells_versions(
    client: ClientSession, path: str
) -> None:
    async with client.get(path) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Server"] == "tidegate"
