"""What is looked for: limits, and what is to be least."""

import pytest

from simulation.objective import METRICS, Limit, objective

MEASURES = dict.fromkeys(METRICS, 0.0) | {"cost": 10.0, "p99 wait": 0.6, "delayed": 0.02}
BETTER = MEASURES | {"p99 wait": 0.4}


def test_the_example() -> None:
    aim = objective("p99 wait < 500ms, least cost")
    assert aim.limits == (Limit("p99 wait", 0.5, True),)
    assert aim.least == "cost"
    assert aim.latency == "p99 wait"
    assert str(aim) == "p99 wait < 500ms, least cost"


@pytest.mark.parametrize(
    "text",
    [
        "least cost",
        "least p99 wait",
        "p95 wait <= 1s, delayed < 1%, failed <= 0%, least cost",
        "cost <= 12.5, least mean wait",
        "max wait <= present, least cost",
    ],
)
def test_what_is_read_is_written_alike(text: str) -> None:
    assert str(objective(text)) == text


def test_it_is_about_the_wait_that_it_names() -> None:
    assert objective("delayed < 1%, least p95 wait").latency == "p95 wait"
    assert objective("p50 wait < 1s, p95 wait < 2s, least cost").latency == "p50 wait"
    assert objective("least cost").latency == "p99 wait"


def test_who_meets_the_limits_comes_before_who_is_cheaper() -> None:
    aim = objective("p99 wait < 500ms, least cost")
    dearer = BETTER | {"cost": 99.0}
    assert aim.score(dearer, MEASURES) < aim.score(MEASURES, MEASURES)
    assert aim.score(BETTER, MEASURES) < aim.score(dearer, MEASURES)


def test_of_those_that_miss_the_nearest_comes_first() -> None:
    aim = objective("p99 wait < 100ms, least cost")
    assert aim.score(BETTER, MEASURES) < aim.score(MEASURES | {"cost": 0.0}, MEASURES)


def test_a_limit_of_zero_can_be_missed() -> None:
    aim = objective("delayed <= 0%, least cost")
    assert aim.missed(MEASURES, MEASURES) == pytest.approx(0.02)
    assert aim.missed(MEASURES | {"delayed": 0.0}, MEASURES) == 0


def test_below_is_not_at() -> None:
    at = MEASURES | {"p99 wait": 0.5}
    assert objective("p99 wait < 500ms, least cost").missed(at, at) > 0
    assert objective("p99 wait <= 500ms, least cost").missed(at, at) == 0


@pytest.mark.parametrize("sign", ["<", "<="])
def test_the_present_rules_meet_what_is_measured_by_them(sign: str) -> None:
    aim = objective(f"p99 wait {sign} present, least cost")
    assert aim.missed(MEASURES, MEASURES) == 0
    assert aim.missed(MEASURES, BETTER) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "neither a limit nor what to make least"),
        ("cheap", "neither a limit nor what to make least"),
        ("p99 wait < 500ms", "nothing is to be made least"),
        ("least cost, least p99 wait", "only one thing can be least"),
        ("p98 wait < 1s, least cost", '"p98 wait" must be p50 wait, '),
        ("p99 wait < 500, least cost", "must be a duration such as 250ms"),
        ("delayed < 0.1, least cost", "must be a ratio such as 70%"),
        ("cost < 1s, least cost", "must be an amount such as 1.5"),
        ("p99 wait > 1s, least cost", "neither a limit"),
    ],
)
def test_what_is_wrong_is_told_with_its_part(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        objective(text)
