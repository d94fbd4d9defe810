"""Options of a simulation: what is given, what is supposed, and which option is wrong."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulation.assumptions import USUAL, Cores, unhurried
from tidegate.cli_given import WrongOption, assumptions, begins, demand, supposed
from tidegate.cli_given_options import Given

SHAPE = ["steady(rate=1)"]


def test_nothing_given_is_what_is_usual() -> None:
    assert assumptions(Given()) == USUAL
    usual = dict(supposed(Given(), 10, 10))
    assert usual["service time"] == "200ms (supposed)"
    assert usual["start time"] == "150ms (supposed)"
    assert usual["slowdown"].endswith("(supposed)")


def test_what_is_given_is_taken_and_said() -> None:
    given = Given(
        start_time="lognormal(mean=3.24s, sd=7.10s)", cores=2.0, start_failures="1%",
        answer_failures="0.1%", crash="exponential(mean=1h)", memory="1GiB", service_time="50ms",
    )  # fmt: skip
    made = assumptions(given)
    assert made.start.mean == pytest.approx(3.24)
    assert made.slowdown == Cores(2.0)
    assert (made.start_fails, made.answer_fails, made.memory) == (0.01, 0.001, 2**30)
    assert made.crash is not None
    assert made.crash.mean == 3600
    assert all(value.endswith("(given)") for _, value in supposed(given, 10, 10))


@pytest.mark.parametrize(
    ("drawn", "told"),
    [
        (0, "measured in the trace"),
        (3, "measured in the trace, where it is not known 200ms (supposed)"),
        (10, "200ms (supposed)"),
    ],
)
def test_it_is_told_what_was_measured(drawn: int, told: str) -> None:
    assert dict(supposed(Given(), drawn, 10))["service time"] == told


def test_a_demand() -> None:
    given = Given([Path("a")], None, SHAPE, "30m", begin="10m", end="1h", seed=7)
    made = demand(given, "web")
    assert (made.duration, made.begin, made.end, made.seed) == (1800, 600, 3600, 7)
    assert made.knows_memory
    assert not demand(Given(shapes=SHAPE, memory="1GiB"), "web").knows_memory
    assert demand(Given(shapes=SHAPE, begin="0"), "web").begin == 0


def test_a_table_is_a_slowdown() -> None:
    assert assumptions(Given(slowdown="1:1, 4:2")).slowdown(4) == 2.0
    assert assumptions(Given()).slowdown is unhurried


def test_the_clock() -> None:
    assert begins(Given()) is None
    at = datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert begins(Given(clock="2026-11-23T08:00:00+00:00")) == at.timestamp()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"shapes": ()}, "there is no traffic: name a trace, or --shape"),
        ({"duration": "5"}, "--duration: must be a duration such as"),
        ({"duration": "0s"}, "--duration must be more than 0"),
        ({"begin": "x"}, "--from: must be a duration"),
        ({"begin": "5m", "end": "5m"}, "--to must be later than --from"),
        ({"service_time": "fast"}, '--service-time: "fast", character 1: must be a duration'),
        ({"start_time": "x(1)"}, "--start-time: "),
        ({"cores": 0.0}, "--cores must be more than 0"),
        ({"cores": 1.0, "slowdown": "1:1"}, "--cores and --slowdown are two ways"),
        ({"slowdown": "4"}, "--slowdown: .* NUMBER:TIMES"),
        ({"start_failures": "0.1"}, "--start-failures: must be a ratio such as 70%"),
        ({"answer_failures": "101%"}, "--answer-failures: must be at most 100%"),
        ({"crash": "never"}, "--crash: "),
        ({"memory": "big"}, "--memory: must be a size"),
        ({"clock": "noon"}, "--clock: Invalid isoformat string"),
    ],
)
def test_an_error_names_its_option(wrong: dict[str, Any], told: str) -> None:
    given = Given(**{"shapes": SHAPE, **wrong})
    with pytest.raises(WrongOption, match=told):
        (demand(given, "web"), assumptions(given), begins(given))
