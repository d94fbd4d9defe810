"""The description cannot drift: it covers every route, and what is sent fits it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import ClientSession, web

from admin.app import AdminServer
from tests.support.operated_plane import OperatedPlane

_KINDS: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def misfits(value: Any, schema: dict[str, Any], whole: dict[str, Any], at: str = "") -> list[str]:
    """Where a value differs from its schema: the part of JSON Schema that the document uses, and
    stricter, as a field that is not described is a misfit too."""
    if reference := schema.get("$ref"):
        return misfits(value, resolved(reference, whole), whole, at)
    if choices := schema.get("anyOf"):
        tried = [misfits(value, choice, whole, at) for choice in choices]
        return [] if [] in tried else tried[0]
    if not isinstance(value, _KINDS[schema["type"]]):
        return [f"{at}: {value!r} is no {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is none of {schema['enum']}"]
    return list(_inside(value, schema, whole, at))


def _inside(value: Any, schema: dict[str, Any], whole: dict[str, Any], at: str) -> Iterator[str]:
    for number, item in enumerate(value if isinstance(value, list) else ()):
        yield from misfits(item, schema["items"], whole, f"{at}[{number}]")
    if not isinstance(value, dict) or "properties" not in schema:
        return
    yield from (f"{at}.{name} is missing" for name in {*schema.get("required", ())} - {*value})
    for name, item in value.items():
        if name not in schema["properties"]:
            yield f"{at}.{name} is not described"
        else:
            yield from misfits(item, schema["properties"][name], whole, f"{at}.{name}")


def resolved(reference: str, whole: dict[str, Any]) -> dict[str, Any]:
    found: Any = whole
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    assert isinstance(found, dict)
    return found


@pytest.fixture
async def description(client: ClientSession) -> dict[str, Any]:
    async with client.get("/openapi.json") as response:
        assert response.content_type == "application/json"
        described = await response.json()
        assert isinstance(described, dict)
        return described


async def test_it_describes_exactly_what_is_routed(
    description: dict[str, Any], server: AdminServer
) -> None:
    assert server._runner
    app = server._runner.app
    assert isinstance(app, web.Application)
    routed = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.method != "HEAD" and route.resource
    }
    described = {
        (method, path) for path, methods in description["paths"].items() for method in methods
    }
    assert described == routed
    assert len(routed) >= 15


async def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    text = json.dumps(description)
    references = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    assert "#/components/schemas/ServiceView" in references
    for reference in references:
        assert resolved(reference, description)


async def test_operation_ids_are_unique(description: dict[str, Any]) -> None:
    ids = [
        operation["operationId"]
        for methods in description["paths"].values()
        for operation in methods.values()
    ]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "/healthz", None),
        ("get", "/readyz", None),
        ("get", "/openapi.json", None),
        ("get", "/v1/services", None),
        ("get", "/v1/services/{name}", None),
        ("get", "/v1/services/{name}/decisions", None),
        ("get", "/v1/services/{name}/explain", None),
        ("post", "/v1/services/{name}/scale", {"replicas": 1, "for": "1h"}),
        ("delete", "/v1/services/{name}/scale", None),
        ("post", "/v1/services/{name}/lease", {"for": "1h", "wake": True, "replica": "web-1"}),
        ("post", "/v1/services/{name}/lease", {"for": "25h"}),
        ("delete", "/v1/services/{name}/lease/{id}", None),
        ("post", "/v1/services/{name}/restart", None),
        ("post", "/v1/reload", None),
    ],
)
@pytest.mark.parametrize("name", ["web", "job", "missing"])
async def test_answers_fit_their_description(
    client: ClientSession, description: dict[str, Any], method: str, path: str, body: Any, name: str
) -> None:
    url = path.replace("{name}", name).replace("{id}", "l0")
    async with client.request(method, url, json=body) as response:
        answers = description["paths"][path][method]["responses"]
        content = answers[str(response.status)]["content"][response.content_type]
        sent = await response.json(content_type=None)
    if response.content_type == "application/problem+json":
        # RFC 9457 §3.2: problems may have members of their own.
        sent = {key: sent[key] for key in ("type", "title", "status", "code", "detail")}
    assert misfits(sent, content["schema"], description) == []


@pytest.mark.parametrize("path", ["/v1/events?follow=false", "/v1/services/web/logs"])
async def test_streamed_items_fit_their_description(
    client: ClientSession, plane: OperatedPlane, description: dict[str, Any], path: str
) -> None:
    plane.events.emit("woke", "web woke", service="web")
    async with client.get(path) as response:
        template = path.split("?")[0].replace("web", "{name}")
        answers = description["paths"][template]["get"]["responses"]
        schema = answers["200"]["content"][response.content_type]["schema"]
        if "events" in path:
            message = resolved(schema["$ref"], description)
            schema = message["properties"]["data"]["contentSchema"]
        else:
            schema = resolved(schema["$ref"], description)["items"]
        lines = [line.removeprefix("data: ") for line in (await response.text()).splitlines()]
    items = [json.loads(line) for line in lines if line.startswith("{")]
    assert items
    for item in items:
        assert misfits(item, schema, description) == []


def test_the_check_itself_finds_misfits() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert misfits({"a": 1}, schema, {}) == [".a: 1 is no string"]
    assert misfits({}, schema, {}) == [".a is missing"]
    assert misfits({"a": "x", "b": 1}, schema, {}) == [".b is not described"]
