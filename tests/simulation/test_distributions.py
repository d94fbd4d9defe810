"""Distributions have the mean and the spread that was asked for; errors say what to write."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.distributions import Distribution, Empirical, LogNormal, Weibull, distribution

DRAWS = 100_000


def drawn(made: Distribution, count: int = DRAWS) -> list[float]:
    rng = random.Random(7)
    return [made.draw(rng) for _ in range(count)]


@pytest.mark.parametrize(
    ("text", "mean", "sd"),
    [
        ("200ms", 0.2, 0.0),
        ("0", 0.0, 0.0),
        ("exponential(mean=200ms)", 0.2, 0.2),
        ("uniform(100ms, 300ms)", 0.2, 0.2 / math.sqrt(12)),
        ("lognormal(mean=3.24s, sd=7.10s)", 3.24, 7.10),
        ("lognormal(mean=1s,sd=100ms)", 1.0, 0.1),
        ("weibull(mean=1.25s, sd=3.66s)", 1.25, 3.66),
        ("weibull(mean=1m, sd=30s)", 60.0, 30.0),
        ("empirical(p0=0s, p50=1s, p100=3s)", 1.25, math.sqrt(0.5 / 3 + 6.5 / 3 - 1.25**2)),
        ("empirical(3s, 1s, 2s)", 2.0, 2 / math.sqrt(12)),
        ("empirical(5s)", 5.0, 0.0),
    ],
)
def test_mean_and_sd_are_as_asked_for(text: str, mean: float, sd: float) -> None:
    made = distribution(text)
    values = drawn(made)
    assert made.mean == pytest.approx(mean)
    # Four standard errors; of a heavy tail's own spread a sample tells little.
    assert statistics.fmean(values) == pytest.approx(mean, abs=4 * sd / math.sqrt(DRAWS) + 1e-12)
    assert statistics.pstdev(values) == pytest.approx(sd, rel=0.02 if sd < mean else 0.2, abs=1e-9)


@given(st.floats(0.001, 1000), st.floats(0.01, 20))
def test_the_weibull_solution_has_this_mean_and_sd(mean: float, variation: float) -> None:
    made = Weibull.of(mean, mean * variation)
    second = made.scale**2 * math.gamma(1 + 2 / made.shape)
    assert made.mean == pytest.approx(mean)
    assert math.sqrt(second - made.mean**2) == pytest.approx(mean * variation, rel=1e-4)


@given(st.floats(0.001, 1000), st.floats(0.01, 20))
def test_the_lognormal_solution_has_this_mean_and_sd(mean: float, variation: float) -> None:
    made = LogNormal.of(mean, mean * variation)
    sd = made.mean * math.sqrt(math.expm1(made.spread**2))
    assert made.mean == pytest.approx(mean)
    assert sd == pytest.approx(mean * variation)


percentiles = st.lists(st.floats(0, 1e6), min_size=2, max_size=8).map(sorted)


@given(percentiles, st.integers())
def test_empirical_draws_stay_between_the_extremes(values: list[float], seed: int) -> None:
    levels = [number / (len(values) - 1) for number in range(len(values))]
    made = Empirical(levels, values)
    rng = random.Random(seed)
    top = values[-1] * (1 + 1e-12)
    assert all(values[0] <= made.draw(rng) <= top for _ in range(50))


def test_empirical_draws_meet_the_percentiles() -> None:
    made = Empirical([0, 0.5, 0.9, 1], [1.0, 2.0, 3.0, 100.0], mean=4.0)
    values = drawn(made)
    for level, value in ((0.5, 2.0), (0.9, 3.0)):
        assert sum(each <= value for each in values) / DRAWS == pytest.approx(level, abs=0.005)


def test_a_measured_mean_is_kept_where_straight_lines_would_add_to_it() -> None:
    """Those of a function of the Azure trace: straight lines give 1.52 s, it took 928 ms."""
    levels = [0, 0.01, 0.25, 0.5, 0.75, 0.99, 1]
    values = [0.125, 0.55, 0.713, 0.816, 0.979, 2.626, 101.008]
    assert Empirical(levels, values).mean == pytest.approx(1.521, abs=0.001)
    bent = Empirical(levels, values, mean=0.928)
    assert bent.mean == pytest.approx(0.928)
    assert statistics.fmean(drawn(bent)) == pytest.approx(0.928, rel=0.02)


@pytest.mark.parametrize("mean", [0.0, 1e9])
def test_a_mean_that_cannot_be_is_met_as_nearly_as_possible(mean: float) -> None:
    made = Empirical([0, 1], [1.0, 2.0], mean=mean)
    assert 1.0 < made.mean < 2.0
    assert statistics.fmean(drawn(made, 10_000)) == pytest.approx(made.mean, rel=0.01)


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("200", 1, "must be a duration such as 250ms"),
        ("", 1, "write name(key=value, …), or one value such as 200ms"),
        ("200ms 3", 1, "write name(key=value, …)"),
        ("normal(mean=1s)", 1, "must be a duration such as 200ms, or exponential(…), lognormal(…)"),
        ("exponential()", 1, "mean is missing: write exponential(mean=…)"),
        ("exponential(mean=0s)", 13, "mean must be at least 0.001ms, got 0s"),
        ("exponential(mean=5)", 13, "mean must be a duration such as"),
        ("exponential(mean=1s, mean=2s)", 22, "mean is given twice"),
        ("lognormal(mean=1s)", 1, "sd is missing: write lognormal(mean=…, sd=…)"),
        ("lognormal(mean=1s, cv=2s)", 20, '"cv" is not one of lognormal(mean=…, sd=…)'),
        ("weibull(mean=1s, sd=1000h)", 1, "sd must be 0.0064 to"),
        ("weibull(mean=1s, sd=1ms)", 1, "times the mean for a weibull distribution, got 0.001"),
        ("uniform(3s, 1s)", 1, "3s is more than 1s"),
        ("uniform(1s)", 1, "must be the least and the most"),
        ("uniform(a=1s, b=2s)", 1, "must be the least and the most"),
        ("empirical()", 1, "percentiles must reach from 0 to 100"),
        ("empirical(p0=1s, p50=2s)", 1, "write empirical(p0=…, p50=…, p100=…)"),
        ("empirical(p0=3s, p100=2s)", 1, "their values must not fall"),
        ("empirical(p0=1s, x=2s)", 1, '"x" must be a percentile such as p50 or p99.9'),
        ("empirical(p0=1s, pnan=2s, p100=3s)", 1, '"pnan" must be a percentile'),
        ("empirical(p0=1s, 2s)", 1, '"" must be a percentile'),
        ("uniform(1s, (2s))", 13, 'expected key=value, got "(2s)"'),
        ("uniform(1s,,2s)", 12, "expected key=value"),
    ],
)
def test_an_error_names_text_place_and_remedy(text: str, at: int, message: str) -> None:
    with pytest.raises(ValueError, match="character") as caught:
        distribution(text)
    assert str(caught.value).startswith(f'"{text}", character {at}: ')
    assert message in str(caught.value)


def read_or_told(text: str) -> Distribution | str:
    try:
        return distribution(text)
    except ValueError as error:
        return str(error)


@given(st.text(max_size=40) | st.text("empirical(p01=,)5ms.", max_size=40))
def test_any_text_is_a_distribution_or_a_clear_error(text: str) -> None:
    made = read_or_told(text)
    assert ", character " in made if isinstance(made, str) else made.mean >= 0
