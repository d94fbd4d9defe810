"""What learned sleep knows, as one file in the state folder: a restart of Tidegate forgets nothing.

Written whole, for the owner alone. What cannot be read, or is of another version, is told and
ignored: all is learned anew.
"""

import logging
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from autoscaler.habits import KeptHabits
from cluster import private_file

log = logging.getLogger("tidegate")

NAME = "habits.json"
_KEPT = TypeAdapter(KeptHabits)
_LARGEST = 64 * 2**20  # bytes; what is larger was not written by us


class HabitBook:
    """Implements autoscaler.habits.Book."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._is_failing = False

    def read(self) -> KeptHabits:
        try:
            if self._path.stat().st_size > _LARGEST:
                raise ValueError("it is too large")
            return _KEPT.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return KeptHabits()
        except (OSError, ValueError) as error:
            why = "it is damaged" if isinstance(error, ValidationError) else error
            log.warning("%s cannot be read, sleep is learned anew: %s", self._path, why)
            return KeptHabits()

    def write(self, kept: KeptHabits) -> None:
        """All or nothing."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            private_file.write(self._path, orjson.dumps(kept, option=orjson.OPT_NON_STR_KEYS))
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                log.warning("a restart would forget what sleep has learned: %s", error)
            self._is_failing = True
