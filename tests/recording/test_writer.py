"""The file over a real SQLite: what is written is read again, once; it stays within its bounds."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.messages import LoadReport
from recording import schema
from recording.accumulation import Accumulation
from recording.reader import Recording
from recording.rows import Arrivals, Batch, Memory, Start
from recording.seconds import MICRO, Second
from recording.spans import MINUTE
from recording.writer import AHEAD, Writer
from tests.recording.reports import NOON, reports

NOW = NOON + 3600
WEEK = 7 * 86400.0
MIB = 2**20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / schema.NAME


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    made = Writer(path, WEEK, 200 * MIB)
    yield made
    made.close()


def second(requests: int = 1) -> Second:
    return Second(
        requests=requests,
        busy=MICRO // 2,
        in_flight=MICRO // 2,
        replicas=1,
        histograms={"occupied": {30: requests}, "answer_sizes": {10: requests}},
    )


def batch(*moments: float, service: str = "web", requests: int = 1) -> Batch:
    return Batch([(int(at), service, second(requests)) for at in moments])


def requests(path: Path) -> dict[str, int]:
    with Recording(path) as recording:
        return {one.service: one.requests for one in recording.services()}


def in_levels(path: Path) -> int:
    with Recording(path) as recording:
        return sum(one.requests for one in recording.levels())


def test_what_is_written_is_read(path: Path, writer: Writer) -> None:
    given = batch(NOON, NOON + 1, requests=3)
    given.starts = [Start(NOON, "web", 1.25, "ready"), Start(NOON + 9, "api", 60.0, "failed")]
    given.memory = [Memory(int(NOON), "web", 5 * MIB)]
    writer.append(given)
    writer.finish(NOW)
    with Recording(path) as recording:
        assert list(recording.arrivals("web")) == [
            Arrivals("web", int(NOON) + at, 1, 3, 0, 0, 0.5, 1) for at in (0, 1)
        ]
        (level,) = recording.levels()
        assert (level.service, level.level, level.seconds, level.requests) == ("web", 0, 2, 6)
        assert level.concurrency == 0.5
        assert (level.histograms["occupied"], level.histograms["waits"]) == ({30: 6}, {})
        assert list(recording.starts()) == given.starts
        assert list(recording.starts("api", NOON + 10)) == []
        assert list(recording.memory("web")) == given.memory
        assert [(one.service, one.requests, one.starts) for one in recording.services()] == [
            ("api", 0, 1), ("web", 6, 1),
        ]  # fmt: skip
        assert recording.names() == ["api", "web"]


def test_only_its_owner_may_read_it(path: Path, writer: Writer) -> None:
    before = os.umask(0)
    try:
        writer.append(batch(NOON))
    finally:
        os.umask(before)
    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_minutes_wait_for_their_end_or_for_the_last_word(path: Path, writer: Writer) -> None:
    writer.append(batch(NOON))
    writer.finish(NOON + 30)
    assert (requests(path), in_levels(path)) == ({"web": 1}, 0)
    assert not writer.is_settled
    writer.finish(NOON + 30, last=True)
    assert in_levels(path) == 1
    assert writer.is_settled


def test_a_minute_that_was_written_in_parts_is_one(path: Path, writer: Writer) -> None:
    """By two Tidegates, one after the other, or in an upgrade at the same time."""
    writer.append(batch(NOON, NOON + 1))
    writer.finish(NOON + 2, last=True)
    other = Writer(path, WEEK, 200 * MIB)
    other.append(batch(NOON + 1, NOON + 2))
    writer.append(batch(NOON + 2))
    other.finish(NOON + 3, last=True)
    other.close()
    writer.finish(NOON + 3, last=True)
    with Recording(path) as recording:
        assert [one.requests for one in recording.arrivals()] == [1, 2, 2]
        (level,) = recording.levels()
        assert (level.requests, level.histograms["occupied"]) == (5, {30: 5})


@given(st.lists(st.lists(reports(), max_size=5), max_size=4), st.booleans())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_each_request_is_there_once_across_restarts(
    tmp_path_factory: pytest.TempPathFactory, lives: list[list[LoadReport]], detail_is_cut: bool
) -> None:
    path = tmp_path_factory.mktemp("recording") / schema.NAME
    for life in [*lives, []]:
        present, writer = Accumulation(), Writer(path, WEEK, 200 * MIB)
        for index, one in enumerate(life):
            present.add(one, one.at, 1)
            writer.append(present.take(one.at, everything=index % 2 == 0))
        writer.append(present.take(NOW, everything=True))
        writer.finish(NOW, last=True)
        writer.close()
    if detail_is_cut:
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM seconds WHERE at < ?", (NOON + MINUTE,))
        connection.close()
    told: dict[str, int] = {}
    for one in (one for life in lives for one in life):
        told[one.service] = told.get(one.service, 0) + one.requests
    assert requests(path) == told
    assert in_levels(path) == sum(told.values())


def test_where_single_seconds_are_gone_minutes_stand_for_them(path: Path, writer: Writer) -> None:
    writer.append(batch(*(NOON + at for at in range(0, 180, 20)), requests=2))
    writer.finish(NOW)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM seconds WHERE at < ?", (NOON + 120,))
    connection.close()
    with Recording(path) as recording:
        rows = [(one.at - NOON, one.seconds, one.requests) for one in recording.arrivals()]
        later = [one.at - NOON for one in recording.arrivals(begin=NOON + 60, end=NOON + 140)]
    assert rows == [(0, 60, 6), (60, 60, 6), (120, 1, 2), (140, 1, 2), (160, 1, 2)]
    assert later == [60, 120]


# Bounds


def test_what_is_too_old_goes(path: Path) -> None:
    writer = Writer(path, 3600.0, 200 * MIB)
    writer.append(batch(NOON - 3700, NOON - 3500, NOON))
    writer.append(Batch(starts=[Start(NOON - 3700, "web", 1.0, "ready")]))
    writer.finish(NOON, last=True)
    assert requests(path) == {"web": 2}
    assert in_levels(path) == 2
    with Recording(path) as recording:
        assert list(recording.starts()) == []
    writer.keep = 60.0
    writer.finish(NOON)
    writer.close()
    assert requests(path) == {"web": 1}


def test_what_a_wrong_clock_has_written_far_ahead_goes(path: Path, writer: Writer) -> None:
    writer.append(batch(NOON, NOON + AHEAD - 1, NOON + AHEAD + 1, NOON + 10 * WEEK))
    writer.finish(NOON, last=True)
    assert requests(path) == {"web": 2}


def fill(writer: Writer, seconds: int, services: int = 20) -> float:
    """So much traffic up to a moment, which is returned; written every five minutes."""
    rows = [f"service-{number}" for number in range(services)]
    for begin in range(0, seconds, 300):
        moments = range(int(NOON) + begin, int(NOON) + begin + 300)
        writer.append(Batch([(at, name, second(at % 7 + 1)) for at in moments for name in rows]))
        writer.finish(NOON + begin + 300)
    return NOON + seconds


def on_disk(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.iterdir() if "shm" not in file.name)


def test_the_file_does_not_grow_above_its_size(path: Path) -> None:
    writer = Writer(path, WEEK, 2 * MIB)
    largest = 0
    for hour in range(3):
        writer.append(Batch())
        fill(writer, 3600, services=20 + hour)
        largest = max(largest, on_disk(path))
    writer.close()
    assert largest <= 2 * MIB
    with Recording(path) as recording:
        rows = list(recording.arrivals())
    assert {one.seconds for one in rows} == {1, MINUTE}
    # What is left of both is the newest, and its end is there second by second.
    assert rows == sorted(rows, key=lambda one: one.at)
    assert rows[-1].at == NOON + 3599


def test_a_smaller_size_holds_from_the_next_time_on(path: Path, writer: Writer) -> None:
    now = fill(writer, 3600)
    assert on_disk(path) > 1 * MIB
    writer.size = 1 * MIB
    writer.finish(now)
    writer.close()
    assert on_disk(path) <= 1 * MIB
    assert requests(path)


# What goes wrong


def test_a_file_that_is_none_is_left_alone_and_told(path: Path, writer: Writer) -> None:
    path.write_bytes(b"not a database, but quite long: " * 200)
    content = path.read_bytes()
    with pytest.raises(schema.Unusable, match=r"is damaged .*: move it away, and a new one"):
        writer.append(batch(NOON))
    assert path.read_bytes() == content
    path.rename(path.with_suffix(".away"))
    writer.append(batch(NOON))
    assert requests(path) == {"web": 1}


def test_a_file_that_breaks_while_it_is_written_is_told(path: Path, writer: Writer) -> None:
    fill(writer, 900)
    writer.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(schema.Unusable, match="is damaged"):
        writer.append(batch(NOON))


def test_a_file_of_another_version_is_left_alone(path: Path, writer: Writer) -> None:
    writer.append(batch(NOON))
    writer.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(schema.Unusable, match="it has version 9, this one knows 1"):
        writer.append(batch(NOON))
    with pytest.raises(schema.Unusable, match="export it with that one"):
        Recording(path)


def test_a_file_that_was_taken_away_is_begun_anew(path: Path, writer: Writer) -> None:
    writer.append(batch(NOON))
    for file in path.parent.iterdir():
        file.unlink()
    writer.append(batch(NOON + 1))
    assert requests(path) == {"web": 1}


def test_a_link_is_not_followed(path: Path, writer: Writer, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    path.symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic link"):
        writer.append(batch(NOON))
    assert not elsewhere.exists()


def test_a_batch_that_fails_leaves_nothing_of_it(path: Path, writer: Writer) -> None:
    writer.append(batch(NOON))
    broken = batch(NOON + 1)
    broken.starts = [Start(float(2**70), "web", 1.0, "ready")]  # more than an integer of SQLite
    with pytest.raises(OverflowError):
        writer.append(broken)
    assert requests(path) == {"web": 1}
    broken.starts = []
    writer.append(broken)
    writer.finish(NOW)
    assert requests(path) == {"web": 2}
    assert in_levels(path) == 2


def test_it_is_read_while_it_is_written(path: Path, writer: Writer) -> None:
    writer.append(batch(NOON, NOON + 1))
    with Recording(path) as recording:
        rows = recording.arrivals()
        first = next(rows)
        writer.append(batch(NOON + 2))
        writer.finish(NOW)
        assert [first.at, *(one.at for one in rows)] == [NOON, NOON + 1]
        assert len(list(recording.arrivals())) == 3


def test_a_file_that_is_just_being_made_has_nothing_yet(path: Path) -> None:
    path.touch()
    with pytest.raises(FileNotFoundError):
        Recording(path)


def test_nothing_is_there_before_something_was_recorded(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Recording(path)
    assert not path.exists()
