"""The replays of traces: the measure, and what learned sleep reaches on the shipped trace."""

from pathlib import Path

import pytest

from loadtests import learned
from loadtests.learned import rules
from loadtests.learned.traces import Trace, applications

SHIPPED = Path(learned.__file__).with_name("azure2019-100apps-24h.txt")


def test_a_gap_as_long_as_the_timeout_is_warm_and_a_longer_one_cold() -> None:
    trace = Trace("", 40, [[0, 5, 11, 30]])
    outcome = rules.timeout(trace, 5)
    assert outcome.cold == [3]  # the first, and those after 6 and 19 minutes
    assert outcome.idle == 4 + 5 + 5 + 5
    assert outcome.rate == 3 / 4


def test_the_histogram_knows_a_timer_after_two_silences() -> None:
    trace = Trace("", 600, [list(range(0, 600, 60))])
    outcome = rules.histogram(trace)
    assert outcome.cold == [1]
    # Four hours twice cut short by a call, then from minute 54 on, and at the end nothing more.
    assert outcome.idle == 2 * 59 + 7 * 6 + 6


def test_quantiles_of_the_cold_share_are_between_services() -> None:
    trace = Trace("", 10, [[0], [0, 1], [0, 1, 2, 3]])
    assert rules.floor(trace).share(0.5) == 0.5
    assert rules.floor(trace).share(0.75) == 0.75


@pytest.mark.timeout(240)
def test_learned_sleep_beats_the_histogram_on_a_trace_it_was_not_developed_on() -> None:
    trace = applications(SHIPPED, "second")
    histogram, learned = rules.histogram(trace), rules.learned(trace, 600, 10)
    assert learned.rate < 0.8 * histogram.rate
    assert learned.share(0.75) <= histogram.share(0.75)
    assert learned.idle < histogram.idle
