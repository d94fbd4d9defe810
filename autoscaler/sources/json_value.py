"""A number in a JSON document that a URL gives."""

from http import HTTPStatus
from typing import Any

import orjson

from autoscaler.sources.http import Http
from autoscaler.sources.source import SourceFailure, place_of
from config.json_path import Step, steps_of
from config.rules import JsonRule


class JsonSource:
    def __init__(self, rule: JsonRule, http: Http) -> None:
        self._url = rule.url
        self._place = place_of(rule.url)
        self._path = rule.value
        self._steps = steps_of(rule.value)
        self._headers = dict(rule.headers)
        self._http = http

    async def ask(self) -> float:
        status, body = await self._http.get(self._url, self._headers)
        if status != HTTPStatus.OK:
            raise SourceFailure(f"{self._place} answers {status}")
        try:
            document = orjson.loads(body)
        except ValueError as error:
            raise SourceFailure(f"{self._place} answers with what is no JSON") from error
        return number_at(document, self._steps, self._path)

    async def close(self) -> None:
        """The connections are shared."""


def number_at(document: Any, steps: tuple[Step, ...], path: str) -> float:
    """A number, or a text that is one, as some servers write large ones. Raises SourceFailure."""
    value = document
    for step in steps:
        try:
            value = _inside(value, step)
        except LookupError:
            raise SourceFailure(f"the document has no {path}", silent=True) from None
    if value is None:
        raise SourceFailure(f"{path} is null", silent=True)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise SourceFailure(f"{path} is {_KINDS[type(value)]} and no number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise SourceFailure(f"{path} is a text and no number") from None


def _inside(value: Any, step: Step) -> Any:
    """Raises LookupError."""
    if isinstance(value, dict) and isinstance(step, str):
        return value[step]
    if isinstance(value, list) and isinstance(step, int):
        return value[step]
    raise LookupError


_KINDS = {bool: "true or false", list: "a list", dict: "an object"}
