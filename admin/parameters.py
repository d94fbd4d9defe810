"""What a request may say besides its path: declared once, checked here, described in the document.

An unknown name or a wrong value is an error; nothing is guessed. All mistakes of a request are
told at once. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from admin.problems import Problem
from config.units import DURATION, parse_duration

_LOST_PLUS = re.compile(r"(?<=\d) (?=\d\d:\d\d$)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter. A whole number is limited by `minimum` and `maximum`; a time becomes
    wall-clock seconds."""

    name: str
    kind: type[int] | type[bool] | type[str] | type[datetime]
    summary: str
    default: int | bool | str | None = None
    minimum: int = 0
    maximum: int = 2**53

    def read(self, text: str) -> float | bool | str:
        """Raises ValueError."""
        if self.kind is bool:
            return _truth(text)
        if self.kind is int:
            return self._whole(text)
        return _time(text) if self.kind is datetime else text

    def _whole(self, text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) < 20
        if is_number and self.minimum <= (number := int(text)) <= self.maximum:
            return number
        raise ValueError(f"must be a whole number from {self.minimum} to {self.maximum}")


# Zero is the only duration that is too short to be asked for.
_PERIOD: dict[str, Any] = {"type": "string", "pattern": f"^(?=.*[1-9])({DURATION.pattern})$"}


class ScaleRequest(BaseModel):
    """Keep this many replicas by hand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replicas: int = Field(ge=0, strict=True)
    duration: Annotated[float | None, BeforeValidator(lambda value: _period(value))] = Field(
        None,
        alias="for",
        description="how long, such as 10m; without it until DELETE",
        json_schema_extra={"anyOf": [_PERIOD, {"type": "null"}]},
    )


class LeaseRequest(BaseModel):
    """Keep the service from freezing and stopping for a while."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    duration: Annotated[float, BeforeValidator(lambda value: _period(value))] = Field(
        alias="for",
        description="how long, such as 10m; at most 24h",
        json_schema_extra=_PERIOD,
    )
    wake: bool = Field(False, strict=True, description="also wake it when it sleeps")
    replica: str | None = Field(
        None, description="one of its replicas, to be spared while others can go"
    )


Body = TypeVar("Body", bound=BaseModel)


def read_query(query: Mapping[str, str], parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """Every parameter with its value or default. Raises Problem."""
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Any] = {name: known[name].default for name in known}
    errors: dict[str, str] = {}
    for name, text in query.items():
        try:
            values[name] = known[name].read(text)
        except KeyError:
            errors[name] = f"unknown parameter; known: {', '.join(known) or 'none'}"
        except ValueError as error:
            errors[name] = f'{error}, got "{text}"'
    if errors:
        raise _invalid(errors)
    return values


def read_body(model: type[Body], body: bytes) -> Body:
    """Raises Problem."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem("invalid-json", str(error)) from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise _invalid({_place(one["loc"]): _said(one) for one in error.errors()}) from error


def _invalid(errors: dict[str, str]) -> Problem:
    detail = "; ".join(f"{field}: {message}" for field, message in errors.items())
    return Problem("invalid-request", detail, errors=errors)


def _truth(text: str) -> bool:
    match text.lower():
        case "true" | "1" | "":
            return True
        case "false" | "0":
            return False
        case _:
            raise ValueError("must be true or false")


def _time(text: str) -> float:
    """RFC 3339, section 5.6. In a query a + that nobody encoded arrives as a space."""
    try:
        time = datetime.fromisoformat(_LOST_PLUS.sub("+", text))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError("must be a time with its zone, such as 2026-11-23T08:00:00Z")
    return time.timestamp()


def _period(value: object) -> float | None:
    if value is None:
        return None
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError("must be longer than nothing")
    return seconds


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "body"


def _said(error: Any) -> str:
    """Pydantic's words, ours where they would puzzle."""
    match error["type"]:
        case "extra_forbidden":
            return "unknown field"
        case "missing":
            return "is missing"
        case "model_type":
            return "must be a JSON object"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")
