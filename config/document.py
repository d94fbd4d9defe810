"""A YAML text as values, by the rules of YAML 1.2, and the line of each of its places.

`off` and `yes` are words, `1:30` is text, a key twice is an error, aliases and `<<` work. Values
are built straight from libyaml's events: a fifth of the time and a third of the memory of
yaml.CSafeLoader. Lines are found by a second walk, which only a wrong file pays for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml._yaml import CParser

from config.errors import Finding, Place
from config.scalars import resolve
from config.units import Written

DEEPEST = 50

# Where a scalar is the text as written: `VERSION: 1.10` is not 1.1. "*" is any name or item.
_AS_WRITTEN: Any = ...
_SERVICE: dict[str, Any] = {
    "command": _AS_WRITTEN,
    "env": _AS_WRITTEN,
    "labels": _AS_WRITTEN,
    "health": {"*": {"exec": _AS_WRITTEN}},
    "scaling": {
        "rules": {"*": {"headers": _AS_WRITTEN, "options": _AS_WRITTEN}},
        "idle": {"ignore": {"answer": {"headers": _AS_WRITTEN, "body": _AS_WRITTEN}}},
    },
}
_FILE: dict[str, Any] = {"defaults": _SERVICE, "services": {"*": _SERVICE}}
_NOTHING: dict[str, Any] = {}

_TAG = "tag:yaml.org,2002:"
_NO_ANCHOR = "an alias without its anchor before it: a text that starts with * needs quotes"
_NO_TAG = "a tag that has no meaning here: a text that starts with ! needs quotes"
_SCALAR_TAGS = {"str", "int", "float", "bool", "null"}


class Unreadable(Exception):
    """The text is not YAML. `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class Document:
    """What a text says, and what is wrong with it as YAML (line, finding)."""

    value: Any
    flaws: tuple[tuple[int, Finding], ...] = ()


def read(text: str) -> Document:
    """The only document of the text. Raises Unreadable."""
    try:
        walk = _Walk(text)
        value = walk.document()
    except yaml.MarkedYAMLError as error:
        raise _syntax(error) from None
    except yaml.reader.ReaderError as error:
        line = text.encode("utf-8", "replace")[: error.position].count(b"\n") + 1
        raise Unreadable(line, "a character that YAML does not allow") from None
    except UnicodeEncodeError as error:
        line = text[: error.start].count("\n") + 1
        raise Unreadable(line, "a character that is no text") from None
    return Document(value, tuple(walk.flaws))


def lines(text: str) -> dict[Place, int]:
    """The line of every key and list item of a text that `read` accepts."""
    return _Lines(text).found


class _Walk:
    """Builds values from events. An alias is the same object again, never a copy."""

    def __init__(self, text: str) -> None:
        self._next: Any = CParser(text).get_event
        self._anchors: dict[str, Any] = {}
        self._depth = 0
        self.flaws: list[tuple[int, Finding]] = []

    def document(self) -> Any:
        self._next()
        start = self._next()
        if isinstance(start, yaml.StreamEndEvent):
            return None
        value = self._value(self._next(), (), _FILE)
        self._next()
        extra = self._next()
        if not isinstance(extra, yaml.StreamEndEvent):
            raise Unreadable(_line(extra), "a second document: one file holds one configuration")
        return value

    def _value(self, event: Any, place: Place, written: Any) -> Any:
        match event:
            case yaml.AliasEvent():
                return self._alias(event)
            case yaml.ScalarEvent():
                value = self._scalar(event, written is _AS_WRITTEN)
            case _:
                value = self._collection(event, place, written)
        if event.anchor:
            self._anchors[event.anchor] = value
        return value

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise Unreadable(_line(event), _NO_ANCHOR)
        return self._anchors[event.anchor]

    def _scalar(self, event: Any, as_written: bool) -> Any:
        text = event.value
        if event.tag:
            return _tagged(event)
        if event.style:
            return text
        value = resolve(text)
        return text if as_written and value is not None else value

    def _collection(self, event: Any, place: Place, written: Any) -> Any:
        if event.tag not in (None, "!", _TAG + "map", _TAG + "seq"):
            raise Unreadable(_line(event), _NO_TAG)
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unreadable(_line(event), f"more than {DEEPEST} levels in each other")
        if isinstance(event, yaml.MappingStartEvent):
            value: Any = self._mapping(place, written)
        else:
            value = self._sequence(place, written)
        self._depth -= 1
        return value

    def _sequence(self, place: Place, written: Any) -> list[Any]:
        items: list[Any] = []
        inner = _within(written, "*")
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*place, len(items)), inner))
        return items

    def _mapping(self, place: Place, written: Any) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event)
            here = (*place, key)
            if key in entries:
                self.flaws.append((_line(event), Finding(here, "is there twice: remove one")))
            value = self._value(self._next(), here, _within(written, key))
            if key == "<<" and not event.style:
                merged = self._merged(merged, value, _line(event))
            else:
                entries[key] = value
        return {**merged, **entries} if merged else entries

    def _key(self, event: Any) -> str:
        value = self._alias(event) if isinstance(event, yaml.AliasEvent) else None
        if isinstance(event, yaml.ScalarEvent):
            value = event.value
            if event.anchor:
                self._anchors[event.anchor] = value
        if not isinstance(value, str):
            raise Unreadable(_line(event), "a key must be a word, not a list or a mapping")
        return value

    def _merged(self, merged: dict[str, Any], value: Any, line: int) -> dict[str, Any]:
        """Of several mappings the first wins, as https://yaml.org/type/merge.html has it."""
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, Mapping) for source in sources):
            raise Unreadable(line, "<< takes a mapping or a list of mappings")
        for source in sources:
            merged = {**source, **merged}
        return merged


class _Lines:
    """Walks the same events for their marks alone."""

    def __init__(self, text: str) -> None:
        self._next: Any = CParser(text).get_event
        self.found: dict[Place, int] = {}
        self._next()
        if isinstance(self._next(), yaml.DocumentStartEvent):
            self._value(self._next(), ())

    def _value(self, event: Any, place: Place) -> None:
        self.found.setdefault(place, _line(event))
        if isinstance(event, yaml.MappingStartEvent):
            while not isinstance(key := self._next(), yaml.MappingEndEvent):
                here = (*place, getattr(key, "value", ""))
                self.found[here] = _line(key)
                self._value(self._next(), here)
        elif isinstance(event, yaml.SequenceStartEvent):
            index = 0
            while not isinstance(item := self._next(), yaml.SequenceEndEvent):
                self._value(item, (*place, index))
                index += 1


def _within(written: Any, key: str) -> Any:
    if written is _AS_WRITTEN:
        return written
    return written.get(key) or written.get("*") or _NOTHING


def _tagged(event: Any) -> Any:
    kind = event.tag.removeprefix(_TAG)
    if event.tag == "!" or kind == "str":
        return event.value
    value = resolve(event.value)
    names = {int: "int", Written: "float", bool: "bool", type(None): "null"}
    if kind not in _SCALAR_TAGS or names.get(type(value)) != kind:
        raise Unreadable(_line(event), _NO_TAG)
    return value


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _syntax(error: yaml.MarkedYAMLError) -> Unreadable:
    """libyaml's finding in plain words, without the text it is about, which may be secret."""
    problem, context = error.problem or "", error.context or ""
    mark = error.problem_mark or error.context_mark
    if "quoted scalar" in context and "end of stream" in problem:
        mark = error.context_mark
    for part, meaning in _MEANINGS.items():
        if part in f"{problem} {context}":
            problem, context = meaning, ""
    line = mark.line + 1 if mark else 1
    return Unreadable(line, f"{problem} {context}".strip())


_MEANINGS = {
    "end of stream while scanning a quoted scalar": "a quote that is never closed",
    "cannot start any token": "a tab in the indentation, or a text that needs quotes",
    "mapping values are not allowed": 'the indentation is wrong, or a text with ": " needs quotes',
    "expected alphabetic or numeric character": "a text that starts with * or & needs quotes",
    "expected node content": "a value is missing, or a [ or { is not closed",
    "expected ',' or": "a comma is missing, or a [ or { is not closed",
    "expected key": "the indentation is wrong, or a text needs quotes",
    "expected '-' indicator": "the indentation is wrong, or a - is missing",
}
