"""Requests by service and second."""

from collections import Counter
from pathlib import Path

import pytest

from simulation.dice import seeded
from simulation.distributions import Constant
from simulation.traces import counts
from simulation.traces.source import TraceError
from simulation.traffic import Traffic
from tests.simulation.made import written

HEADER = "service,second,requests"


def read(path: Path, evenly: bool = False) -> Traffic:
    return counts.read(path, seeded(1), Constant(9.0), evenly)


@pytest.mark.parametrize("evenly", [False, True])
def test_every_second_has_its_requests(tmp_path: Path, evenly: bool) -> None:
    rows = ["web,1700000003,2", "api,1700000001,5", "web,1700000001,1", "web,1700000005,0"]
    traffic = read(written(tmp_path, HEADER, *rows), evenly)
    assert traffic.services == ("web", "api")
    assert traffic.seconds == 5
    found = Counter((int(at), service) for at, _, service in traffic.arrivals())
    assert found == {(2, 0): 2, (0, 1): 5, (0, 0): 1}


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        (["service,time,requests", "a,1,1"], 1, "must be service,second,requests"),
        ([HEADER, "a,1.5,1"], 2, 'second must be a whole number of at most 12 digits, got "1.5"'),
        (
            [HEADER, "a,1,many"],
            2,
            'requests must be a whole number of at most 6 digits, got "many"',
        ),
        ([HEADER, "a,1,1000000"], 2, "requests must be a whole number of at most 6 digits"),
        ([HEADER, "a,0,1", "a,999999999,1"], 3, "second 999999999 is more than a year after 0"),
        ([HEADER, "a,0"], 2, "has 2 columns where the header has 3"),
    ],
)
def test_an_error_names_the_line(tmp_path: Path, lines: list[str], line: int, message: str) -> None:
    path = written(tmp_path, *lines)
    with pytest.raises(TraceError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value)


def test_a_file_without_rows_says_so(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="holds no request"):
        read(written(tmp_path, HEADER))
