"""Starts that an absent engine missed."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.missed import APART, LONGEST, PATIENCE, Missed


def missed(jitter: float = 1.0) -> Missed:
    """Of an engine that has answered before."""
    one = Missed(lambda: jitter)
    one.came_back(0.0)
    return one


def test_the_pauses_grow_to_a_few_seconds() -> None:
    starts, now, waits = missed(), 100.0, []
    for _ in range(6):
        starts.add("web", now)
        waits.append(starts.wait("web", now))
        now += waits[-1]
    assert waits == [0.5, 1, 2, 4, 5, 5]


def test_the_pauses_are_uneven() -> None:
    starts = missed(jitter=0.8)
    assert starts.add("web", 100.0).until == 100.0 + 0.5 * 0.8


def test_an_engine_that_is_away_for_a_moment_is_not_worth_telling() -> None:
    starts = missed()
    starts.went_away(100.0)
    starts.add("web", 101.0)
    assert not starts.lasts("web", 101.0)
    assert starts.lasts("web", 100.0 + PATIENCE)


def test_one_that_never_answered_is() -> None:
    starts = Missed(lambda: 1.0)
    starts.add("web", 0.1)
    assert starts.lasts("web", 0.1)


def test_one_that_lists_and_cannot_start_is_told_by_the_service_that_waits() -> None:
    starts = missed()
    starts.add("web", 100.0)
    starts.add("web", 109.0)
    assert not starts.lasts("web", 109.0)
    assert starts.lasts("web", 100.0 + PATIENCE)


def test_on_its_return_those_who_waited_longest_go_first_and_not_all_at_once() -> None:
    starts = missed()
    starts.went_away(100.0)
    for number in range(10):
        starts.add(f"s{number}", 101.0 + number)
    assert starts.came_back(111.0) == (100.0, [f"s{number}" for number in range(10)])
    waits = [starts.wait(f"s{number}", 111.0) for number in range(10)]
    assert waits == sorted(waits)
    assert waits[0] == 0.0
    assert waits[-1] <= 9 * APART + 1e-9
    assert starts.came_back(112.0) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 30)), max_size=30))
def test_nobody_ever_waits_longer_than_the_longest_pause(steps: list[tuple[str, float]]) -> None:
    starts, now = missed(), 0.0
    for service, pause in steps:
        now += pause
        starts.add(service, now)
        assert all(0 <= starts.wait(name, now) <= LONGEST + 1e-9 for name in "abc")
