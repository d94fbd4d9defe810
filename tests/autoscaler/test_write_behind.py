"""Written later and in turns: in what order, how much at once, and at the end; virtual time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from autoscaler.write_behind import AT_ONCE, PAUSE, WRITE_EVERY, WriteBehind
from tests.support.virtual_time import run

MANY = [f"s{number}" for number in range(5 * AT_ONCE + 3)]


class Written:
    """What was written, and when (loop time)."""

    def __init__(self) -> None:
        self.at: list[tuple[str, float]] = []
        self.behind = WriteBehind(self._write)

    def _write(self, name: str) -> None:
        self.at.append((name, asyncio.get_running_loop().time()))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.at]

    def changed(self, *names: str) -> None:
        for name in names:
            self.behind.changed(name)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.behind.run(), name="write")
            yield
            task.cancel()


def in_time(story: Callable[[Written], Awaitable[None]]) -> None:
    async def whole() -> None:
        await story(Written())

    run(whole())


def test_nothing_is_written_at_once_and_nothing_without_a_change() -> None:
    async def story(written: Written) -> None:
        async with written.running():
            await asyncio.sleep(100)
            written.changed("web")
            await asyncio.sleep(WRITE_EVERY - 0.1)
            assert written.names == []
            await asyncio.sleep(0.2)
            assert written.names == ["web"]
            await asyncio.sleep(104)
            assert written.names == ["web"]
            written.changed("api")
            await asyncio.sleep(WRITE_EVERY - 0.1)
            assert written.names == ["web"], "no clock ticks while there is no news"

    in_time(story)


def test_one_turn_writes_a_few_and_leaves_the_loop_to_others() -> None:
    async def story(written: Written) -> None:
        async with written.running():
            written.changed(*MANY)
            await asyncio.sleep(WRITE_EVERY + 1)
        assert written.names == MANY
        times = [at for _, at in written.at]
        assert max(times.count(at) for at in times) == AT_ONCE
        assert len(set(times)) == 6
        assert times[-1] - times[0] >= 4.9 * PAUSE

    in_time(story)


def test_the_oldest_change_is_first_and_another_one_while_it_waits_is_written_once() -> None:
    async def story(written: Written) -> None:
        async with written.running():
            written.changed("c", "a", "b")
            await asyncio.sleep(5)
            written.changed("c", "d", "a")
            await asyncio.sleep(100)
        assert written.names == ["c", "a", "b", "d"]

    in_time(story)


def test_what_changes_again_while_others_are_written_has_its_own_time_to_wait() -> None:
    async def story(written: Written) -> None:
        async with written.running():
            written.changed(*MANY)
            await asyncio.sleep(WRITE_EVERY + PAUSE / 2)
            assert written.names == MANY[:AT_ONCE]
            written.changed(MANY[0])
            await asyncio.sleep(WRITE_EVERY / 2)
            assert written.names == MANY
            await asyncio.sleep(WRITE_EVERY)
            assert written.names == [*MANY, MANY[0]]
        (first, _, *_), (last, at) = written.at[0], written.at[-1]
        assert first == last
        assert at >= 2 * WRITE_EVERY

    in_time(story)


def test_at_the_end_all_is_written_without_waiting_and_others_have_their_turns() -> None:
    async def story(written: Written) -> None:
        written.changed(*MANY)
        async with asyncio.TaskGroup() as group:
            group.create_task(written.behind.halt(), name="halt")
            await asyncio.sleep(0)
            assert written.names == MANY[:AT_ONCE]
        assert written.names == MANY
        assert asyncio.get_running_loop().time() == 0

    in_time(story)


def test_what_changes_while_the_end_comes_is_written_as_well() -> None:
    async def story(written: Written) -> None:
        written.changed(*MANY)
        async with asyncio.TaskGroup() as group:
            group.create_task(written.behind.halt(), name="halt")
            await asyncio.sleep(0)
            written.changed("late")
        assert written.names == [*MANY, "late"]

    in_time(story)


def test_after_the_end_nothing_is_written_until_it_begins_again() -> None:
    async def story(written: Written) -> None:
        async with written.running():
            await written.behind.halt()
            written.changed("web")
            await asyncio.sleep(100)
            await written.behind.halt()
            assert written.names == []
            written.behind.begin()
            await asyncio.sleep(WRITE_EVERY + 1)
            assert written.names == ["web"]

    in_time(story)


def test_an_end_in_the_middle_of_writing_stops_it() -> None:
    async def story(written: Written) -> None:
        async with written.running():
            written.changed(*MANY)
            await asyncio.sleep(WRITE_EVERY + PAUSE / 2)
            await written.behind.halt()
            assert written.names == MANY
            written.changed("web")
            await asyncio.sleep(100)
            assert written.names == MANY

    in_time(story)
