"""The short notation for generated traffic: `name(key=value, key=value)`, or one plain value.

Pure. Values are durations (`200ms`) and rates (`5`, `5/s`, `30/m`, `2/h`). Every error names the
text, the place in it and what to write instead.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from config.units import format_duration, parse_duration
from config.wording import either, shown

FASTEST = 1_000_000.0  # requests a second; far above any machine that this could plan for
SHORTEST = 0.000001  # seconds, of what must last

_CALL = re.compile(r"\s*([a-z][a-z0-9_]*)\s*\((.*)\)\s*", re.DOTALL)
_ARGUMENT = re.compile(r"\s*(?:([a-z][a-z0-9_.]*)\s*=\s*)?(\S*)\s*", re.DOTALL)
_RATE = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,30})?)(?:\s*/\s*(s|m|h))?")
_PER = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Argument:
    """`key` is "" for a value by its position. `at` counts characters from 1."""

    key: str
    value: str
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """What was written. A plain value is a call without a name, with that one argument."""

    text: str
    name: str
    arguments: tuple[Argument, ...]

    def wrong(self, message: str, at: int = 1) -> ValueError:
        return ValueError(f"{shown(self.text)}, character {at}: {message}")

    def expect(self, required: Iterable[str], optional: Iterable[str] = ()) -> None:
        """Refuses other keys, missing ones, keys given twice and values without a key."""
        required = tuple(required)
        known = (*required, *optional)
        seen: set[str] = set()
        for argument in self.arguments:
            if argument.key not in known:
                got = argument.key or argument.value
                raise self.wrong(f"{shown(got)} is not one of {self._form(known)}", argument.at)
            if argument.key in seen:
                raise self.wrong(f"{argument.key} is given twice: keep one", argument.at)
            seen.add(argument.key)
        if missing := [key for key in required if key not in seen]:
            raise self.wrong(f"{either(missing)} is missing: write {self._form(known)}")

    def _form(self, keys: Iterable[str]) -> str:
        return f"{self.name}({', '.join(f'{key}=…' for key in keys)})"

    def duration(self, key: str, default: float | None = None, least: float = SHORTEST) -> float:
        """Seconds."""
        argument = self._find(key)
        if argument is None:
            return self._default(key, default)
        seconds = self.seconds(argument)
        if seconds < least:
            message = f"{key} must be at least {format_duration(least)}, got {argument.value}"
            raise self.wrong(message, argument.at)
        return seconds

    def rate(self, key: str, default: float | None = None) -> float:
        """Requests a second."""
        argument = self._find(key)
        if argument is None:
            return self._default(key, default)
        match = _RATE.fullmatch(argument.value)
        if not match:
            raise self.wrong(
                f"{key} must be a rate such as 5, 0.2, 30/m or 2/h, got {shown(argument.value)}",
                argument.at,
            )
        rate = float(match[1]) / _PER[match[2] or ""]
        if rate > FASTEST:
            raise self.wrong(f"{key} must be at most {FASTEST:.0f} requests a second", argument.at)
        return rate

    def seconds(self, argument: Argument) -> float:
        try:
            return parse_duration(int(argument.value) if argument.value == "0" else argument.value)
        except ValueError as error:
            raise self.wrong(f"{argument.key} {error}".lstrip(), argument.at) from None

    def _find(self, key: str) -> Argument | None:
        return next((argument for argument in self.arguments if argument.key == key), None)

    def _default(self, key: str, default: float | None) -> float:
        if default is None:
            raise self.wrong(f"{key} is missing")
        return default


def parse(text: str) -> Call:
    """Raises ValueError for what is neither `name(…)` nor one value without blanks."""
    match = _CALL.fullmatch(text)
    if not match:
        plain = text.strip()
        if not plain or re.search(r"[\s(),=]", plain):
            raise Call(text, "", ()).wrong("write name(key=value, …), or one value such as 200ms")
        return Call(text, "", (Argument("", plain, 1),))
    return Call(text, match[1], tuple(_arguments(text, match[2], match.start(2))))


def _arguments(text: str, inside: str, start: int) -> Iterable[Argument]:
    if not inside.strip():
        return
    for part in inside.split(","):
        at = start + 1 + len(part) - len(part.lstrip())
        match = _ARGUMENT.fullmatch(part)
        if not match or not match[2] or re.search(r"[()=]", match[2]):
            message = f"expected key=value, got {shown(part.strip())}"
            raise Call(text, "", ()).wrong(message, at)
        yield Argument(match[1] or "", match[2], at)
        start += len(part) + 1
