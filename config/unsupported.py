"""What the contract has and this version has not: refused by name, never silently ignored.

Pure. A key leaves this list when it is supported; the schema knows it all the same.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import Finding, Place
from config.settings import RUNTIMES
from config.wording import either

LATER_RUNTIMES = ("swarm", "kubernetes", "nomad")
NOT_YET = "is not supported yet"


@dataclass(frozen=True, slots=True)
class Later:
    """A place of the file, when its value asks for too much, and what to write instead.

    "*" stands for every item of a list.
    """

    place: tuple[str, ...]
    asks: Callable[[Any], bool]
    message: Callable[[Any], str]


def _later_runtime(value: Any) -> str | None:
    name = next(iter(value), None) if isinstance(value, Mapping) and len(value) == 1 else value
    return name if name in LATER_RUNTIMES else None


OF_FILE = (
    Later(
        ("runtime",),
        lambda value: _later_runtime(value) is not None,
        lambda value: f"{_later_runtime(value)} {NOT_YET}: use {either(RUNTIMES)}",
    ),
)
OF_SERVICE: tuple[Later, ...] = ()


def refused(raw: Mapping[str, Any], later: tuple[Later, ...]) -> list[Finding]:
    """What of `raw` this version cannot do."""
    return [
        Finding(place, entry.message(value))
        for entry in later
        for place, value in _at(raw, entry.place, ())
        if entry.asks(value)
    ]


def _at(value: Any, place: tuple[str, ...], above: Place) -> Iterator[tuple[Place, Any]]:
    if not place:
        yield above, value
    elif isinstance(value, Mapping) and place[0] in value:
        yield from _at(value[place[0]], place[1:], (*above, place[0]))
    elif isinstance(value, list) and place[0] == "*":
        for index, item in enumerate(value):
            yield from _at(item, place[1:], (*above, index))
