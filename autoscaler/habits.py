"""Learned sleep of all services: one learner, what each sleeps by, and what a restart keeps.

What was learned lives while services sleep, and in a book by wall-clock time: of each service by
itself, read when it is first asked for, and written when it has changed.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from autoscaler.habit import Habit
from autoscaler.habitual import LEAST_AWAKE, Habitual
from autoscaler.kin import Kin
from autoscaler.learner import Learner
from autoscaler.ledger import Prices
from autoscaler.write_behind import WriteBehind
from config.service import Service

# Seconds; so often are the silences of those who sleep counted. As a turn of the loop has only a
# millisecond or two for it, many services take more than one.
_COUNT_EVERY = 60.0
_COUNT_ON = 0.1
_COUNT_AT_ONCE = 250
_KIN = ""  # among those that are written; no service has this name


@dataclass(frozen=True, slots=True)
class KeptHabit:
    """Of one service. `since`: when it was called last, in seconds since 1970; None: it is not
    known, or it was in use. Another version is not read."""

    habit: Habit
    since: float | None
    version: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class KeptKin:
    """Of all services together: class, stage, number. Another version is not read."""

    silent: list[tuple[int, int, float]] = field(default_factory=list)
    called: list[tuple[int, int, float]] = field(default_factory=list)
    version: Literal[1] = 1


class Book(Protocol):
    """Where habits outlive this process. It never raises: what cannot be kept is told, and what
    cannot be read is as if it had never been."""

    @property
    def services(self) -> Collection[str]: ...
    def read(self, service: str) -> KeptHabit | None: ...
    def write(self, service: str, kept: KeptHabit) -> None: ...
    def remove(self, service: str) -> None: ...
    def read_kin(self) -> KeptKin | None: ...
    def write_kin(self, kept: KeptKin) -> None: ...


class Habits:
    """`clock` is loop time, `wall` seconds since 1970. Without a book nothing outlives the process.
    No habit is lost to a reload: only those of services that are gone from the file are."""

    def __init__(
        self, clock: Callable[[], float], wall: Callable[[], float], book: Book | None = None
    ) -> None:
        self._clock, self._wall, self._book = clock, wall, book
        self._learner = Learner()
        self._counted, self._count_after = -math.inf, _COUNT_EVERY
        self._behind = WriteBehind(self._write)
        self._unread = set(book.services) if book else set()
        self._since_written: dict[str, float | None] = {}
        self._is_ending = False
        kin = (book and book.read_kin()) or KeptKin()
        self._learner.kin.silent = {(a, b): number for a, b, number in kin.silent}
        self._learner.kin.called = {(a, b): number for a, b, number in kin.called}

    def of(self, spec: Service) -> Habitual | None:
        """None: the plain timeout puts it to sleep."""
        scaling = spec.scaling
        if not scaling.is_sleep_learned or scaling.idle.stop_after is None or spec.endpoints:
            return None
        wake = 60.0 * scaling.idle.wake_cost / scaling.idle.idle_minute_cost
        prices = Prices(scaling.idle.stop_after, wake)
        self._restore(spec.name, prices)
        return Habitual(spec.name, self._learner, prices, self._time_of_day, self._changed)

    def has(self, spec: Service) -> bool:
        """A wake may have to be planned for it, although nobody has called it yet."""
        if not spec.scaling.is_sleep_learned or spec.endpoints:
            return False
        return spec.name in self._learner.habits or spec.name in self._unread

    def keep_only(self, specs: Mapping[str, Service]) -> None:
        """Nothing is remembered of services that are gone from the file."""
        for service in sorted((self._learner.habits.keys() | self._unread) - specs.keys()):
            self.forget(service)

    def forget(self, service: str) -> None:
        if service in self._learner.habits or service in self._unread:
            self._learner.forget(service)
            self._unread.discard(service)
            self._since_written.pop(service, None)
            self._to_be_written(service)

    # What outlives this process

    async def run(self) -> None:
        """Writes what has changed, for ever."""
        await self._behind.run()

    async def halt(self) -> None:
        """The book is up to date, and is left alone from then on until `begin`."""
        self._is_ending = True
        for service in self._learner.habits:
            if self._learner.since(service) != self._since_written.get(service, math.nan):
                self._to_be_written(service)
        if self._learner.habits:
            self._to_be_written(_KIN)
        await self._behind.halt()

    def begin(self) -> None:
        self._is_ending = False
        self._behind.begin()

    # The rest is private

    def _restore(self, service: str, prices: Prices) -> None:
        if self._book is None or service not in self._unread:
            return
        self._unread.discard(service)
        kept = self._book.read(service)
        if kept is None:
            return
        self._learner.habits[service] = kept.habit
        if kept.since is not None:
            # A clock that was set back must not make a silence end before it began.
            since = min(self._clock(), kept.since - self._since_boot)
            self._learner.resumed(service, prices, since, self._clock())
        self._since_written[service] = self._learner.since(service)

    def _changed(self, service: str, now: float) -> None:
        if now - self._counted >= self._count_after:
            self._counted = now
            are_all = self._learner.advance(now, _COUNT_AT_ONCE)
            self._count_after = _COUNT_EVERY if are_all else _COUNT_ON
        self._to_be_written(service)
        self._to_be_written(_KIN)

    def _to_be_written(self, name: str) -> None:
        if self._book is not None:
            self._behind.changed(name)

    def _write(self, name: str) -> None:
        """What is known by now."""
        if self._book is None:
            return
        if name == _KIN:
            self._book.write_kin(_kept(self._learner.kin))
        elif (habit := self._learner.habits.get(name)) is None:
            self._book.remove(name)
        else:
            since = self._since_written[name] = self._since(name)
            at = None if since is None else since + self._since_boot
            self._book.write(name, KeptHabit(habit, at))

    def _since(self, service: str) -> float | None:
        """As it is kept. More calls soon after the last one are no news, so that while we go on it
        would not stay true for one in use; a silence that never was would be learned from it."""
        since = self._learner.since(service)
        is_in_use = since is not None and self._clock() - since < LEAST_AWAKE
        return None if is_in_use and not self._is_ending else since

    @property
    def _since_boot(self) -> float:
        return self._wall() - self._clock()

    def _time_of_day(self, moment: float) -> str:
        at = datetime.fromtimestamp(moment + self._since_boot, UTC)
        return f"{at:%H:%M:%S} UTC" if moment - self._clock() < 86400 else f"{at:%Y-%m-%d} UTC"


def _kept(kin: Kin) -> KeptKin:
    return KeptKin(
        silent=[(*key, number) for key, number in kin.silent.items()],
        called=[(*key, number) for key, number in kin.called.items()],
    )
