"""The log holds nobody up: not with a reader that does not read, none at all, nor a full disk."""

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from cluster import wire
from cluster.tasks import Tasks
from gateway.gateway import Gateway
from tidegate.log import JsonLines
from tidegate.unblocked import UnblockedStream
from tidegate.worker import Orphanage, Worker


class Log:
    """A logger of its own, and what came out at the other end."""

    def __init__(self, descriptor: int, most_waiting: int = 1 << 20) -> None:
        self.handler = UnblockedStream(descriptor, most_waiting)
        self.number = 0

    def say(self, text: str = "") -> None:
        self.number += 1
        self.handler.handle(
            logging.LogRecord("t", logging.INFO, "", 0, f"{self.number:06d}{text}", (), None)
        )


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    for end in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(end)


def lines(reader: int) -> list[str]:
    data = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(reader, 1 << 20):
            data += piece
    return data.decode().splitlines()


def test_what_is_taken_goes_out_at_once(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1])
    log.say()
    assert lines(pipe[0]) == ["000001"]


def test_what_nobody_reads_waits_and_comes_in_its_order(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1])
    for _ in range(3000):
        log.say("x" * 100)  # far more than a pipe holds: a blocking write would hang here
    got = lines(pipe[0])
    while len(got) < 3000:
        log.handler.flush()
        more = lines(pipe[0])
        assert more
        if not got[-1].endswith("x" * 100):
            got[-1] += more.pop(0)
        got += more
    assert [int(line[:6]) for line in got] == list(range(1, 3001))


def test_what_waits_is_bounded_and_what_is_lost_is_counted(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1], most_waiting=10_000)
    for _ in range(5000):
        log.say("x" * 100)
    whole = "".join(f"{line}\n" for line in lines(pipe[0]))
    log.handler.flush()
    log.say("and on")
    log.handler.flush()
    whole += "".join(f"{line}\n" for line in lines(pipe[0]))
    told = [line for line in whole.splitlines() if "were lost" in line]
    seen = whole.count("x" * 100)
    assert [int(line.split()[0]) for line in told] == [5000 - seen]
    assert "and on" in whole


def test_a_line_longer_than_a_pipe_holds_goes_out_in_pieces(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1])
    log.say("y" * 300_000)
    text = ""
    while len(text) < 300_006:
        text += "".join(lines(pipe[0]))
        log.handler.flush()
    assert text == "000001" + "y" * 300_000


def test_a_reader_that_went_away_is_no_error(pipe: tuple[int, int]) -> None:
    """F42: EPIPE."""
    os.close(pipe[0])
    log = Log(pipe[1])
    for _ in range(10):
        log.say()


def test_a_full_disk_is_no_error_and_its_losses_are_told_later(tmp_path: Path) -> None:
    """F15: ENOSPC, as /dev/full says it."""
    full = os.open("/dev/full", os.O_WRONLY)
    file = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    log = Log(full)
    for _ in range(7):
        log.say()
    os.dup2(file, full)  # room again
    log.say()
    assert (tmp_path / "log").read_text().splitlines() == [
        "7 lines of the log were lost: nobody took them",
        "000008",
    ]
    os.close(full)
    os.close(file)


def test_what_is_said_of_losses_is_a_line_like_any_other(pipe: tuple[int, int]) -> None:
    """A program reads each as JSON."""
    log = Log(pipe[1], most_waiting=10_000)
    log.handler.setFormatter(JsonLines())
    for _ in range(5000):
        log.say("x" * 100)
    text = "\n".join(lines(pipe[0]))
    log.handler.flush()
    text += "\n".join(lines(pipe[0])) + "\n"
    log.say("and on")
    text += "\n".join(lines(pipe[0]))
    told = [json.loads(line) for line in text.splitlines() if "were lost" in line]
    assert [one["level"] for one in told] == ["warning"]
    assert told[0]["message"].endswith("lines of the log were lost: nobody took them")


def test_a_gateway_process_offers_what_waits_again_whenever_it_is_asked(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have nothing more to say for hours."""
    log = Log(pipe[1])
    monkeypatch.setattr(logging.getLogger(), "handlers", [log.handler])
    for _ in range(1000):
        log.say("x" * 100)
    assert lines(pipe[0])
    worker = Worker(None, "gateway-0", cast(Tasks, None), Orphanage(None), cast(Gateway, object()))
    worker.obey(wire.Ping())
    assert lines(pipe[0])
