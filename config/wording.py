"""What went wrong, in the words of whoever wrote the file.

Pure: pydantic's findings go in, ours come out. A value of `env` is never repeated: only texts
that are wrong in themselves are shown, and there any text is right.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.errors import Finding, Place
from config.printable import printable

_LONGEST_SHOWN = 60
METRICS = (
    "concurrency", "rps", "latency", "queue_wait", "cpu", "memory", "prometheus", "json", "redis",
    "custom",
)  # fmt: skip


def shown(value: object) -> str:
    """A value as part of a sentence, short."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            text = printable(value[:_LONGEST_SHOWN])
            return f'"{text}"' if len(value) <= _LONGEST_SHOWN else f'"{text}…"'
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return f"{value}" if len(f"{value}") <= _LONGEST_SHOWN else "a very large number"


def either(choices: Sequence[str]) -> str:
    """`a, b or c`."""
    return " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))


def explain(error: ValidationError, raw: object) -> list[Finding]:
    """Every error of one validation, with its place in `raw`."""
    return [
        Finding(
            _place((*details["loc"], *_MISSING.get(details["type"], ())), raw), _message(details)
        )
        for details in error.errors(include_url=False)
    ]


def _place(location: Place, raw: object) -> Place:
    """Where that is in the document.

    Pydantic puts the branch of a union into the location, and sees a mapping of `env` as a list
    of pairs: the first is left out, of the second the name of the entry is kept.
    """
    place: list[str | int] = []
    here = raw
    for depth, part in enumerate(location):
        last = depth == len(location) - 1
        if isinstance(here, Mapping) and isinstance(part, int):
            return (*place, list(here)[part])
        if isinstance(here, Mapping) and part not in here and not last:
            continue
        place.append(part)
        here = _step(here, part)
    return tuple(place)


def _step(here: object, part: str | int) -> object:
    if isinstance(here, Mapping):
        return here.get(part)
    if isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
        return here[part]
    return None


def _message(details: ErrorDetails) -> str:
    """The sentence for one kind of error; kinds without one of their own fall back to `got`."""
    write = _MESSAGES.get(details["type"])
    got = shown(details["input"])
    return write(details.get("ctx", {}), got) if write else f"is not valid here, got {got}"


def _must_be(what: str) -> Callable[[dict[str, Any], str], str]:
    return lambda _, got: f"must be {what}, got {got}"


def _text(_: dict[str, Any], got: str) -> str:
    hint = 'write "" for an empty one' if got == "nothing" else "put it in quotes"
    return f"must be text, got {got}: {hint}"


def _choice(context: dict[str, Any], got: str) -> str:
    # "'off', 'json' or 'combined'"
    return f"must be {str(context['expected']).replace(chr(39), '')}, got {got}"


_MESSAGES: dict[str, Callable[[dict[str, Any], str], str]] = {
    "missing": lambda _, __: "is required",
    "extra_forbidden": lambda _, __: UNKNOWN_KEY,
    "value_error": lambda context, _: str(context["error"]),
    "int_type": _must_be("a whole number"),
    "int_from_float": _must_be("a whole number"),
    "float_type": _must_be("a number"),
    "finite_number": _must_be("a number that is not infinite"),
    "bool_type": _must_be("true or false"),
    "string_type": _text,
    "tuple_type": _must_be("a list"),
    "dict_type": _must_be("a mapping"),
    "model_type": _must_be("a mapping"),
    "model_attributes_type": _must_be("a mapping"),
    "literal_error": _choice,
    "union_tag_not_found": lambda _, __: f"is required: {either(METRICS)}",
    "union_tag_invalid": lambda context, _: (
        f"must be {either(METRICS)}, got {shown(context['tag'])}"
    ),
    "greater_than": lambda context, got: f"must be more than {context['gt']:g}, got {got}",
    "greater_than_equal": lambda context, got: f"must be at least {context['ge']:g}, got {got}",
    "less_than": lambda context, got: f"must be less than {context['lt']:g}, got {got}",
    "less_than_equal": lambda context, got: f"must be at most {context['le']:g}, got {got}",
    "string_too_short": lambda _, __: "must not be empty",
    "too_short": lambda _, __: "must not be empty",
}
# The key that an error is about, where pydantic only names the mapping that it is not in.
_MISSING = {"union_tag_not_found": ("metric",), "union_tag_invalid": ("metric",)}
UNKNOWN_KEY = "unknown key"
