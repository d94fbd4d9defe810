"""What a restart keeps of learned sleep, and what is read and written for it; virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from autoscaler.habits import Habits, KeptHabit, KeptKin
from autoscaler.write_behind import WRITE_EVERY
from config.service import Service
from tests.support.learned_services import LEARNED, Shelf
from tests.support.scaling_facts import service
from tests.support.virtual_time import run

WALL = 1_700_000_000.0
SLEEPERS = {name: service(name, **LEARNED) for name in ("web", "api", "mail")}
LATER = WRITE_EVERY + 1


class Life:
    """Of one process: what it has learned, with the clock of the machine."""

    def __init__(self, shelf: Shelf, wall: float = WALL) -> None:
        self.loop = asyncio.get_running_loop()
        self._wall = wall - self.loop.time()
        self.habits = Habits(self.loop.time, lambda: self._wall + self.loop.time(), shelf)
        self.habits.keep_only(SLEEPERS)

    def called(self, name: str) -> None:
        habitual = self.habits.of(SLEEPERS[name])
        assert habitual is not None
        habitual.called(self.loop.time())

    def put_to_sleep(self, name: str) -> None:
        habitual = self.habits.of(SLEEPERS[name])
        assert habitual is not None
        assert habitual.why_asleep(self.loop.time())

    def calls(self, name: str) -> object:
        habitual = self.habits.of(SLEEPERS[name])
        assert habitual is not None
        return habitual.facts(self.loop.time()).get("calls")

    async def calls_of(self, *names: str, times: int = 3, period: float = 300.0) -> None:
        for _ in range(times):
            for name in names:
                self.called(name)
            await asyncio.sleep(period)


def lived(shelf: Shelf, *steps: Callable[[Life], Awaitable[None]], wall: float = WALL) -> None:
    """The steps, while what changes is written."""

    async def whole() -> None:
        life = Life(shelf, wall)
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(life.habits.run(), name="write")
            for step in steps:
                await step(life)
            writing.cancel()

    run(whole())


async def ended(life: Life) -> None:
    await life.habits.halt()


def test_only_what_has_changed_is_written() -> None:
    shelf = Shelf()

    async def story(life: Life) -> None:
        await life.calls_of("web", "api")
        shelf.written.clear()
        life.called("web")
        await asyncio.sleep(LATER)
        assert shelf.written == ["web"]
        await asyncio.sleep(10_000)
        assert shelf.written == ["web"]

    lived(shelf, story)
    assert shelf.kin is not None
    assert shelf.kin.silent


def test_nothing_is_read_of_a_service_before_it_is_asked_for() -> None:
    shelf = Shelf()
    lived(shelf, lambda life: life.calls_of("web", "api"), ended)
    shelf.written.clear()

    async def again(life: Life) -> None:
        assert life.habits.has(SLEEPERS["web"])
        assert not life.habits.has(SLEEPERS["mail"])
        assert shelf.read_of == []
        assert life.calls("web") == 3
        assert life.calls("web") == 3
        assert life.calls("mail") is None
        assert shelf.read_of == ["web"]

    lived(shelf, again, ended)
    assert shelf.written == [], "nothing has changed"
    assert shelf.kept.keys() == {"web", "api"}


def test_what_was_learned_goes_on_where_it_was() -> None:
    shelf = Shelf()
    lived(shelf, lambda life: life.calls_of("web"), ended)
    assert shelf.kept["web"].since == pytest.approx(WALL + 600)

    async def again(life: Life) -> None:
        life.called("web")
        assert life.calls("web") == 4

    lived(shelf, again, ended, wall=WALL + 900)
    known = shelf.kept["web"].habit
    assert known.all, "a silence over the restart is one"
    assert known.usual[0] == pytest.approx(300, abs=60)


def test_when_it_was_called_last_is_known_at_an_orderly_end() -> None:
    """Calls that follow each other soon are written for that alone."""
    shelf = Shelf()

    async def story(life: Life) -> None:
        await life.calls_of("web", times=100, period=5.0)

    lived(shelf, story, ended)
    assert shelf.kept["web"].since == pytest.approx(WALL + 99 * 5)


def test_a_crash_while_it_is_in_use_leaves_no_silence_that_never_was() -> None:
    shelf = Shelf()

    async def story(life: Life) -> None:
        await life.calls_of("web", times=2)
        await life.calls_of("web", times=1000, period=5.0)

    lived(shelf, story)
    assert shelf.kept["web"].habit.calls == 3
    assert shelf.kept["web"].since is None

    async def again(life: Life) -> None:
        life.called("web")
        assert life.calls("web") is not None

    before = dict(shelf.kept["web"].habit.all)
    lived(shelf, again, ended, wall=WALL + 6000)
    assert shelf.kept["web"].habit.all == before


def test_a_service_that_sleeps_is_kept_with_its_silence_whatever_happens_then() -> None:
    shelf = Shelf()

    async def story(life: Life) -> None:
        life.called("web")
        await asyncio.sleep(30)
        life.put_to_sleep("web")
        await asyncio.sleep(LATER)

    lived(shelf, story)
    assert shelf.kept["web"].since == WALL


def test_a_service_that_leaves_the_file_is_forgotten_read_or_not() -> None:
    shelf = Shelf()
    lived(shelf, lambda life: life.calls_of("web", "api", "mail"), ended)

    async def story(life: Life) -> None:
        assert life.calls("web") == 3
        life.habits.keep_only({"mail": SLEEPERS["mail"]})
        assert not life.habits.has(SLEEPERS["web"])
        assert not life.habits.has(SLEEPERS["api"])
        assert life.calls("web") is None
        await asyncio.sleep(LATER)
        assert shelf.kept.keys() == {"mail"}
        assert life.calls("mail") == 3

    lived(shelf, story)
    assert shelf.read_of == ["web", "mail"]


def test_one_that_comes_back_begins_anew() -> None:
    shelf = Shelf()
    lived(shelf, lambda life: life.calls_of("web"), ended)

    async def story(life: Life) -> None:
        life.habits.forget("web")
        life.called("web")

    lived(shelf, story, ended)
    assert shelf.kept["web"].habit.calls == 1


def test_what_cannot_be_read_is_learned_anew_and_the_others_go_on() -> None:
    class Torn(Shelf):
        def read(self, service: str) -> KeptHabit | None:
            return None if service == "web" else super().read(service)

        def read_kin(self) -> KeptKin | None:
            return None

    shelf = Torn()
    lived(shelf, lambda life: life.calls_of("web", "api"), ended)

    async def story(life: Life) -> None:
        assert life.calls("web") is None
        assert life.calls("api") == 3
        life.called("web")

    lived(shelf, story, ended)
    assert shelf.kept["web"].habit.calls == 1
    assert shelf.kept["api"].habit.calls == 3


def test_without_a_book_nothing_is_to_be_written() -> None:
    async def whole() -> None:
        loop = asyncio.get_running_loop()
        habits = Habits(loop.time, loop.time)
        spec: Service = SLEEPERS["web"]
        habitual = habits.of(spec)
        assert habitual is not None
        habitual.called(0.0)
        habitual.called(100.0)
        habits.keep_only({})
        assert not habits.has(spec)
        await habits.halt()

    run(whole())


def test_the_silences_of_many_are_counted_a_few_at_a_time() -> None:
    """Each change gives a turn to some, also when many come at the same moment."""

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        habits = Habits(loop.time, loop.time)
        many = [habits.of(service(f"s{number}", **LEARNED)) for number in range(1000)]

        def counted() -> float:
            return sum(habits._learner.kin.silent.values())

        for one in many:
            assert one is not None
            one.called(0.0)
        await asyncio.sleep(61)
        before = counted()
        for one in many[:20]:
            assert one is not None
            one.why_asleep(loop.time())
        some = counted() - before
        assert 0 < some < 1000
        assert many[0] is not None
        while (former := counted()) < 9000:
            await asyncio.sleep(0.11)
            many[0].why_asleep(loop.time())
            assert 0 < counted() - former < 1000

    run(whole())


def test_the_silences_of_few_are_counted_once_a_minute() -> None:
    async def whole() -> None:
        loop = asyncio.get_running_loop()
        habits = Habits(loop.time, loop.time)
        quiet = habits.of(SLEEPERS["web"])
        assert quiet is not None
        quiet.called(0.0)
        counted = []
        for second in range(1, 500):
            await asyncio.sleep(1)
            before = dict(habits._learner.kin.silent)
            habits._changed("api", loop.time())
            if habits._learner.kin.silent != before:
                counted.append(second)
        assert counted == [61 + 60 * minute for minute in range(len(counted))]
        assert len(counted) > 6

    run(whole())
