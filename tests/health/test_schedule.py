"""How often a start is tried, and how repeated probes are spread."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.service import Probe, StartupProbe
from health.duties import Check
from health.schedule import FIRST_TRY, Try, first_due, next_due, next_try, timeout_of

TCP = StartupProbe(tcp=True)
HTTP = StartupProbe(http="/ready")


def tries(check: Check, count: int, longest: float = 0.05) -> list[Try]:
    made = [FIRST_TRY]
    while len(made) < count:
        made.append(next_try(made[-1], check, longest))
    return made


def test_the_first_try_is_made_at_once_and_the_second_a_millisecond_later() -> None:
    for check in (TCP, HTTP):
        assert [one.pause for one in tries(check, 2)] == [0.0, 0.001]


def test_the_pause_between_requests_grows_by_1_6_up_to_every() -> None:
    pauses = [one.pause * 1000 for one in tries(HTTP, 11)]
    assert pauses == pytest.approx(
        [0, 1, 1.6, 2.56, 4.096, 6.5536, 10.48576, 16.777216, 26.8435456, 42.94967296, 50]
    )


@pytest.mark.parametrize(("opens_at", "late"), [(0.02, 0.002), (0.1, 0.01), (0.5, 0.05), (5, 0.05)])
def test_an_open_port_is_found_within_a_tenth_of_the_time_waited(
    opens_at: float, late: float
) -> None:
    now, one, count = 0.0, FIRST_TRY, 1
    while now < opens_at:
        one = next_try(one, TCP, 0.05)
        now += one.pause
        count += 1
    assert now - opens_at <= late
    assert count < 150


def test_an_unanswered_connection_is_tried_anew_before_the_kernel_does() -> None:
    timeouts = [timeout_of(one, TCP) for one in tries(TCP, 12)]
    assert timeouts[0] == pytest.approx(0.02)
    assert timeouts == sorted(timeouts)
    assert timeouts[-1] == TCP.timeout


@pytest.mark.parametrize("check", [HTTP, StartupProbe(exec=("check",)), Probe(http="/ready")])
def test_a_request_or_command_has_its_whole_timeout(check: Check) -> None:
    assert timeout_of(FIRST_TRY, check) == check.timeout


def test_no_pause_is_zero_even_when_every_is() -> None:
    assert tries(TCP, 3, longest=0.0)[-1].pause == 0.001


@given(st.floats(0.01, 3600), st.integers(), st.floats(0, 1e6))
def test_the_first_round_falls_anywhere_in_the_first_period(
    every: float, seed: int, now: float
) -> None:
    assert now <= first_due(every, Random(seed), now) <= now + every


@given(st.floats(0.1, 3600), st.integers(), st.floats(0, 1e6))
def test_rounds_come_up_to_a_tenth_early_and_never_late(
    every: float, seed: int, due: float
) -> None:
    following = next_due(due, every, Random(seed), due + every / 4)
    assert due + 0.9 * every - 1e-6 <= following <= due + every + 1e-6


@given(st.floats(0.1, 60), st.floats(0.01, 1), st.integers(1, 10), st.floats(0, 1), st.integers())
def test_a_hang_is_noticed_within_period_x_failures_and_the_timeout(
    every: float, share: float, failures: int, phase: float, seed: int
) -> None:
    """Whenever it begins; also where the timeout is as long as the period."""
    rng, timeout = Random(seed), share * every
    due = every * phase  # of the first probe that meets it
    for _ in range(failures - 1):
        due = next_due(due, every, rng, due + timeout)
    assert due + timeout <= every * failures + timeout + 1e-6


def test_missed_rounds_are_skipped_and_their_replicas_spread_anew() -> None:
    """A loop that stood still must not probe everybody in the turn in which it goes on."""
    rng = Random(1)
    per_tenth = [0] * 10
    for number in range(1000):
        due = next_due(number / 1000, 1.0, rng, now=100.0)
        assert 100.01 <= due <= 101.0
        per_tenth[min(9, int((due - 100) * 10))] += 1
    assert max(per_tenth) < 2 * min(per_tenth)


@pytest.mark.parametrize(
    ("check", "crowd", "pause"),
    [
        (TCP, 1, 0.05),
        (TCP, 101, 0.05),
        (TCP, 2001, 1.0),
        (HTTP, 501, 1.0),
        (StartupProbe(exec=("ok",)), 1, 0.05),
        (StartupProbe(exec=("ok",)), 21, 1.0),
    ],
)
def test_all_starts_together_make_so_many_tries_a_second(
    check: Check, crowd: int, pause: float
) -> None:
    late = Try(0.05, 1.0)
    assert next_try(late, check, 0.05, crowd).pause == pytest.approx(pause)


def test_many_replicas_spread_over_the_period() -> None:
    rng = Random(1)
    per_tenth = [0] * 10
    for _ in range(1000):
        per_tenth[int(first_due(10.0, rng, 0.0))] += 1
    assert max(per_tenth) < 2 * min(per_tenth)
