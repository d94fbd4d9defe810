"""Generated traffic has the rate that was asked for, at each time, and is the same each time."""

import itertools
import math
import statistics

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulation.dice import seeded
from simulation.distributions import Constant, distribution
from simulation.shapes import generated, rate_of
from simulation.traffic import Traffic
from tests.simulation.made import moments

WORK = Constant(0.1)
SHAPES = [
    "steady(rate=20)",
    "spike(base=5, peak=200, at=10m, for=1m)",
    "ramp(from=0, to=10, over=30m)",
    "ramp(from=50, to=0, over=5m, at=1m)",
    "diurnal(low=1, high=5, period=1h)",
    "diurnal(low=1, high=5, period=24h, peak=15m)",
    "onoff(rate=50, on=1m, off=10m)",
    "sawtooth(low=0, high=9, period=90s)",
]
GAPS = [
    "exponential(mean=1s)",
    "lognormal(mean=1.25s, sd=3.66s)",
    "weibull(mean=1.25s, sd=3.66s)",
    "uniform(100ms, 300ms)",
]


def made(text: str, seconds: float = 3600.0, seed: int = 1, evenly: bool = False) -> Traffic:
    return generated(text, seconds, WORK, seeded(seed), spaced_evenly=evenly)


@pytest.mark.parametrize("text", SHAPES + GAPS)
def test_it_is_in_order_within_its_time_and_the_same_each_time(text: str) -> None:
    traffic = made(text)
    first = list(traffic.arrivals())
    assert first == sorted(first, key=lambda arrival: arrival[0])
    assert all(0 <= at <= 3600 for at, _, _ in first)
    assert list(traffic.arrivals()) == first
    assert list(made(text).arrivals()) == first
    assert list(made(text, seed=2).arrivals()) != first


@pytest.mark.parametrize("text", SHAPES)
def test_as_many_come_as_the_rate_says(text: str) -> None:
    """Poisson: the variance of a count is its mean. Five of its roots are never seen by chance."""
    expected = sum(piece.requests for piece in rate_of(text, 3600))
    assert len(moments(made(text))) == pytest.approx(expected, abs=5 * math.sqrt(expected))
    assert len(moments(made(text, evenly=True))) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    ("text", "start", "end", "rate"),
    [
        ("spike(base=5, peak=200, at=10m, for=1m)", 600, 660, 200),
        ("spike(base=5, peak=200, at=10m, for=1m)", 0, 600, 5),
        ("spike(base=5, peak=200, at=10m, for=1m)", 660, 3600, 5),
        ("ramp(from=0, to=10, over=30m)", 895, 905, 5),
        ("ramp(from=0, to=10, over=30m)", 1800, 3600, 10),
        ("ramp(from=50, to=0, over=5m, at=1m)", 0, 60, 50),
        ("diurnal(low=1, high=5, period=1h)", 1790, 1810, 5),
        ("diurnal(low=1, high=5, period=1h)", 890, 910, 3),
        ("diurnal(low=1, high=5, period=24h, peak=15m)", 890, 910, 5),
        ("onoff(rate=50, on=1m, off=10m)", 660, 720, 50),
        ("onoff(rate=50, on=1m, off=10m)", 60, 660, 0),
        ("sawtooth(low=0, high=9, period=90s)", 170, 180, 8.5),
        ("sawtooth(low=0, high=9, period=90s)", 180, 190, 0.5),
        ("steady(rate=90/m)", 0, 3600, 1.5),
        ("steady(rate=7200/h)", 0, 3600, 2),
    ],
)
def test_the_rate_at_a_time(text: str, start: float, end: float, rate: float) -> None:
    expected = rate * (end - start)
    for evenly, slack in ((False, 5 * math.sqrt(expected)), (True, 1.5)):
        arrived = sum(start <= at < end for at in moments(made(text, evenly=evenly)))
        assert arrived == pytest.approx(expected, abs=slack)


def test_steady_traffic_has_exponential_gaps_and_even_traffic_equal_ones() -> None:
    at = moments(made("steady(rate=20)"))
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert statistics.pstdev(gaps) == pytest.approx(statistics.fmean(gaps), rel=0.02)
    assert moments(made("steady(rate=2)", 2.0, evenly=True)) == [0.25, 0.75, 1.25, 1.75]


@pytest.mark.parametrize("text", GAPS)
def test_gaps_have_the_mean_of_their_distribution(text: str) -> None:
    gap = distribution(text)
    at = moments(made(text, seconds=100_000))
    assert len(at) == pytest.approx(100_000 / gap.mean, rel=0.06)


def test_the_draws_of_work_do_not_move_the_arrivals() -> None:
    other = generated("steady(rate=20)", 3600, distribution("exponential(mean=1s)"), seeded(1))
    assert moments(other) == moments(made("steady(rate=20)"))


def test_work_and_gaps_are_independent() -> None:
    gap = distribution("exponential(mean=1s)")
    traffic = generated("exponential(mean=1s)", 20_000, gap, seeded(1))
    works = [work for _, work, _ in traffic.arrivals()]
    at = [0.0, *moments(traffic)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert abs(statistics.correlation(works, gaps)) < 0.04


@given(
    st.integers(0, 20), st.integers(0, 20), st.integers(1, 60), st.integers(1, 60), st.booleans()
)
@example(0, 8, 1, 4, True)  # a request is due exactly where the rate begins at 0
@settings(max_examples=50, deadline=None)
def test_any_ramp_and_sawtooth_is_in_order(
    low: int, high: int, over: int, seconds: int, evenly: bool
) -> None:
    for text in (
        f"ramp(from={low}, to={high}, over={over}s)",
        f"sawtooth(low={low}, high={high}, period={over}s)",
    ):
        at = moments(made(text, seconds, evenly=evenly))
        assert at == sorted(at)
        assert all(0 <= each <= seconds for each in at)
        expected = sum(piece.requests for piece in rate_of(text, seconds))
        assert not evenly or abs(len(at) - expected) <= 1


def test_no_rate_is_no_traffic() -> None:
    assert moments(made("steady(rate=0)")) == []


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("wave(low=1)", 1, "must be steady(…), spike(…), ramp(…), diurnal(…), onoff(…)"),
        ("steady(rate=fast)", 8, 'rate must be a rate such as 5, 0.2, 30/m or 2/h, got "fast"'),
        ("steady(rate=-1)", 8, "rate must be a rate"),
        ("steady(rate=2000000)", 8, "rate must be at most 1000000 requests a second"),
        ("steady(20)", 8, '"20" is not one of steady(rate=…)'),
        ("steady()", 1, "rate is missing: write steady(rate=…)"),
        ("spike(base=5, peak=9, at=10m)", 1, "for is missing: write spike(base=…, peak=…, at=…"),
        ("spike(base=5, peak=9, at=10m, for=0s)", 31, "for must be at least 0.001ms, got 0s"),
        ("onoff(rate=5, on=1m, off=soon)", 22, "off must be a duration such as"),
        ("ramp(from=0, to=1, over=1m, at=-5s)", 29, "at must be a duration"),
        ("diurnal(low=1, high=2, period=999ms)", 24, "period must be at least 1s, got 999ms"),
        ("onoff(rate=1, on=1ms, off=1h)", 15, "on must be at least 1s"),
        ("uniform(0s, 0s)", 1, "the mean gap must be at least 0.000001s"),
    ],
)
def test_an_error_names_text_place_and_remedy(text: str, at: int, message: str) -> None:
    with pytest.raises(ValueError, match="character") as caught:
        made(text)
    assert str(caught.value).startswith(f'"{text}", character {at}: ')
    assert message in str(caught.value)
