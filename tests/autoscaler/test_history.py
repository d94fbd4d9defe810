"""A history holds changes, and the latest confirmation on top."""

from dataclasses import replace

from autoscaler.decision import Decision
from autoscaler.history import KEEP, History
from cluster.model import Mode
from tests.support.scaling_facts import seen

ONE = Decision(0.0, 1, Mode.STABLE, "because", seen(1))


def test_ticks_that_change_nothing_leave_one_entry() -> None:
    history = History()
    for at in range(1000):
        history.add(replace(ONE, at=float(at)))
    assert [decision.at for decision in history.newest_first()] == [999.0, 0.0]
    assert history.latest() == replace(ONE, at=999.0)


def test_changes_are_kept_newest_first_and_bounded() -> None:
    history = History()
    for number in range(500):
        history.add(replace(ONE, replicas=number))
        history.add(replace(ONE, replicas=number))
    numbers = [decision.replicas for decision in history.newest_first()]
    assert numbers == [499, *range(499, 499 - KEEP, -1)]


def test_a_freeze_and_a_change_of_mode_are_changes() -> None:
    history = History()
    for decision in (ONE, replace(ONE, frozen=True), replace(ONE, mode=Mode.PANIC)):
        history.add(decision)
    assert len(history.newest_first()) == 3


def test_an_empty_history_has_no_latest() -> None:
    assert History().latest() is None
    assert History().newest_first() == []
