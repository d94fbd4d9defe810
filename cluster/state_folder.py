"""What of each service is to outlive this process: one small JSON file for each, in one folder.

For the owner alone and replaced in one step. The folder is listed once, and a file is read when it
is asked for. What cannot be written is told once, until it can be again; what cannot be read is
told and is as if it had never been: neither stops anybody.
"""

import contextlib
import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from cluster import private_file
from cluster.events import Events

T = TypeVar("T")

_SUFFIX = ".json"
_LARGEST = 16 * 2**20  # bytes; what is larger was not written by us


class Unreadable(Exception):
    """In words that do not tell the content: it may hold secrets."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What operators are told. `content` of a service, what follows when it is `lost`, and what a
    restart `forgets` when nothing can be written."""

    content: str
    lost: str
    forgets: str


class StateFolder(Generic[T]):
    """`schema` is that of one file. Names of services are fit to be names of files."""

    def __init__(
        self, folder: Path, schema: TypeAdapter[T], wording: Wording, events: Events
    ) -> None:
        self._folder, self._schema = folder, schema
        self._wording, self._events = wording, events
        self._present = _present(folder)
        self._is_failing = False

    @property
    def services(self) -> frozenset[str]:
        """Those that have a file."""
        return frozenset(self._present)

    def load(self, service: str) -> T | None:
        """None: there is nothing, or nothing that can be read."""
        if service not in self._present:
            return None
        try:
            return load(self._file(service), self._schema)
        except Unreadable as error:
            self._events.emit(
                "state-unreadable",
                f"{self._wording.content} {service} cannot be read, {error}; {self._wording.lost}",
                service=service,
                level=logging.WARNING,
            )
            return None

    def save(self, service: str, value: T) -> None:
        try:
            save(self._file(service), self._schema, value)
        except OSError as error:
            self._failed(error)
        else:
            self._present.add(service)
            self._is_failing = False

    def remove(self, service: str) -> None:
        """What cannot be removed now is tried again when it is asked for again."""
        if service in self._present:
            with contextlib.suppress(OSError):
                self._file(service).unlink(missing_ok=True)
                self._present.discard(service)

    def keep_only(self, services: Collection[str]) -> None:
        """Nothing is remembered of services that are gone from the file."""
        for service in self._present.difference(services):
            self.remove(service)

    def _file(self, service: str) -> Path:
        return self._folder / (service + _SUFFIX)

    def _failed(self, error: OSError) -> None:
        if not self._is_failing:
            self._events.emit(
                "state-not-written",
                f"cannot write {self._folder}: {error}; a restart of Tidegate would forget "
                f"{self._wording.forgets}",
                level=logging.ERROR,
            )
        self._is_failing = True


def load(file: Path, schema: TypeAdapter[T]) -> T | None:
    """None: there is no such file. Raises Unreadable."""
    try:
        if file.stat().st_size > _LARGEST:
            raise Unreadable("it is too large")
        return schema.validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(str(error)) from error
    except ValidationError as error:
        raise Unreadable("it is damaged") from error


def save(file: Path, schema: TypeAdapter[T], value: T) -> None:
    """Raises OSError; the former content stays then."""
    content = schema.dump_json(value)
    try:
        private_file.write(file, content)
    except FileNotFoundError:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_file.write(file, content)


def _present(folder: Path) -> set[str]:
    try:
        return {file.stem for file in folder.iterdir() if file.suffix == _SUFFIX}
    except OSError:
        return set()
