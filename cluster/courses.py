"""What is remembered of revisions across restarts of Tidegate.

A revision to go back to is kept with its environment. What cannot be written is kept in memory.
"""

from collections.abc import Collection
from pathlib import Path

from pydantic import TypeAdapter

from cluster.events import Events
from cluster.rollout import Course
from cluster.state_folder import StateFolder, Wording

_COURSE = TypeAdapter(Course)
_WORDING = Wording(
    content="what was known of the revisions of",
    lost="a roll-back or restart of it that was under way is forgotten",
    forgets="roll-backs and restarts that are under way",
)


class Courses:
    """`folder` None: nothing outlives this process."""

    def __init__(self, folder: Path | None, events: Events) -> None:
        self._kept: StateFolder[Course] | None = None
        if folder is not None:
            self._kept = StateFolder(folder, _COURSE, _WORDING, events)

    def load(self, service: str) -> Course:
        known = self._kept.load(service) if self._kept is not None else None
        return known or Course()

    def save(self, service: str, course: Course) -> None:
        if self._kept is not None:
            self._kept.save(service, course)

    def keep_only(self, services: Collection[str]) -> None:
        """Nothing is remembered of services that are gone from the file."""
        if self._kept is not None:
            self._kept.keep_only(services)
