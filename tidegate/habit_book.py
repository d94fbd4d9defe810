"""What learned sleep knows, in the state folder: a restart of Tidegate forgets nothing.

A small file for each service, and one for what is known of all of them together. What cannot be
read, or is of another version, is told and ignored: that is learned anew.
"""

import logging
from collections.abc import Collection
from pathlib import Path

from pydantic import TypeAdapter

from autoscaler.habits import KeptHabit, KeptKin
from cluster.events import Events
from cluster.state_folder import StateFolder, Unreadable, Wording, load, save

FOLDER = "habits"
KIN = "kin.json"

_HABIT, _KIN = TypeAdapter(KeptHabit), TypeAdapter(KeptKin)
_WORDING = Wording(
    content="what sleep has learned of",
    lost="it is learned anew",
    forgets="what sleep has learned",
)


class HabitBook:
    """Implements autoscaler.habits.Book."""

    def __init__(self, state: Path, events: Events) -> None:
        self._habits = StateFolder(state / FOLDER, _HABIT, _WORDING, events)
        self._kin, self._events = state / KIN, events
        self._is_failing = False
        self.read = self._habits.load
        self.write = self._habits.save
        self.remove = self._habits.remove

    @property
    def services(self) -> Collection[str]:
        return self._habits.services

    def read_kin(self) -> KeptKin | None:
        try:
            return load(self._kin, _KIN)
        except Unreadable as error:
            self._events.emit(
                "state-unreadable",
                f"what sleep has learned of all services together ({KIN}) cannot be read, {error}; "
                "it is learned anew",
                level=logging.WARNING,
            )
            return None

    def write_kin(self, kept: KeptKin) -> None:
        try:
            save(self._kin, _KIN, kept)
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                self._events.emit(
                    "state-not-written",
                    f"cannot write {self._kin}: {error}; a restart of Tidegate would forget "
                    "what sleep has learned of all services together",
                    level=logging.ERROR,
                )
            self._is_failing = True
