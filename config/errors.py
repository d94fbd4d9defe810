"""What is wrong with a configuration: findings while it is read, problems once they have a place.

Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Keys and list indices from the top of the file, or from the top of one service.
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at a place of the document, before its line is known.

    `also` names the other places that it was measured against: where one of them is wrong in
    itself, the finding is only an echo and is dropped.
    """

    place: Place
    message: str
    also: tuple[Place, ...] = ()

    def inside(self, *outer: str | int) -> "Finding":
        """The same finding, seen from further up."""
        also = tuple((*outer, *place) for place in self.also)
        return Finding((*outer, *self.place), self.message, also)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct. `line` counts from 1; None and "" where there is no such place.

    A warning is one that Tidegate can run with.
    """

    file: Path
    line: int | None
    path: str
    message: str
    is_warning: bool = False

    def __str__(self) -> str:
        where = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        kind = "warning" if self.is_warning else ""
        return ": ".join(part for part in (where, kind, self.path, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used. Carries every problem, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(place: Place) -> str:
    """`services.web.hosts[0]` from its parts; `env["A B"]` where a key is no plain word."""
    return "".join(_part(part) for part in place).removeprefix(".")


def _part(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN.fullmatch(part) else f'["{part}"]'


_PLAIN = re.compile(r"[\w-]+")
