"""Access logs of Apache and nginx: their seconds, their virtual hosts, their request times."""

from pathlib import Path

import pytest

from simulation.dice import seeded
from simulation.distributions import Constant
from simulation.traces import access_log
from simulation.traces.source import TraceError
from simulation.traffic import Traffic
from tests.simulation.made import moments, written

COMMON = '127.0.0.1 - frank [10/Oct/2000:13:55:{:02} -0700] "GET /a.gif HTTP/1.0" 200 2326'
COMBINED = COMMON + ' "http://example.com/" "Mozilla/5.0 \\"quoted\\" (X11)"'


def read(path: Path, evenly: bool = False) -> Traffic:
    return access_log.read(path, seeded(1), Constant(9.0), "api", evenly)


@pytest.mark.parametrize("line", [COMMON, COMBINED, COMBINED + " extra 17", COMBINED + ' "-"'])
def test_requests_of_one_second_are_spread_in_it(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, *(line.format(second) for second in (36, 36, 36, 36, 38)))
    assert moments(read(path, evenly=True)) == [0.0, 0.25, 0.5, 0.75, 2.375]
    at = moments(read(path))
    assert at == sorted(at)
    assert at[3] < 1
    assert 1 < at[4] < 3
    assert at == moments(read(path))
    assert {work for _, work, _ in read(path).arrivals()} == {9.0}


def test_a_request_came_as_much_before_its_line_as_it_took(tmp_path: Path) -> None:
    lines = [COMBINED.format(10) + " 0.500", COMBINED.format(12) + " 2.000", COMBINED.format(13)]
    path = written(tmp_path, *lines)
    arrivals = list(read(path, evenly=True).arrivals())
    assert arrivals == [(0.0, 0.5, 0), (0.5, 2.0, 0), (3.5, 9.0, 0)]


def test_each_virtual_host_is_a_service(tmp_path: Path) -> None:
    hosts = ("www.example.com:443 ", "api.example.com:80 ", "www.example.com:80 ", "", "[::1]:80 ")
    path = written(tmp_path, *(host + COMBINED.format(36) for host in hosts))
    traffic = read(path)
    assert traffic.services == ("www-example-com", "api-example-com", "api", "1")
    assert [service for _, _, service in traffic.arrivals()] == [0, 1, 0, 2, 3]


@pytest.mark.parametrize(
    ("earlier", "later", "gap"),
    [
        ("10/Oct/2000:23:59:59 +0000", "11/Oct/2000:00:00:01 +0000", 2),
        ("10/Oct/2000:13:00:00 -0700", "10/Oct/2000:22:00:01 +0200", 1),
        ("28/Feb/2024:12:00:00 +0000", "01/Mar/2024:12:00:00 +0000", 172800),
    ],
)
def test_the_time_has_a_zone(tmp_path: Path, earlier: str, later: str, gap: float) -> None:
    stamp = "10/Oct/2000:13:55:36 -0700"
    lines = [COMMON.format(36).replace(stamp, each) for each in (earlier, later)]
    at = moments(read(written(tmp_path, *lines), evenly=True))
    assert at[-1] == gap


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello", "is no line of an access log: expected CLIENT - USER [TIME]"),
        (COMMON.format(36).replace("Oct", "Okt"), "is no time such as 10/Oct/2000:13:55:36 -0700"),
        (COMMON.format(36).replace("Oct", "ctN"), "is no time such as"),
        (COMMON.format(61), "is no time: second must be in 0..59"),
        (COMMON.format(36).replace("10/Oct", "31/Feb"), "is no time: day is out of range"),
        (COMMON.format(36)[:60], "is no line of an access log"),
    ],
)
def test_an_error_names_the_line(tmp_path: Path, line: str, message: str) -> None:
    path = written(tmp_path, COMMON.format(36), line)
    with pytest.raises(TraceError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert message in str(caught.value)


def test_an_empty_log_says_so(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="holds no request"):
        read(written(tmp_path))
