"""`/openapi.json`: OpenAPI 3.1 made from the route table and from the types that are sent.

Pure.
"""

import http
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from admin.access import OPEN_PATHS
from admin.operation import JSON, Operation
from admin.parameters import LeaseRequest, Parameter, ScaleRequest
from admin.ports import ReloadResult
from admin.problems import CODES, CONTENT_TYPE
from admin.views import LeaseView, ServiceView

_REF = "#/components/schemas/"
_NAMES = re.compile(r"\{(\w+)\}")
_READ = (ScaleRequest.__name__, LeaseRequest.__name__)
_EVERYWHERE = (
    "malformed-request",
    "misdirected-host",
    "invalid-request",
    "internal-error",
    "too-many-connections",
)
_TYPES = {int: "integer", bool: "boolean", str: "string", datetime: "string"}


def document(
    operations: Iterable[Operation], version: str, *, needs_token: bool = False
) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate admin API",
            "version": version,
            "description": "Times are RFC 3339 in UTC, durations are seconds. What is not "
            "described is answered with a Problem too: 404 for another path, 405 with Allow for "
            "another method of a path.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}] if needs_token else [{}],
    }


def schemas() -> dict[str, Any]:
    """By the names that the route table uses."""
    return {**_of_types(), **_BY_HAND}


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _identifier(operation),
        "parameters": [_in_path(name) for name in _NAMES.findall(operation.path)]
        + [_parameter(parameter) for parameter in operation.query],
        "responses": _responses(operation),
    }
    if operation.path in OPEN_PATHS:
        described["security"] = [{}]
    if operation.body:
        content = {JSON: {"schema": _ref(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _identifier(operation: Operation) -> str:
    words = [word for word in operation.path.replace(".json", "").split("/") if word]
    return "_".join([operation.method.lower(), *(word.strip("{}") for word in words)])


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _TYPES[parameter.kind]}
    if parameter.kind is int:
        schema |= {"minimum": parameter.minimum, "maximum": parameter.maximum}
    if parameter.kind is datetime:
        schema["format"] = "date-time"
    if parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.summary,
        "schema": schema,
    }


def _responses(operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {str(operation.status): _success(operation)}
    for status, codes in sorted(_problems(operation).items()):
        responses[str(status)] = {
            "description": f"{http.HTTPStatus(status).phrase}: {', '.join(codes)}",
            "content": {CONTENT_TYPE: {"schema": _ref("Problem")}},
        }
    return responses


def _success(operation: Operation) -> dict[str, Any]:
    schema = _ref(operation.sends) if operation.sends else {"type": "string"}
    said = http.HTTPStatus(operation.status).phrase
    return {"description": said, "content": {operation.content_type: {"schema": schema}}}


def _problems(operation: Operation) -> dict[int, list[str]]:
    codes = [*_EVERYWHERE, *operation.problems]
    if operation.path not in OPEN_PATHS:
        codes.append("unauthorized")
    if operation.of_a_service:
        codes.append("unknown-service")
    if operation.method != "GET":
        codes += ["cross-site", "form-data"]
    if operation.body:
        codes += ["invalid-json", "body-too-large", "body-timeout"]
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(CODES[code][0], []).append(code)
    return by_status


def _of_types() -> dict[str, Any]:
    """Made from the very types that are sent and read. Every field of an answer is always there."""
    _, found = TypeAdapter.json_schemas(
        [
            ("service", "serialization", TypeAdapter(ServiceView)),
            ("reload", "serialization", TypeAdapter(ReloadResult)),
            ("scale", "validation", TypeAdapter(ScaleRequest)),
            ("lease", "validation", TypeAdapter(LeaseRequest)),
            ("leased", "serialization", TypeAdapter(LeaseView)),
        ],
        ref_template=_REF + "{model}",
    )
    definitions: dict[str, Any] = found["$defs"]
    for name, schema in definitions.items():
        if name not in _READ and "properties" in schema:
            schema["required"] = list(schema["properties"])
    definitions["ServiceView"]["properties"]["last_decision"] = _or_null(_ref("Decision"))
    return definitions


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _REF + name}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_NUMBER = {"type": "number"}
_FLAG = {"type": "boolean"}
_WHEN = {"type": "string", "format": "date-time"}
_LIMIT = _object(limit=_TEXT, before=_WHOLE, after=_WHOLE, reason=_TEXT)

# What is built from mappings or is too small for a type of its own.
_BY_HAND: dict[str, Any] = {
    "Health": _object(status=_TEXT),
    "Upgraded": _object(pid={"type": "integer"}),
    "Services": _object(
        services=_list_of(_ref("ServiceView")),
        total=_WHOLE,
        next=_or_null(_TEXT),
        problems=_list_of(_TEXT),
    ),
    "Decision": _object(
        at=_WHEN,
        since=_WHEN,
        until=_or_null(_WHEN),
        before=_WHOLE,
        replicas=_WHOLE,
        frozen=_FLAG,
        mode=_ref("Mode"),
        reason=_TEXT,
        inputs={"type": "object"},
        wishes=_list_of({"type": "object"}),
        limits=_list_of(_LIMIT),
        result=_or_null(_ref("Result")),
    ),
    "Result": _object(
        there=_WHOLE,
        wanted=_WHOLE,
        seconds=_NUMBER,
        stage={"type": "string", "enum": ["open", "reached", "replaced"]},
        trouble=_or_null(_TEXT),
        says=_TEXT,
    ),
    "Decisions": _object(decisions=_list_of(_ref("Decision"))),
    "Explanation": _object(
        service=_TEXT,
        at=_WHEN,
        inputs={"type": "object"},
        rules=_list_of(
            _object(
                rule=_TEXT,
                wish=_WHOLE,
                reason=_TEXT,
                window=_NUMBER,
                measured=_NUMBER,
                target=_NUMBER,
            )
        ),
        limits=_list_of(_LIMIT),
        outcome=_object(replicas=_WHOLE, frozen=_FLAG, mode=_ref("Mode"), reason=_TEXT),
        manual=_or_null(_object(replicas=_WHOLE, ends_in=_or_null(_NUMBER))),
        panic_ends_in=_or_null(_NUMBER),
        next_step_down_in=_or_null(_NUMBER),
        next_change_in=_or_null(_NUMBER),
        result=_or_null(_ref("Result")),
        idle_seconds=_or_null(_NUMBER),
        sleep=_or_null({"type": "object"}),
        trouble=_or_null(_object(code=_TEXT, message=_TEXT)),
    ),
    "Event": _object(
        id=_WHOLE,
        at=_WHEN,
        kind=_TEXT,
        message=_TEXT,
        service=_or_null(_TEXT),
        replica=_or_null(_TEXT),
    ),
    # As the parser of a browser shows it; `event` is the kind once more.
    "EventMessage": _object(
        id=_TEXT,
        event=_TEXT,
        data={
            "type": "string",
            "contentMediaType": JSON,
            "contentSchema": _ref("Event"),
        },
    ),
    # One a line.
    "LogLines": _list_of({"anyOf": [_ref("LogLine"), _ref("LogFailure")]}),
    "LogFailure": _object(error=_object(code=_TEXT, message=_TEXT)) | {"required": ["error"]},
    "LogLine": _object(replica=_TEXT, stream=_TEXT, at=_or_null(_WHEN), text=_TEXT)
    | {"required": ["replica", "stream", "text"]},
    "Problem": _object(
        type=_TEXT,
        title=_TEXT,
        status=_WHOLE,
        code={"type": "string", "enum": list(CODES)},
        detail=_TEXT,
    ),
    "Document": {"type": "object"},
}
