"""Leases over the API: taken, shown, given back; and who may do that."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry

from admin.access import leased_service
from admin.app import AdminServer
from tests.support.operated_plane import OperatedPlane

PATH = "/v1/services/web/lease"
OPERATOR = "the operators token"


async def ask(
    client: ClientSession, method: str, path: str, body: Any = None, token: str | None = None
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with client.request(method, path, json=body, headers=headers) as response:
        return response.status, await response.json(content_type=None)


async def test_a_lease_is_taken_shown_and_given_back(
    client: ClientSession, plane: OperatedPlane
) -> None:
    status, taken = await ask(client, "POST", PATH, {"for": "10m", "replica": "web-1"})
    assert status == 200
    assert taken == {
        "id": "l0",
        "service": "web",
        "until": "2023-11-14T22:23:20Z",
        "replica": "web-1",
    }
    assert plane.woken == []
    _, service = await ask(client, "GET", "/v1/services/web")
    assert service["leases"] == [taken]
    assert await ask(client, "DELETE", f"{PATH}/l0") == (200, taken)
    status, problem = await ask(client, "DELETE", f"{PATH}/l0")
    assert (status, problem["code"]) == (404, "unknown-lease")
    _, service = await ask(client, "GET", "/v1/services/web")
    assert service["leases"] == []


async def test_only_one_that_says_so_wakes(client: ClientSession, plane: OperatedPlane) -> None:
    await ask(client, "POST", PATH, {"for": "10m", "wake": False})
    assert plane.woken == []
    await ask(client, "POST", PATH, {"for": "10m", "wake": True})
    assert plane.woken == ["web"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "for: is missing"),
        ({"for": None}, "for"),
        ({"for": 600}, "for"),
        ({"for": "0s"}, "must be longer than nothing"),
        ({"for": "25h"}, "at most 24h"),
        ({"for": "1h", "wake": "yes"}, "wake"),
        ({"for": "1h", "id": "mine"}, "id: unknown field"),
        ([], "must be a JSON object"),
    ],
)
async def test_what_makes_no_sense_is_422(
    client: ClientSession, plane: OperatedPlane, body: Any, words: str
) -> None:
    status, problem = await ask(client, "POST", PATH, body)
    assert (status, problem["code"]) == (422, "invalid-request")
    assert words in problem["detail"]
    assert plane.known["web"].leases == ()


async def test_a_lease_on_nothing_is_404(client: ClientSession) -> None:
    status, problem = await ask(client, "POST", "/v1/services/wep/lease", {"for": "1m"})
    assert (status, problem["code"]) == (404, "unknown-service")


def token_of(service: str) -> str:
    return f"token-of-{service}"


@pytest.fixture
async def guarded(plane: OperatedPlane) -> AsyncIterator[ClientSession]:
    """An API that wants a token."""
    token = OPERATOR.replace(" ", "-")
    server = AdminServer("127.0.0.1:0", token, plane, CollectorRegistry(), lease_token=token_of)
    address = await server.start()
    async with ClientSession(f"http://{address}") as session:
        yield session
    await server.stop()


async def test_the_token_of_a_service_is_good_for_its_leases(guarded: ClientSession) -> None:
    status, taken = await ask(guarded, "POST", PATH, {"for": "1m"}, token_of("web"))
    assert status == 200
    status, _ = await ask(guarded, "DELETE", f"{PATH}/{taken['id']}", None, token_of("web"))
    assert status == 200


@pytest.mark.parametrize(
    ("method", "path", "token"),
    [
        ("POST", PATH, None),
        ("POST", PATH, "token-of-we"),
        ("POST", PATH, token_of("api")),
        ("DELETE", f"{PATH}/l0", token_of("api")),
        ("POST", "/v1/services/api/lease", token_of("web")),
        ("POST", "/v1/services/nobody/lease", token_of("web")),
        ("GET", "/v1/services/web", token_of("web")),
        ("GET", PATH, token_of("web")),
        ("GET", "/v1/services", token_of("web")),
        ("GET", "/v1/events?follow=false", token_of("web")),
        ("GET", "/metrics", token_of("web")),
        ("POST", "/v1/services/web/scale", token_of("web")),
        ("DELETE", "/v1/services/web/scale", token_of("web")),
        ("POST", "/v1/reload", token_of("web")),
        ("POST", f"{PATH}/../scale", token_of("web")),
        ("POST", f"{PATH}/%2e%2e/scale", token_of("web")),
        ("POST", "/v1/services/api%2Flease%2F../web/lease", token_of("api")),
    ],
)
async def test_and_for_nothing_else(
    guarded: ClientSession, plane: OperatedPlane, method: str, path: str, token: str | None
) -> None:
    before = dict(plane.known)
    status, problem = await ask(guarded, method, path, {"for": "1m", "replicas": 1}, token)
    assert (status, problem["code"]) == (401, "unauthorized")
    assert plane.known == before
    assert plane.hand == {}


async def test_the_operator_may_take_leases_too(guarded: ClientSession) -> None:
    token = OPERATOR.replace(" ", "-")
    assert (await ask(guarded, "POST", PATH, {"for": "1m"}, token))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "service"),
    [
        ("POST", "/v1/services/web/lease", "web"),
        ("DELETE", "/v1/services/web/lease/abc", "web"),
        ("GET", "/v1/services/web/lease", None),
        ("POST", "/v1/services/web/lease/a/b", None),
        ("POST", "/v1/services/a/b/lease", None),
        ("POST", "/v1/services/web/leases", None),
        ("POST", "/x/v1/services/web/lease", None),
    ],
)
def test_where_the_token_of_a_service_is_enough(
    method: str, path: str, service: str | None
) -> None:
    assert leased_service(method, path) == service
