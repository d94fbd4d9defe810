"""A line per request with its time, in the ways that people write times."""

from pathlib import Path

import pytest

from simulation.dice import seeded
from simulation.distributions import Constant
from simulation.traces import timestamps
from simulation.traces.source import TraceError
from simulation.traffic import Arrival, Traffic
from tests.simulation.made import DATA, moments, written


def read(path: Path) -> Traffic:
    return timestamps.read(path, seeded(1), Constant(9.0), "api")


def arrivals(path: Path) -> list[Arrival]:
    return list(read(path).arrivals())


def test_the_real_llm_trace_is_read() -> None:
    traffic = read(DATA / "azure_llm_code.csv")
    assert traffic.services == ("api",)
    assert traffic.seconds == 2.0
    at = moments(traffic)
    assert at[:3] == [0.0, 0.052, 0.098189]
    assert len(at) == 11
    assert at[-1] == pytest.approx(1.398922)


@pytest.mark.parametrize(
    "lines",
    [
        ["TIMESTAMP,x", "2023-11-16 18:17:03.9799600,1", "2023-11-16 18:17:05.4799600,1"],
        ["x,Time", "1,2023-11-16T18:17:03.97Z", "1,2023-11-16T18:17:05.47Z"],
        ["timestamp", "2023-11-16T18:17:03+01:00", "2023-11-16T18:17:04.5+01:00"],
        ["timestamp", "2023-11-16T18:17:03+01:00", "2023-11-16T17:17:04.5Z"],
        ["when,x", "1700158623,1", "1700158624.5,1"],
        ["1700158623,1", "1700158624.5,1"],
        ["0", "1.5"],
        ["\ufefftimestamp", "0.25", "", "1.75"],
        ["timestamp", "3.5", "2"],
    ],
)
def test_times_are_read_as_they_are_written(tmp_path: Path, lines: list[str]) -> None:
    assert arrivals(written(tmp_path, *lines)) == [(0.0, 9.0, 0), (1.5, 9.0, 0)]


@pytest.mark.parametrize(
    ("header", "text", "seconds"),
    [
        ("timestamp,duration", "0.25", 0.25),
        ("Timestamp,Service_Time", "250ms", 0.25),
        ("timestamp,duration_ms", "250", 0.25),
        ("timestamp,service_time_ms", "0.5", 0.0005),
        ("timestamp,duration", "", 9.0),
        ("timestamp,other", "250", 9.0),
    ],
)
def test_a_duration_is_read_where_there_is_one(
    tmp_path: Path, header: str, text: str, seconds: float
) -> None:
    assert arrivals(written(tmp_path, header, f"5,{text}")) == [(0.0, seconds, 0)]


def test_a_column_of_services_makes_services(tmp_path: Path) -> None:
    path = written(
        tmp_path, "timestamp,service", "0,Shop.Front", "1,shop-front", "2,", "3,Shop.Front"
    )
    traffic = read(path)
    assert traffic.services == ("shop-front", "shop-front-2", "api")
    assert [service for _, _, service in traffic.arrivals()] == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        (["timestamp", "yesterday"], 2, '"yesterday" is no time: write 2026-01-31 18:17:03.97, or'),
        (["timestamp", "1700158623000"], 2, "too large for seconds: divide milliseconds by 1000"),
        (["timestamp", "1e5"], 2, "is no time"),
        (["timestamp", "nan"], 2, "is no time"),
        (["timestamp", "2023-11-16", "2023-11-16T00:00Z"], 3, "with and without a zone are mixed"),
        (["timestamp,duration", "1,long"], 2, "must be a duration such as"),
        (["timestamp,duration", "1,-1"], 2, "must be a duration such as"),
        (["timestamp,duration_ms", "1,3s"], 2, "must be a number of milliseconds"),
        (["timestamp,x", "1,2", "1"], 3, "has 1 columns where the first line has 2"),
    ],
)
def test_an_error_names_the_line(tmp_path: Path, lines: list[str], line: int, message: str) -> None:
    path = written(tmp_path, *lines)
    with pytest.raises(TraceError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("lines", [[], ["timestamp,x"]])
def test_a_file_without_requests_says_so(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(TraceError, match="holds no request"):
        read(written(tmp_path, *lines))
