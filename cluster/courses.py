"""What is remembered of revisions across restarts of Tidegate: one small file for each service.

A revision to go back to is kept with its environment, so the files are for the owner alone. What
cannot be written is told once and kept in memory; what cannot be read is as if it had never been.
"""

import contextlib
import logging
from collections.abc import Collection
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from cluster import private_file
from cluster.events import Events
from cluster.rollout import Course

_COURSE = TypeAdapter(Course)
_SUFFIX = ".json"


class Courses:
    """`folder` None: nothing outlives this process."""

    def __init__(self, folder: Path | None, events: Events) -> None:
        self._folder = folder
        self._events = events
        self._known = _present(folder) if folder is not None else set()
        self._is_failing = False

    def load(self, service: str) -> Course:
        if self._folder is None or service not in self._known:
            return Course()
        try:
            return _COURSE.validate_json((self._folder / (service + _SUFFIX)).read_bytes())
        except (OSError, ValidationError) as error:
            # What is wrong with the content would tell the content: it holds the environment.
            why = str(error) if isinstance(error, OSError) else "it is damaged"
            self._events.emit(
                "state-unreadable",
                f"what was known of the revisions of {service} cannot be read, {why}; a roll-back "
                "or restart of it that was under way is forgotten",
                service=service,
                level=logging.WARNING,
            )
            return Course()

    def save(self, service: str, course: Course) -> None:
        """In one step: a reader finds the former content or the new one."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            private_file.write(
                self._folder / (service + _SUFFIX),
                orjson.dumps(_COURSE.dump_python(course, mode="json")),
            )
        except OSError as error:
            self._failed(error)
        else:
            self._known.add(service)
            self._is_failing = False

    def keep_only(self, services: Collection[str]) -> None:
        """Nothing is remembered of services that are gone from the file."""
        if self._folder is None:
            return
        for service in self._known.difference(services):
            with contextlib.suppress(OSError):
                (self._folder / (service + _SUFFIX)).unlink(missing_ok=True)
                self._known.discard(service)

    def _failed(self, error: OSError) -> None:
        if not self._is_failing:
            self._events.emit(
                "state-not-written",
                f"cannot write {self._folder}: {error}; a restart of Tidegate would forget "
                "roll-backs and restarts that are under way",
                level=logging.ERROR,
            )
        self._is_failing = True


def _present(folder: Path) -> set[str]:
    try:
        return {file.stem for file in folder.iterdir() if file.suffix == _SUFFIX}
    except OSError:
        return set()
