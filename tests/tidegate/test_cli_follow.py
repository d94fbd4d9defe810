"""Commands that go on until Ctrl-C, as real processes; and how light the program starts."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.runtime import LogLine
from tests.support.operated_plane import OperatedPlane, awake
from tests.support.served_plane import Served, serving

PROGRAM = [sys.executable, "-m", "tidegate"]
CHECKOUT = Path(__file__).parents[2]
DEADLINE = 30.0  # seconds


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as served:
        yield served


def test_help_loads_nothing_heavy() -> None:
    """The start of the program stays under 300 ms because of what it does not import."""
    probe = (
        "import sys; from tidegate import cli; code = cli.main(['--version']); "
        "heavy = {'aiohttp', 'pydantic', 'asyncio', 'uvloop', 'rich.table', 'yaml'}; "
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


class Following:
    """The program as a process whose output can be waited for, line by line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._watchdog = threading.Timer(2 * DEADLINE, self.process.kill)

    def __enter__(self) -> "Following":
        self._watchdog.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self.process.kill()
        self.process.communicate()

    def line_with(self, words: str) -> str:
        assert self.process.stdout
        for line in self.process.stdout:
            if words in line:
                return line
        raise AssertionError(f"ended without {words!r}: {self.process.communicate()[1]}")

    def interrupted(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, errors


def test_following_events_until_ctrl_c(served: Served) -> None:
    events = served.plane.events
    served.do(lambda: events.emit("woke", "web woke"))
    with Following("events", "-f", "--admin", served.url) as following:
        following.line_with("web woke")
        served.do(lambda: events.emit("slept", "web sleeps"))
        following.line_with("web sleeps")
        assert following.interrupted() == (0, "")


def test_following_events_fails_when_tidegate_stops(served: Served) -> None:
    served.do(lambda: served.plane.events.emit("woke", "web woke"))
    with Following("events", "-f", "--admin", served.url) as following:
        following.line_with("web woke")
        served.stop()
        _, errors = following.process.communicate(timeout=DEADLINE)
    assert following.process.returncode == 1
    assert errors == f"tidegate: Tidegate at {served.url} has stopped\n"


def test_following_logs_until_ctrl_c(served: Served) -> None:
    plane: OperatedPlane = served.plane
    with Following("logs", "web", "-f", "--admin", served.url) as following:
        following.line_with("web-2 | oh no")
        served.do(lambda: plane.more_lines.put_nowait(LogLine("web-1", "stdout", "later")))
        assert following.line_with("later") == "web-1 | later\n"
        assert following.interrupted() == (0, "")


def test_watching_shows_changes_until_ctrl_c(served: Served) -> None:
    with Following("status", "--watch", "--admin", served.url) as following:
        following.line_with("web")
        changed = replace(awake(), in_flight=4321)
        served.do(lambda: served.plane.known.update(web=changed))
        following.line_with("4321")
        assert following.interrupted() == (0, "")


def test_a_reader_that_leaves_is_no_error(served: Served) -> None:
    many = {f"s{number}": awake(f"s{number}") for number in range(2000)}
    served.do(lambda: served.plane.known.update(many))
    with Following("status", "--all", "--admin", served.url) as following:
        assert following.process.stdout
        following.process.stdout.readline()
        following.process.stdout.close()
        following.process.wait(DEADLINE)
        assert following.process.stderr
        assert following.process.stderr.read() == ""
