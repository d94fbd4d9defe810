"""Learned sleep of all services: one learner, what each sleeps by, and what a restart keeps.

What was learned lives while services sleep, and in a book by wall-clock time.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from autoscaler.habit import Habit
from autoscaler.habitual import Habitual
from autoscaler.learner import Learner
from autoscaler.ledger import Prices
from config.service import Service

WRITE_EVERY = 10.0  # seconds; what was learned since the last writing is lost by a crash
_COUNT_EVERY = 60.0  # seconds; so often are the silences of those who sleep counted


@dataclass(frozen=True, slots=True)
class KeptHabit:
    """`since`: when it was called last, in seconds since 1970; None: it is not known."""

    habit: Habit
    since: float | None


@dataclass(frozen=True, slots=True)
class KeptHabits:
    """`silent` and `called` are those of Kin: class, stage, number. Another version is not read."""

    version: Literal[1] = 1
    silent: list[tuple[int, int, float]] = field(default_factory=list)
    called: list[tuple[int, int, float]] = field(default_factory=list)
    services: dict[str, KeptHabit] = field(default_factory=dict)


class Book(Protocol):
    """Where habits outlive this process. It never raises: what cannot be kept is told."""

    def read(self) -> KeptHabits: ...
    def write(self, kept: KeptHabits) -> None: ...


class Habits:
    """`clock` is loop time, `wall` seconds since 1970. Without a book nothing outlives the process.
    No habit is lost to a reload: only those of services that are gone from the file are."""

    def __init__(
        self, clock: Callable[[], float], wall: Callable[[], float], book: Book | None = None
    ) -> None:
        self._clock, self._wall, self._book = clock, wall, book
        self._learner = Learner()
        self._written = self._counted = -math.inf
        self._unrestored = book.read() if book else KeptHabits()
        self._learner.kin.silent = {(a, b): number for a, b, number in self._unrestored.silent}
        self._learner.kin.called = {(a, b): number for a, b, number in self._unrestored.called}

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
        return spec.name in self._learner.habits or spec.name in self._unrestored.services

    def keep_only(self, specs: Mapping[str, Service]) -> None:
        """Nothing is remembered of services that are gone from the file."""
        for known in (self._learner.habits, self._unrestored.services):
            for service in [name for name in known if name not in specs]:
                self._learner.forget(service)
                self._unrestored.services.pop(service, None)

    def forget(self, service: str) -> None:
        self._learner.forget(service)
        self._unrestored.services.pop(service, None)

    def _restore(self, service: str, prices: Prices) -> None:
        kept = self._unrestored.services.pop(service, None)
        if kept is None or service in self._learner.habits:
            return
        self._learner.habits[service] = kept.habit
        if kept.since is not None:
            # A clock that was set back must not make a silence end before it began.
            since = min(self._clock(), kept.since - self._since_boot)
            self._learner.resumed(service, prices, since, self._clock())

    def _changed(self, now: float) -> None:
        if now - self._counted >= _COUNT_EVERY:
            self._counted = now
            self._learner.advance(now)
        if self._book is not None and now - self._written >= WRITE_EVERY:
            self._written = now
            self._book.write(self._kept())

    def _kept(self) -> KeptHabits:
        learner, offset = self._learner, self._since_boot
        services = dict(self._unrestored.services)
        for name, habit in learner.habits.items():
            since = learner.since(name)
            services[name] = KeptHabit(habit, None if since is None else since + offset)
        kin = learner.kin
        return KeptHabits(
            silent=[(*key, number) for key, number in kin.silent.items()],
            called=[(*key, number) for key, number in kin.called.items()],
            services=services,
        )

    @property
    def _since_boot(self) -> float:
        return self._wall() - self._clock()

    def _time_of_day(self, moment: float) -> str:
        at = datetime.fromtimestamp(moment + self._since_boot, UTC)
        return f"{at:%H:%M:%S} UTC" if moment - self._clock() < 86400 else f"{at:%Y-%m-%d} UTC"
