"""The file of learned sleep: private, whole or not at all, and never a reason not to start."""

import logging
from pathlib import Path

import pytest

from autoscaler.habit import Habit
from autoscaler.habits import KeptHabit, KeptHabits
from tidegate.habit_book import NAME, HabitBook


def habits() -> KeptHabits:
    habit = Habit(calls=3, last=20, all={20: 1.5}, after={20: {21: 0.5}}, excess=-12.5)
    return KeptHabits(silent=[(1, 20, 3.0)], called=[], services={"web": KeptHabit(habit, 1.7e9)})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    HabitBook(tmp_path / "state").write(habits())
    assert HabitBook(tmp_path / "state").read() == habits()
    assert (tmp_path / "state" / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 2}', '{"services": {"web": 1}}', "\0" * 100]
)
def test_a_broken_file_is_told_and_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    (tmp_path / NAME).write_text(content)
    with caplog.at_level(logging.WARNING):
        assert HabitBook(tmp_path).read() == KeptHabits()
    assert "learned anew" in caplog.text


def test_no_file_is_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert HabitBook(tmp_path).read() == KeptHabits()
    assert not caplog.text


def test_what_cannot_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file, and no folder")
    book = HabitBook(tmp_path / "state")
    for _ in range(3):
        book.write(habits())
    assert len(caplog.records) == 1
