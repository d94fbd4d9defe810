"""The pauses between starts."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.backoff import FORGET_AFTER, KILLED_AT_ONCE, LONGEST, PROVEN_AFTER, Backoff


def test_the_pause_doubles_up_to_a_minute() -> None:
    backoff, now, waits = Backoff(), 1000.0, []
    for _ in range(8):
        backoff = backoff.failed(0.0, now)
        waits.append(backoff.remaining(now))
        now = backoff.until
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_the_first_loss_of_a_proven_replica_is_made_good_at_once() -> None:
    backoff = Backoff().failed(PROVEN_AFTER, 1000.0)
    assert backoff.remaining(1000.0) == 0
    assert backoff.failed(PROVEN_AFTER, 1001.0).remaining(1001.0) == 2


def test_a_kill_from_outside_costs_no_pause() -> None:
    backoff = Backoff().failed(0.0, 1000.0)
    assert backoff.killed(KILLED_AT_ONCE, 1000.5) is backoff


def test_but_one_that_comes_at_once_does() -> None:
    """As the kernel does it for a machine without memory."""
    backoff = Backoff().killed(KILLED_AT_ONCE / 2, 1000.0)
    assert backoff.remaining(1000.0) == 1
    assert backoff.killed(0.0, 1001.0).remaining(1001.0) == 2


def test_ten_quiet_minutes_forget_everything() -> None:
    backoff = Backoff()
    for second in range(5):
        backoff = backoff.failed(0.0, 1000.0 + second)
    again = backoff.failed(0.0, 1004.0 + FORGET_AFTER)
    assert (again.failures, again.remaining(1004.0 + FORGET_AFTER)) == (1, 1)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1000)), max_size=60))
def test_it_never_waits_longer_than_the_longest(steps: list[tuple[float, float]]) -> None:
    backoff, now = Backoff(), 1000.0
    for served_for, pause in steps:
        now += pause
        backoff = backoff.failed(served_for, now)
        assert 0 <= backoff.remaining(now) <= LONGEST + 1e-9  # now + 60 - now
