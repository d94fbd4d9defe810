"""What the schedules of a service demand at a moment of the wall clock, and until when.

Pure. A schedule is active when its last beginning is later than its last end; where both fall on
one moment, the end wins. What an active schedule says stands instead of the configured number. Of
several active at once the largest `min` and the smallest `max` count; `replicas` beats them both,
and of several the first in the file. Where the floor is above the ceiling, the ceiling wins.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from autoscaler.decision import Bounds
from config import calendar
from config.rules import Schedule
from config.scaling import Scaling

# Cron knows no seconds: within a minute nothing changes.
_MINUTE = 60.0
# A clock that is set back by less undoes nothing that has begun, or it would begin twice.
_SET_BACK = 60.0
# Nested nights end some time: after so many changes the last one is good enough to tell.
_CHANGES = 20
# A wall clock that is slow against the loop's reaches a moment in a few looks, not in thousands.
_SOONEST = 0.05


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds from `since` until `until`; where `most` is 0, `opens` is when it will be more.

    All in wall-clock seconds; infinity is never. `zone` is where the operator reckons.
    """

    bounds: Bounds
    since: float
    until: float
    opens: float = math.inf
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class _Active:
    schedule: Schedule
    ends: float

    @property
    def words(self) -> str:
        name = f'schedule "{self.schedule.schedule}"'
        if self.ends == math.inf:
            return f"by {name}, which never ends"
        return f"by {name} until {calendar.said(self.ends, self.schedule.timezone)}"


class Timetable:
    """The schedules of one service against two clocks: it is told the wall's, and asked in loop
    time."""

    __slots__ = ("_offset", "_scaling", "_standing")

    def __init__(self, scaling: Scaling, wall: float, now: float) -> None:
        self._scaling = scaling
        self._offset = wall - now
        self._standing = standing(scaling, wall)

    def tell(self, wall: float, now: float) -> None:
        """What time it is, before anything is asked; reckons anew only when something changes."""
        self._offset = wall - now
        if not self._standing.since - _SET_BACK <= wall < self._standing.until:
            self._standing = standing(self._scaling, wall)

    @property
    def bounds(self) -> Bounds:
        return self._standing.bounds

    @property
    def is_closed(self) -> bool:
        """Asleep, whatever comes."""
        return self.bounds.most == 0

    def next_change(self, now: float) -> float:
        """When to look again (loop time); infinity: nothing will ever change."""
        return max(self._standing.until - self._offset, now + _SOONEST)

    @property
    def opens(self) -> float:
        """When it may be awake again (loop time); infinity: never."""
        return self._standing.opens - self._offset

    @property
    def opens_in_words(self) -> str:
        if self._standing.opens == math.inf:
            return "for good"
        return f"until {calendar.said(self._standing.opens, self._standing.zone)}"


def standing(scaling: Scaling, wall: float) -> Standing:
    """Known already for services that are scheduled alike."""
    minute = math.floor(wall / _MINUTE) * _MINUTE
    return _standing(scaling.schedules, scaling.min, scaling.max, minute)


@lru_cache(maxsize=1024)
def _standing(schedules: tuple[Schedule, ...], least: int, most: int, minute: float) -> Standing:
    active = _active(schedules, minute)
    until = _next_change(schedules, minute)
    bounds = _bounds(active, least, most)
    if bounds.most > 0:
        return Standing(bounds, minute, until)
    opens = _opening(schedules, least, most, until)
    return Standing(bounds, minute, until, opens, active[0].schedule.timezone)


def _active(schedules: tuple[Schedule, ...], minute: float) -> list[_Active]:
    found = []
    for one in schedules:
        began = calendar.last(one.schedule, one.timezone, minute)
        ended = calendar.last(one.until, one.timezone, minute)
        if began is not None and (ended is None or began > ended):
            ends = calendar.following(one.until, one.timezone, minute)
            found.append(_Active(one, math.inf if ends is None else ends))
    return found


def _next_change(schedules: tuple[Schedule, ...], minute: float) -> float:
    moments = (
        calendar.following(text, one.timezone, minute)
        for one in schedules
        for text in (one.schedule, one.until)
    )
    return min((moment for moment in moments if moment is not None), default=math.inf)


def _opening(schedules: tuple[Schedule, ...], least: int, most: int, change: float) -> float:
    for _ in range(_CHANGES):
        if change == math.inf or _bounds(_active(schedules, change), least, most).most > 0:
            break
        change = _next_change(schedules, change)
    return change


def _bounds(active: list[_Active], least: int, most: int) -> Bounds:
    """Never a floor above the ceiling."""
    forced = next((one for one in active if one.schedule.replicas is not None), None)
    if forced is not None and forced.schedule.replicas is not None:
        number = forced.schedule.replicas
        why = f"exactly {number} {forced.words}" if number else f"asleep {forced.words}"
        return Bounds(number, number, why, why)
    floor, ceiling = _chosen(active, "min", max), _chosen(active, "max", min)
    most, why_most = ceiling or (most, f"max is {most}")
    least, why_least = floor or (least, f"min is {least}")
    return Bounds(*((least, most) if least <= most else (most, most)), why_least, why_most)


def _chosen(
    active: list[_Active], key: str, choose: Callable[[tuple[int, ...]], int]
) -> tuple[int, str] | None:
    """The number that counts of those that the active schedules set, and why; None: none does."""
    setting = {one: number for one in active if (number := getattr(one.schedule, key)) is not None}
    if not setting:
        return None
    number = choose(tuple(setting.values()))
    words = next(one.words for one, its in setting.items() if its == number)
    return (
        number,
        f"asleep {words}" if key == "max" and not number else f"{key} is {number} {words}",
    )
