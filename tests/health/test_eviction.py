"""Who may be evicted: one alone at once, most of a service one at a time."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health.eviction import COMMON_SHARE, FIRST_PAUSE, LONGEST_PAUSE, Guard, Ward


def ward(watched: int, failing: int, settled: int | None = None, wanted: int | None = None) -> Ward:
    return Ward(
        watched,
        failing,
        watched if settled is None else settled,
        watched if wanted is None else wanted,
    )


@pytest.mark.parametrize(
    ("watched", "failing", "common"),
    [(1, 1, True), (2, 1, False), (2, 2, True), (3, 1, False), (3, 2, True), (10, 5, False),
     (10, 6, True), (5, 0, False)],
)  # fmt: skip
def test_more_than_half_is_common(watched: int, failing: int, common: bool) -> None:
    assert ward(watched, failing).is_common is common


def test_those_that_fail_alone_go_at_once() -> None:
    guard = Guard()
    for failing in range(1, 6):
        assert guard.hold(ward(10, failing, settled=11 - failing), now=100.0) is None
        guard.evicted(ward(10, failing, settled=11 - failing), now=100.0)


def test_the_first_of_a_common_fault_goes_at_once_and_the_second_waits_for_its_replacement() -> (
    None
):
    guard = Guard()
    assert guard.hold(ward(5, 5), now=100.0) is None
    guard.evicted(ward(5, 5), now=100.0)

    held = guard.hold(ward(5, 5, settled=4, wanted=5), now=1000.0)
    assert held is not None
    assert held.why == "the one before it is not replaced yet"
    assert guard.hold(ward(5, 5, settled=5), now=1000.0) is None


def test_fewer_wanted_is_no_lack() -> None:
    guard = Guard()
    guard.evicted(ward(5, 5), now=100.0)
    assert guard.hold(ward(4, 4, settled=4, wanted=3), now=1000.0) is None


def test_the_pause_doubles_up_to_its_limit() -> None:
    guard, now, pauses = Guard(), 100.0, []
    for _ in range(8):
        assert guard.hold(ward(5, 5), now) is None
        guard.evicted(ward(5, 5), now)
        held = guard.hold(ward(5, 5), now)
        assert held is not None
        pauses.append(held.seconds)
        now += held.seconds
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]


def test_a_replacement_that_lives_ends_the_pause() -> None:
    guard = Guard()
    guard.evicted(ward(5, 5), now=100.0)
    guard.lives(began=99.0)
    assert guard.hold(ward(5, 4), now=101.0) is not None
    guard.lives(began=100.5)
    assert guard.hold(ward(5, 4), now=101.0) is None
    guard.evicted(ward(5, 4), now=101.0)
    assert guard.pause == FIRST_PAUSE


def test_ten_quiet_minutes_are_a_clean_slate() -> None:
    guard = Guard()
    for now in (0.0, 10.0, 30.0):
        guard.evicted(ward(3, 3), now)
    assert guard.pause == 40.0
    guard.evicted(ward(3, 3), 630.0)
    assert guard.pause == FIRST_PAUSE


@given(st.integers(2, 50), st.floats(1, 60))
def test_a_common_fault_that_nothing_mends_kills_few(replicas: int, every: float) -> None:
    """However often it is asked: in an hour no more than the pauses allow."""
    guard, now, evictions = Guard(), 0.0, []
    while now < 3600:
        if guard.hold(ward(replicas, replicas), now) is None:
            guard.evicted(ward(replicas, replicas), now)
            evictions.append(now)
        now += every
    gaps = [later - sooner for sooner, later in itertools.pairwise(evictions)]
    assert all(gap >= FIRST_PAUSE for gap in gaps)
    assert all(gap >= LONGEST_PAUSE for gap in gaps[5:])
    assert len(evictions) <= 6 + 3600 / LONGEST_PAUSE


@given(st.integers(1, 50), st.integers(0, 50))
def test_no_hold_without_a_majority(watched: int, failing: int) -> None:
    guard = Guard(last=0.0, pause=300.0, whole=50)
    if failing <= COMMON_SHARE * watched:
        assert guard.hold(ward(watched, failing, settled=0, wanted=50), now=1.0) is None
