"""What the engine's listing is worth: which of its entries must be looked at one by one.

Pure. The listing does not tell how an instance ended, lags behind the events, and may be stale: it
then misses what runs, or still has what was removed (and whose address is another's by now). An
inspection waits until the engine is done, so where the two differ from what we know, it decides.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from cluster.model import Exit, Instance, InstanceHealth, InstanceStatus

_ENDED = InstanceStatus.EXITED
_REMEMBERED = 1000  # ids of what was removed: as many as a stale listing may still have


class Sightings:
    """What we know of the instances of one owner on one engine, by id."""

    def __init__(self) -> None:
        self._present: dict[str, None] | None = None  # None: nothing was listed yet
        self._ended: dict[str, Instance] = {}
        self._ends: dict[str, Exit] = {}
        self._news: dict[str, InstanceStatus] = {}
        self._removed: dict[str, None] = {}
        self._asked: frozenset[str] = frozenset()

    def listens(self) -> None:
        """Events come from now on: what was heard before is old."""
        self._news.clear()
        self._ends.clear()

    def heard(self, id: str, status: InstanceStatus | None) -> None:
        """An event: what the instance must be by now, where that can be said."""
        if status is None:
            self._news.pop(id, None)
        else:
            self._news[id] = status

    def ends(self, id: str, exit: Exit) -> None:
        """It has just ended, and how: whatever the engine says, until it says so too."""
        self._ends[id] = exit

    def starts(self, id: str) -> None:
        """Whoever has started it: an end of before is over."""
        self._ends.pop(id, None)

    def runs(self, id: str) -> None:
        """We have started it."""
        self._ended.pop(id, None)
        self._ends.pop(id, None)
        if self._present is not None:
            self._present[id] = None

    def is_removed(self, id: str) -> None:
        """It is no more, and its id will never be used again."""
        if self._present is not None:
            self._present.pop(id, None)
        self._ends.pop(id, None)
        self._removed[id] = None
        if len(self._removed) > _REMEMBERED:
            del self._removed[next(iter(self._removed))]

    def doubts(self, listed: Sequence[Instance]) -> Collection[str]:
        """The ids to inspect."""
        ids = {one.id for one in listed}
        doubted = {
            one.id: None
            for one in listed
            if one.id not in self._removed
            and (
                self._news.get(one.id, one.status) is not one.status
                or (one.status is _ENDED and one.id not in self._ended)
                or (self._present is not None and one.id not in self._present)
                # The listing calls also unhealthy what was paused (see docker_view.health_of).
                or one.health is InstanceHealth.UNHEALTHY
            )
        }
        self._asked = frozenset(self._present or ())
        doubted.update({id: None for id in self._asked if id not in ids})
        return doubted

    def settled(
        self, listed: Sequence[Instance], looks: Mapping[str, Instance | None]
    ) -> list[Instance]:
        """What there is. `looks` is what came of the inspections: None where there is nothing."""
        for id, seen in looks.items():
            self._news.pop(id, None)
            if seen is None:
                self.is_removed(id)
        ids = {one.id for one in listed}
        known = [self._known(one, looks) for one in listed if one.id not in self._removed]
        known += [one for id, one in looks.items() if one is not None and id not in ids]
        self._ended = {one.id: one for one in known if one.status is _ENDED}
        for id in self._ended:
            self._ends.pop(id, None)
        started_meanwhile = [id for id in self._present or () if id not in self._asked]
        self._present = dict.fromkeys([*(one.id for one in known), *started_meanwhile])
        return [self._as_it_is(one) for one in known]

    def _as_it_is(self, one: Instance) -> Instance:
        """With the end that the engine does not know of yet."""
        exit = self._ends.get(one.id)
        if exit is None:
            return one
        return replace(one, status=_ENDED, address=None, exit=exit, health=None)

    def _known(self, one: Instance, looks: Mapping[str, Instance | None]) -> Instance:
        looked = looks.get(one.id)
        if looked is not None:
            return looked
        return self._ended.get(one.id, one) if one.status is _ENDED else one
