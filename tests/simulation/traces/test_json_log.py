"""The gateway's own access log as JSON is traffic again."""

import json
from pathlib import Path

import pytest

from gateway.access_log import Entry, json_line
from simulation.dice import seeded
from simulation.distributions import Constant
from simulation.traces import json_log
from simulation.traces.source import TraceError
from simulation.traffic import Traffic
from tests.simulation.made import written


def line(wall: float, service: str, duration: float) -> str:
    """As the gateway writes it."""
    entry = Entry(
        client="127.0.0.1",
        method=b"GET",
        target=b"/",
        minor=1,
        head=b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        status=200,
        sent=3,
        duration=duration,
        service=service,
        replica="r",
        request_id="i",
    )
    return json_line(entry, wall)


def read(path: Path) -> Traffic:
    return json_log.read(path, seeded(1), Constant(9.0))


def test_a_request_came_as_much_before_its_line_as_it_took(tmp_path: Path) -> None:
    lines = [line(1e9 + 1, "web", 0.5), line(1e9 + 3, "api", 2.25), line(1e9 + 4, "web", 0)]
    traffic = read(written(tmp_path, *lines))
    assert traffic.services == ("web", "api")
    assert list(traffic.arrivals()) == [(0.0, 0.5, 0), (0.25, 2.25, 1), (3.5, 0.0, 0)]


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        "[" * 10_000,
        json.dumps({"time": "2026-01-01T00:00:00Z", "service": "a"}),
        json.dumps({"time": "2026-01-01T00:00:00Z", "service": "a", "duration": -1}),
        json.dumps({"time": "2026-01-01T00:00:00Z", "service": "a", "duration": True}),
        '{"time": "2026-01-01T00:00:00Z", "service": "a", "duration": NaN}',
        json.dumps({"time": 5, "service": "a", "duration": 1}),
    ],
)
def test_an_error_names_the_line(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, line(1e9, "web", 1), text)
    with pytest.raises(TraceError, match="is no line of Tidegate's access log") as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:2: ")


def test_an_empty_log_says_so(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="holds no request"):
        read(written(tmp_path))
