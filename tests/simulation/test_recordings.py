"""A recording, over a real file: its traffic, and what need not be supposed any more."""

import random
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from cluster.buckets import EDGES
from recording import schema
from recording.rows import Batch, Memory, Start
from recording.seconds import MICRO, Second
from recording.writer import Writer
from simulation import recordings
from simulation.detect import Format, detect
from simulation.dice import seeded
from simulation.distributions import Constant
from simulation.traces.source import TraceError

NOON = 1_700_000_000 // 60 * 60
WORK = Constant(7.0)


def bucket(seconds: float) -> int:
    return next(index for index, edge in enumerate(EDGES) if edge >= seconds)


def second(requests: int, took: float, at_once: float = 1.0, failures: int = 0) -> Second:
    busy = int(at_once * MICRO)
    return Second(
        requests=requests, failures=failures, busy=busy, in_flight=busy, replicas=1,
        histograms={"occupied": {bucket(took): requests - failures}},
    )  # fmt: skip


def recorded(
    folder: Path,
    seconds: Sequence[tuple[int, str, Second]],
    starts: Sequence[Start] = (),
    memory: Sequence[Memory] = (),
) -> Path:
    path = folder / schema.NAME
    writer = Writer(path, 7 * 86400.0, 200 << 20)
    rows = [(NOON + at, service, one) for at, service, one in seconds]
    writer.append(Batch(rows, list(starts), list(memory)))
    writer.finish(NOON + 600.0)
    writer.close()
    return path


def test_requests_come_in_their_seconds_and_take_as_long_as_measured(tmp_path: Path) -> None:
    path = recorded(
        tmp_path, [(0, "web", second(30, 0.2)), (9, "web", second(20, 0.2)), (5, "api", Second(2))]
    )
    assert detect(path) is Format.RECORDING
    traffic = recordings.read(path, seeded(1), WORK)
    assert traffic.services == ("api", "web")
    assert traffic.seconds == 10.0
    arrivals = list(traffic.arrivals())
    assert Counter((int(at), service) for at, _, service in arrivals) == {
        (0, 1): 30, (9, 1): 20, (5, 0): 2,
    }  # fmt: skip
    assert all(took == pytest.approx(0.2, rel=0.11) for _, took, service in arrivals if service)
    # Of the other too little is known.
    assert {took for _, took, service in arrivals if not service} == {7.0}


def test_what_comes_while_it_is_read_is_left_alone(tmp_path: Path) -> None:
    path = recorded(tmp_path, [(0, "web", second(3, 0.2)), (9, "web", second(20, 0.2))])
    assert len(list(recordings.read(path, seeded(1), WORK, until=NOON + 9).arrivals())) == 3


def test_starts_failures_and_the_clock_are_measured(tmp_path: Path) -> None:
    starts = [Start(NOON + at, "web", 1.0 + at, "ready") for at in range(3)]
    starts += [Start(NOON, "web", 60.0, "failed"), Start(NOON, "web", 9.0, "given up")]
    path = recorded(tmp_path, [(0, "web", second(100, 0.2, failures=5))], starts)
    known = recordings.known(path)
    assert known.begins == NOON
    assert known.start is not None
    assert known.start.mean == pytest.approx(2.0)
    assert 1.0 <= known.start.draw(random.Random(1)) <= 3.0
    assert known.start_fails == pytest.approx(1 / 4)
    assert known.answer_fails == pytest.approx(0.05)


def test_what_requests_at_once_do_to_each_other_is_measured(tmp_path: Path) -> None:
    path = recorded(
        tmp_path,
        [
            (0, "web", second(50, 0.1, 1.0)),
            (1, "web", second(50, 0.2, 4.0)),
            (2, "web", second(50, 0.8, 16.0)),
            (3, "web", second(2, 30.0, 64.0)),  # too few to say anything
        ],
    )
    slowdown = recordings.known(path).slowdown
    assert slowdown is not None
    assert slowdown(1) == 1.0
    assert slowdown(4) == pytest.approx(2, rel=0.12)
    assert slowdown(16) == pytest.approx(8, rel=0.12)
    # A request takes as long as one alone; the rest comes of those beside it.
    took = {took for _, took, _ in recordings.read(path, seeded(1), WORK).arrivals()}
    assert max(took) < 0.12


def test_memory_is_that_of_the_largest_replica_on_average(tmp_path: Path) -> None:
    memory = [Memory(NOON, "web", 100), Memory(NOON + 60, "web", 300)]
    path = recorded(
        tmp_path, [(0, "web", second(1, 0.1)), (0, "api", second(1, 0.1))], memory=memory
    )
    assert recordings.read(path, seeded(1), WORK).memory == (0.0, 200.0)


def test_what_was_never_measured_stays_to_be_supposed(tmp_path: Path) -> None:
    known = recordings.known(recorded(tmp_path, [(0, "web", Second(requests=1))]))
    assert (known.start, known.start_fails, known.slowdown) == (None, None, None)


def test_an_empty_one_and_a_damaged_one_are_told(tmp_path: Path) -> None:
    path = recorded(tmp_path, [])
    with pytest.raises(TraceError, match="holds no request: record: true"):
        recordings.read(path, seeded(1), WORK)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(TraceError, match="another version of Tidegate"):
        recordings.known(path)
