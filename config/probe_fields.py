"""What a probe by HTTP may say and expect: fields of its request, statuses, a body.

Pure. A status is written as 204 or "200-399"; a body as a text that must be in it, or between
slashes as a regular expression.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from config.fields import pairs
from config.wording import shown

Range = tuple[int, int]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_STATUSES = re.compile(r"([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?")
# What frames the message or asks for another protocol is the probe's own.
_OURS = frozenset(
    {"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"}
)


def _name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"is not a name for a header field, got {shown(name)}")
    if name.lower() in _OURS:
        raise ValueError("is set by the probe itself: remove it")
    return name


def _value(value: str) -> str:
    # It may be a password, so it is not repeated.
    if not (value.isascii() and value.replace("\t", " ").isprintable()):
        raise ValueError("must be one line of ASCII characters")
    return value


def _ranges(value: object) -> object:
    """As pairs of the first and the last status. Our own pairs pass through."""
    if isinstance(value, list | tuple):
        return tuple(one if isinstance(one, tuple) else _range(one) for one in value)
    return (_range(value),)


def _range(value: object) -> Range:
    match = _STATUSES.fullmatch(f"{value}".strip()) if type(value) in (int, str) else None
    if match is None or int(match[1]) < 200:
        raise ValueError(f"must be a status such as 204 or 200-399, got {shown(value)}")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise ValueError(f"must go from low to high: {last}-{first}, got {shown(value)}")
    return first, last


def _written(ranges: tuple[Range, ...]) -> list[str]:
    return [f"{first}" if first == last else f"{first}-{last}" for first, last in ranges]


def _body(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    try:
        pattern(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return text


def pattern(body: str) -> re.Pattern[str]:
    """What to look for in a body. Raises re.error."""
    if len(body) > 2 and body.startswith("/") and body.endswith("/"):
        return re.compile(body[1:-1])
    return re.compile(re.escape(body))


_FieldName = Annotated[str, AfterValidator(_name)]
_FieldValue = Annotated[str, AfterValidator(_value)]
_AS_MAPPING: Any = PlainSerializer(dict, return_type=dict[str, str])
Headers = Annotated[
    tuple[tuple[_FieldName, _FieldValue], ...],
    BeforeValidator(pairs, json_schema_input_type=dict[str, str | int | float | bool]),
    _AS_MAPPING,
]
Statuses = Annotated[
    tuple[Range, ...],
    BeforeValidator(_ranges, json_schema_input_type=str | int | list[str | int]),
    PlainSerializer(_written, return_type=list[str]),
    Field(min_length=1),
]
Body = Annotated[str, Field(min_length=1), AfterValidator(_body)]
