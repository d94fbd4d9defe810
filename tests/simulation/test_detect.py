"""A file is known by what it holds; one that is not known gets the list of those that are."""

import gzip
import shutil
import sqlite3
from pathlib import Path

import pytest

from simulation.detect import Format, detect, read
from simulation.dice import seeded
from simulation.distributions import Constant, Distribution
from simulation.traces.source import TraceError
from simulation.traffic import Dice, Traffic
from tests.simulation.made import DATA, traffic, written

WORK = Constant(1.0)
LOGGED = '127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326'
JSON = '{"time": "2026-01-01T00:00:00Z", "service": "a", "duration": 0.5}'
FUNCTIONS = ["HashOwner,HashApp,HashFunction,Trigger,1", "o,p,f,http,3"]

ONE_EACH = [
    (Format.AZURE_FUNCTIONS, FUNCTIONS),
    (Format.COUNTS, ["service,second,requests", "a,1,3"]),
    (Format.TIMESTAMPS, ["TIMESTAMP,ContextTokens", "2023-11-16 18:17:03.9799600,4808"]),
    (Format.TIMESTAMPS, ["x,time", "5,2023-11-16"]),
    (Format.TIMESTAMPS, ["1700158623.5,3"]),
    (Format.TIMESTAMPS, ["when,what", "1700158623.5,3"]),
    (Format.JSON_LOG, [JSON]),
    (Format.ACCESS_LOG, [LOGGED]),
    (Format.ACCESS_LOG, [f"example.com:443 {LOGGED}"]),
]


@pytest.mark.parametrize(("expected", "lines"), ONE_EACH)
def test_a_file_is_known_and_read(tmp_path: Path, expected: Format, lines: list[str]) -> None:
    path = written(tmp_path, *lines)
    assert detect(path) is expected
    assert list(read(path, seeded(1), WORK).arrivals())
    compressed = tmp_path / "compressed"
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    assert detect(compressed) is expected


def test_a_folder_is_known_by_its_invocations(tmp_path: Path) -> None:
    shutil.copytree(DATA / "azure_functions", tmp_path / "day")
    assert detect(tmp_path / "day") is Format.AZURE_FUNCTIONS
    assert len(read(tmp_path / "day", seeded(1), WORK).memory) == 5


def test_a_damaged_line_is_told_of_by_its_number(tmp_path: Path) -> None:
    path = written(tmp_path, "??", LOGGED)
    with pytest.raises(TraceError, match=":1: is no line of an access log"):
        read(path, seeded(1), WORK)


def database(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    return path


def test_a_recording_is_read_by_who_knows_it(tmp_path: Path) -> None:
    path = database(tmp_path / "recording")
    made = traffic([(1.0, 1.0, 0)])

    def recording(found: Path, dice: Dice, work: Distribution) -> Traffic:
        assert (found, work) == (path, WORK)
        return made

    assert detect(path) is Format.RECORDING
    assert read(path, seeded(1), WORK, recording=recording) is made


def test_a_recording_that_nobody_reads_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="is a recording: export it as CSV"):
        read(database(tmp_path / "recording"), seeded(1), WORK)


@pytest.mark.parametrize("lines", [[], ["hello"], ["a,b", "c,d"], ["\0\1\2"]])
def test_an_unknown_file_gets_the_list(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(TraceError, match="is of no format that is understood") as caught:
        detect(written(tmp_path, *lines))
    assert all(each.value in str(caught.value) for each in Format)


def test_a_folder_without_invocations_gets_the_list(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"is a folder without invocations.csv; understood are"):
        detect(tmp_path)


def test_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be read: No such file"):
        detect(tmp_path / "gone")
