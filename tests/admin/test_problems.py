"""Whatever is wrong with a request, the answer is application/problem+json with a stable code."""

import gzip
import json
from typing import Any

import pytest
from aiohttp import ClientSession

from admin.problems import CODES
from tests.support.operated_plane import OperatedPlane

SCALE = "/v1/services/web/scale"


async def ask(
    client: ClientSession, method: str, path: str, body: bytes | None = None
) -> tuple[int, dict[str, Any], str | None]:
    async with client.request(method, path, data=body) as response:
        assert response.content_type == "application/problem+json"
        problem = await response.json(content_type=None)
        assert problem["status"] == response.status == CODES[problem["code"]][0]
        assert problem["title"]
        return response.status, problem, response.headers.get("Allow")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/service", "/v1/services/web/nothing", "/metric"])
async def test_an_unknown_path_is_404(client: ClientSession, path: str) -> None:
    status, problem, _ = await ask(client, "GET", path)
    assert (status, problem["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/services", "GET, HEAD"),
        ("GET", SCALE, "DELETE, POST"),
        ("PUT", "/v1/reload", "POST"),
        ("DELETE", "/v1/events", "GET"),
        ("OPTIONS", "/healthz", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_405_with_allow(
    client: ClientSession, method: str, path: str, allowed: str
) -> None:
    status, problem, allow = await ask(client, method, path)
    assert (status, problem["code"], allow) == (405, "method-not-allowed", allowed)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/services/wep"),
        ("GET", "/v1/services/wep/decisions"),
        ("GET", "/v1/services/wep/explain"),
        ("GET", "/v1/services/wep/logs"),
        ("POST", "/v1/services/wep/scale"),
        ("DELETE", "/v1/services/wep/scale"),
        ("POST", "/v1/services/wep/restart"),
        ("POST", "/v1/services/wep/rollback"),
    ],
)
async def test_an_unknown_service_is_404_with_close_matches(
    client: ClientSession, method: str, path: str
) -> None:
    status, problem, _ = await ask(client, method, path)
    assert (status, problem["code"]) == (404, "unknown-service")
    assert problem["close_matches"] == ["web"]
    assert problem["detail"] == 'no service "wep"; did you mean web?'


async def test_a_service_like_no_other_is_404_without_a_guess(client: ClientSession) -> None:
    _, problem, _ = await ask(client, "GET", "/v1/services/zzzzzzzz")
    assert (problem["close_matches"], problem["detail"]) == ([], 'no service "zzzzzzzz"')


@pytest.mark.parametrize("body", [b"", b"{", b"replicas=3", b'{"replicas": NaN}', b"\xff"])
async def test_a_body_that_is_not_json_is_400(client: ClientSession, body: bytes) -> None:
    status, problem, _ = await ask(client, "POST", SCALE, body)
    assert (status, problem["code"]) == (400, "invalid-json")


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"replicas": "is missing"}),
        ([], {"body": "must be a JSON object"}),
        (3, {"body": "must be a JSON object"}),
        ({"replicas": 3, "count": 3}, {"count": "unknown field"}),
        ({"replicas": 3, "duration": "10m"}, {"duration": "unknown field"}),
        ({"replicas": "3"}, {"replicas": "Input should be a valid integer"}),
        ({"replicas": 3.0}, {"replicas": "Input should be a valid integer"}),
        ({"replicas": True}, {"replicas": "Input should be a valid integer"}),
        ({"replicas": -1}, {"replicas": "Input should be greater than or equal to 0"}),
        (
            {"replicas": 3, "for": "soon"},
            {"for": 'must be a duration such as 250ms, 30s, 5m or 1h, got "soon"'},
        ),
        (
            {"replicas": 3, "for": 600},
            {"for": "must be a duration such as 250ms, 30s, 5m or 1h, got 600"},
        ),
        ({"replicas": 3, "for": "0s"}, {"for": "must be longer than nothing"}),
        ({"for": "x", "y": 1}, {"replicas": "", "for": "", "y": "unknown field"}),
    ],
)
async def test_a_wrong_or_unknown_field_is_422_and_all_are_told(
    client: ClientSession, plane: OperatedPlane, body: object, errors: dict[str, str]
) -> None:
    status, problem, _ = await ask(client, "POST", SCALE, json.dumps(body).encode())
    assert (status, problem["code"]) == (422, "invalid-request")
    assert problem["errors"].keys() == errors.keys()
    for field, message in errors.items():
        assert message in problem["errors"][field]
        assert f"{field}: " in problem["detail"]
    assert plane.hand == {}


async def test_what_the_plane_refuses_is_422_in_its_words(client: ClientSession) -> None:
    status, problem, _ = await ask(client, "POST", SCALE, b'{"replicas": 11}')
    assert (status, problem["code"]) == (422, "invalid-request")
    assert problem["detail"] == "scaling.max of web is 10"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/services?limit=0", "limit"),
        ("/v1/services?limit=many", "limit"),
        ("/v1/services?limit=-1", "limit"),
        ("/v1/services?limit=%D9%A3", "limit"),  # a digit of another script
        ("/v1/services?used=maybe", "used"),
        ("/v1/services?page=2", "page"),
        ("/v1/services/web?x=1", "x"),
        ("/v1/services/web/decisions?limit=10001", "limit"),
        ("/v1/services/web/logs?tail=-5", "tail"),
        ("/v1/services/web/logs?follow=2", "follow"),
        ("/v1/events?since=yesterday", "since"),
        ("/healthz?verbose", "verbose"),
    ],
)
async def test_a_wrong_or_unknown_parameter_is_422(
    client: ClientSession, path: str, field: str
) -> None:
    status, problem, _ = await ask(client, "GET", path)
    assert (status, problem["code"]) == (422, "invalid-request")
    assert list(problem["errors"]) == [field]


@pytest.mark.parametrize("size", [64 * 1024 + 1, 1_000_000])
async def test_a_body_above_64_kib_is_413(client: ClientSession, size: int) -> None:
    status, problem, _ = await ask(client, "POST", SCALE, b" " * size)
    assert (status, problem["code"]) == (413, "body-too-large")


async def test_a_small_body_that_unpacks_to_much_is_413(client: ClientSession) -> None:
    headers = {"Content-Encoding": "gzip"}
    bomb = gzip.compress(b" " * 10_000_000)
    assert len(bomb) < 64 * 1024
    async with client.post(SCALE, data=bomb, headers=headers) as response:
        assert response.status == 413


async def test_a_body_of_64_kib_is_read(client: ClientSession, plane: OperatedPlane) -> None:
    body = b'{"replicas": 3}'.ljust(64 * 1024)
    async with client.post(SCALE, data=body) as response:
        assert response.status == 200
    assert plane.hand == {"web": (3, None)}


async def test_a_bug_is_500_without_its_innards(
    client: ClientSession, plane: OperatedPlane, caplog: pytest.LogCaptureFixture
) -> None:
    plane.known["web"] = "not a view"  # type: ignore[assignment]
    status, problem, _ = await ask(client, "GET", "/v1/services/web")
    assert (status, problem["code"]) == (500, "internal-error")
    assert "view" not in json.dumps(problem)
    assert "please report it" in caplog.text
    assert caplog.records[-1].exc_info
