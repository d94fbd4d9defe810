"""The pauses between starts."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.backoff import FORGET_AFTER, LONGEST, PROVEN_AFTER, Backoff


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


def test_proven_replicas_lost_together_are_made_good_together() -> None:
    """A restarted engine takes all of them away: that is one incident."""
    backoff = Backoff()
    for number in range(5):
        now = 1000.0 + number * 0.1
        backoff = backoff.failed(PROVEN_AFTER, now)
        assert backoff.remaining(now) == 0
    assert backoff.failed(0.0, 1001.0).remaining(1001.0) == 2


def test_replicas_that_are_killed_from_outside_come_back_at_once() -> None:
    """kill -9 of one of three, every second for a minute."""
    backoff = Backoff()
    for second in range(60):
        backoff = backoff.killed(3.0, 1000.0 + second)
        assert backoff.remaining(1000.0 + second) == 0
    assert backoff.failures == 0


def test_but_not_if_they_are_killed_faster_than_anybody_would_by_chance() -> None:
    backoff, now, waits = Backoff(), 1000.0, []
    for _ in range(60):
        backoff = backoff.killed(0.05, now)
        waits.append(backoff.remaining(now))
        now += 0.1 + waits[-1]
    assert waits[:20] == [0.0] * 20
    assert max(waits) >= 1
