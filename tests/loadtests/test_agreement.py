"""What `make agreement` compares, and that a simulation tells what a real run does.

Times are compared by the command, on a machine that has nothing else to do; here only what does
not depend on how fast it is.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from loadtests.agreement.agreement import Agreement, agreement
from loadtests.agreement.compared import Row, Side, rows
from loadtests.agreement.lives import InTurn, Lives, lives_of
from loadtests.agreement.real import run
from loadtests.agreement.replay import Answer
from loadtests.agreement.simulated import simulated
from loadtests.agreement.trace import PARTS, Part, Trace, crowd, lone

SHORT = Trace(
    (
        Part("herd", 0.5, 1, 1.0, 2, (crowd(0.5, 8),)),
        Part("visits", 0.2, 1, 1.0, 1, lone(0.5, 9.5)),
    ),
    rounds=1,
    period=12.5,
    silence=0.5,
    stop_after=3.0,
)
MINUTE = Trace(PARTS, rounds=1)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def _at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def _happened(at: float, kind: str, replica: str | None, message: str = "") -> dict[str, Any]:
    return {
        "at": _at(at).isoformat(), "kind": kind, "service": "web", "replica": replica,
        "message": message,
    }  # fmt: skip


def test_a_real_run_and_its_simulation_start_the_same_replicas() -> None:
    found = agreement(SHORT, asyncio.run(run("process", SHORT)))
    for name, (cold_starts, starts) in {"herd": (1, 2), "visits": (2, 2)}.items():
        for side in found.sides[name]:
            assert (side.cold_starts, side.starts, side.failed) == (cold_starts, starts, 0), name
    for real, told in found.sides.values():
        assert len(real.waits) == len(told.waits)


@pytest.mark.parametrize("start", [0.05, 1.0, 4.0])
def test_how_fast_replicas_start_changes_no_cold_start(start: float) -> None:
    lives = Lives((start,), (start / 2,))
    found = {part.name: simulated(MINUTE, part, lives) for part in PARTS}
    assert {name: told.cold_starts for name, told in found.items()} == {
        "herd": 2, "bursts": 2, "ramp": 1, "visits": 3,
    }  # fmt: skip


def test_no_silence_is_near_to_the_time_that_puts_to_sleep() -> None:
    twice = Trace(PARTS, rounds=2)
    for part in PARTS:
        arrivals = [at for at, _, _ in twice.traffic(part).arrivals()]
        gaps = [after - before for before, after in pairwise(arrivals)]
        assert not [gap for gap in gaps if MINUTE.stop_after / 2 < gap < MINUTE.stop_after + 10]


def test_the_schedule_holds_all_arrivals_in_the_order_of_time() -> None:
    due = MINUTE.schedule()
    assert [at for at, _ in due] == sorted(at for at, _ in due)
    assert sum(part.name == "herd" for _, part in due) == 100
    assert due[-1][0] < MINUTE.period


@pytest.mark.parametrize(
    ("row", "holds"),
    [
        (Row("replica-seconds", 100.0, 110.0, 0.10), True),
        (Row("replica-seconds", 100.0, 89.0, 0.10), False),
        (Row("cold starts", 9, 9, 0.0), True),
        (Row("cold starts", 9, 10, 0.0), False),
        (Row("p95", 0.0, 0.0, 0.20), True),
        (Row("p95", 0.0, 0.1, 0.20), False),
        (Row("p50", 1.0, 9.0), True),
    ],
)
def test_a_bar_is_a_share_of_what_is_real(row: Row, holds: bool) -> None:
    assert row.holds is holds
    assert row.verdict.endswith("NO") is not holds


def test_the_bars_are_those_that_are_promised() -> None:
    side = Side(1.0, 1.0, 1.0, 1, 0, (1.0,))
    assert {row.what: row.bar for row in rows(side, side) if row.bar is not None} == {
        "replica-seconds": 0.10,
        "cold starts": 0.0,
        "p95 wait, s": 0.20,
    }


def test_cold_starts_are_equal_service_by_service() -> None:
    one, two = (Side(10.0, cold, 2.0, 1, 0, (1.0,)) for cold in (1.0, 2.0))
    assert Agreement({"a": (one, one), "b": (two, two)}).holds
    assert not Agreement({"a": (one, two), "b": (two, one)}).holds


def test_starts_and_stops_are_in_the_order_in_which_replicas_were_asked_for() -> None:
    events = [
        _happened(1.0, "scaled", None, "web: 0 → 2 replicas: woken"),
        _happened(1.5, "replica-ready", "late"),
        _happened(2.0, "replica-ready", "early"),
        {**_happened(2.0, "replica-ready", "other"), "service": "api"},
        _happened(9.0, "scaled", None, "web: 2 → 1 replicas: less to do"),
        _happened(9.9, "replica-stopped", "busy"),  # with requests in it: that is no stop
        _happened(20.0, "scaled", None, "web: 2 → 0 replicas: no request"),
        _happened(20.2, "replica-stopped", "late"),
        _happened(20.5, "replica-stopped", "early"),
    ]
    born = {"early": _at(1.0), "late": _at(1.1), "busy": _at(1.0), "other": _at(1.0)}
    found = lives_of("web", events, born)
    assert found.starts == pytest.approx((1.0, 0.4))
    assert found.stops == pytest.approx((0.5, 0.2))


def test_a_service_of_which_nothing_was_measured_is_named() -> None:
    with pytest.raises(LookupError, match="no replica of web was ever ready"):
        lives_of("web", [], {})


def test_measured_times_come_in_turn_and_then_their_mean() -> None:
    in_turn = InTurn((1.0, 3.0))
    assert [in_turn.draw(Random(1)) for _ in range(3)] == [1.0, 3.0, 2.0]


@pytest.mark.parametrize(
    ("answer", "status", "waited"),
    [
        (b"HTTP/1.1 200 -\r\nServer-Timing: wake;dur=120\r\n\r\nslept", 200, 0.1205),
        (b"HTTP/1.1 503 -\r\nServer-Timing: queue;dur=7\r\n\r\n", 503, 0.0075),
        (b"HTTP/1.1 200 -\r\n\r\nslept", 200, 0.0),
        (b"", 0, 0.0),
    ],
)
def test_an_answer_tells_how_long_it_waited(answer: bytes, status: int, waited: float) -> None:
    assert Answer.of("web", 0.01, answer) == Answer("web", status, 0.01, waited)
