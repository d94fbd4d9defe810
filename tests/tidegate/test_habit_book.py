"""The files of learned sleep: private, whole or not at all, and never a reason not to start."""

import logging
import os
from pathlib import Path

import pytest

from autoscaler.habit import Habit
from autoscaler.habits import KeptHabit, KeptKin
from cluster.events import Events
from tidegate.habit_book import FOLDER, KIN, HabitBook

HABIT = KeptHabit(
    Habit(calls=3, last=20, all={20: 1.5}, after={20: {21: 0.5}}, excess=-12.5), 1.7e9
)
TOGETHER = KeptKin(silent=[(1, 20, 3.0), (0, -63, 2.0)], called=[(1, 20, 1.0)])


def book(state: Path) -> HabitBook:
    return HabitBook(state, Events(lambda: 0.0))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = book(state)
    first.write("web", HABIT)
    first.write("kin", HABIT)
    first.write_kin(TOGETHER)
    second = book(state)
    assert set(second.services) == {"web", "kin"}
    assert second.read("web") == HABIT
    assert second.read("api") is None
    assert second.read_kin() == TOGETHER
    for file in (state / KIN, state / FOLDER / "web.json"):
        assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_forgotten_is_gone_with_its_file(tmp_path: Path) -> None:
    first = book(tmp_path)
    first.write("web", HABIT)
    first.remove("web")
    assert os.listdir(tmp_path / FOLDER) == []
    assert book(tmp_path).read("web") is None


BROKEN = ["", "{", "[]", '{"version": 2, "habit": {}, "since": 1}', '{"habit": 1}', "\0" * 100]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_told_and_ignored_and_the_others_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    first = book(tmp_path)
    for service in ("web", "api"):
        first.write(service, HABIT)
    (tmp_path / FOLDER / "web.json").write_text(content)
    second = book(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert second.read("web") is None
        assert second.read("api") == HABIT
    assert [one.message for one in caplog.records] == [
        "what sleep has learned of web cannot be read, it is damaged; it is learned anew"
    ]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', '{"silent": [[1]]}'])
def test_what_is_known_of_all_together_may_be_broken_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    (tmp_path / KIN).write_text(content)
    with caplog.at_level(logging.WARNING):
        assert book(tmp_path).read_kin() is None
    assert "learned anew" in caplog.text


def test_no_file_is_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert book(tmp_path).read_kin() is None
    assert not book(tmp_path).services
    assert not caplog.text


def test_what_cannot_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file, and no folder")
    first = book(tmp_path / "state")
    for _ in range(3):
        first.write("web", HABIT)
        first.write_kin(TOGETHER)
    assert len(caplog.records) == 2
    assert all("would forget what sleep has learned" in one.message for one in caplog.records)
